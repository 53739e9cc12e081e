/* net/request/segments: what an answer sends from elsewhere than its queue:
 * pieces of files and lent memory, each behind so many bytes of the queue. The
 * loop goes on with them when the handler has long returned. */
#ifndef WSK_NET_REQUEST_SEGMENTS_H
#define WSK_NET_REQUEST_SEGMENTS_H

#include "net/dispatch/calls.h"
#include "wsocket.h"

struct wsk__conn;

struct wsk__segment {
    struct wsk__release release; /* call NULL: nobody waits for it */
    struct wsk__segment *next;
    const uint8_t *data; /* lent; for a file NULL */
    size_t before;       /* octets of the queue that leave ahead of it */
    uint64_t offset, left;
    uint64_t warm;      /* up to here the file has been seen in memory */
    int fd;             /* -1: no file */
    bool ends_by_close; /* nothing else shows the client where the body ends */
};

void wsk__segment_ack(struct wsk__conn *conn, struct wsk__segment *part,
                      size_t n);
void wsk__segments_drop_first(struct wsk__conn *conn);

/* The loop must not wait for a disk: what is not in memory is read by a thread
 * that may. */
void wsk__segment_read_ahead(struct wsk__conn *conn);

/* Whether the next n octets can be had without the disk; when that cannot be
 * asked, they cannot. The kernel reads ahead in runs, so that both ends of one
 * speak for what lies between. */
bool wsk__segment_in_memory(const wsk_server *srv, struct wsk__segment *part,
                            size_t n);

/* ---- owner ---- */

/* `length` octets of a file from `offset` on belong behind the queue as it is
 * now. fd is duplicated. WSK_OK, WSK_E_NOMEM, WSK_E_SYS. */
wsk_status wsk__segments_add_file(struct wsk__conn *conn, int fd,
                                  uint64_t offset, uint64_t length,
                                  bool ends_by_close);

/* The same with octets in memory, which are lent: release(user) gives them back
 * once they have left or never will. WSK_OK, WSK_E_NOMEM. */
wsk_status wsk__segments_add_lent(struct wsk__conn *conn, const uint8_t *data,
                                  size_t len, void (*release)(void *user),
                                  void *user);

/* Give back what has left while the handler was running: in its thread, inside
 * the interpreter. */
void wsk__segments_give_back(struct wsk__conn *conn);

/* The last reference to the connection is gone. */
void wsk__segments_free(struct wsk__conn *conn);

#endif
