/* net/request/segments: pieces of an answer that do not stand in its queue:
 * files and lent memory, each behind so many bytes of the queue. The loop goes
 * on with them when the handler has long returned. */
#ifndef WSK_NET_REQUEST_SEGMENTS_H
#define WSK_NET_REQUEST_SEGMENTS_H

#include "net/dispatch/calls.h"
#include "wsocket.h"

struct wsk__dispatch;

/* Bytes of a file between two looks at the disk. */
enum { WSK__SEGMENT_STEP = 256 << 10 };

struct wsk__segment {
    struct wsk__release release; /* of lent memory; call NULL: of none */
    struct wsk__segment *next;
    const uint8_t *data; /* lent memory; NULL: the segment is of a file */
    size_t before;       /* bytes of the queue that leave ahead of it */
    uint64_t offset, left;
    uint64_t warm;      /* the file has been seen in memory up to here */
    int fd;             /* of the file; -1: there is none */
    bool ends_by_close; /* only the close shows the client where the body ends
                         */
};

/* Those of one answer. */
struct wsk__segments {
    struct wsk__segment *first, *last;
    size_t before; /* bytes of the queue that leave ahead of `last` */
    uint64_t owed; /* bytes of the segments themselves */
    struct wsk__release *released; /* memory that has left while the handler
                                      runs, to give back in its thread */
};

/* Add `length` bytes of a file from `offset` on, behind the `queued` bytes of
 * the queue. fd is duplicated. WSK_OK, WSK_E_NOMEM, WSK_E_SYS. */
wsk_status wsk__segments_add_file(struct wsk__segments *segments, size_t queued,
                                  int fd, uint64_t offset, uint64_t length,
                                  bool ends_by_close);

/* Add memory, which is lent: release(user) gives it back once it has
 * left or never will. WSK_OK, WSK_E_NOMEM. */
wsk_status wsk__segments_add_lent(struct wsk__segments *segments, size_t queued,
                                  const uint8_t *data, size_t len,
                                  void (*release)(void *user), void *user);

/* Note that `n` bytes of the first have left. */
void wsk__segments_ack(struct wsk__segments *segments, size_t n);

/* Forget the first. Lent memory is given back by a call of its own; where
 * `dispatch` is NULL, for a handler is running, by wsk__segments_give_back().
 */
void wsk__segments_drop_first(struct wsk__segments *segments,
                              struct wsk__dispatch *dispatch);

/* Give back what has left while the handler runs: in its thread, inside the
 * interpreter. */
void wsk__segments_give_back(struct wsk__segments *segments);

/* Forget all: the answer will never be complete. */
void wsk__segments_clear(struct wsk__segments *segments,
                         struct wsk__dispatch *dispatch);

/* Return true if the next n bytes of a file can be read without a disk; false
 * also if `may_ask` is, or the system cannot tell. The kernel reads ahead in
 * runs: if both ends of one are in memory, so is the rest. */
bool wsk__segment_in_memory(struct wsk__segment *segment, size_t n,
                            bool may_ask);

/* Read the next bytes of a file, so that they are in memory; waits for a disk.
 */
void wsk__segment_read_ahead(struct wsk__segment *segment);

#endif
