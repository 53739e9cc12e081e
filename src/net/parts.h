/* net/parts: what an answer sends from elsewhere than its queue: pieces of
 * files and lent memory, each behind so many octets of the queue. The loop goes
 * on with them when the handler has long returned. */
#ifndef WSK_NET_PARTS_H
#define WSK_NET_PARTS_H

#include "net/pump.h"

/* ---- owner ---- */

/* `length` octets of a file from `offset` on belong behind the queue as it is
 * now. fd is duplicated. WSK_OK, WSK_E_NOMEM, WSK_E_SYS. */
wsk_status wsk__parts_add_file(struct wsk_conn *conn, int fd, uint64_t offset,
                               uint64_t length, bool ends_by_close);

/* The same with octets in memory, which are lent: release(user) gives them back
 * once they have left or never will. WSK_OK, WSK_E_NOMEM. */
wsk_status wsk__parts_add_lent(struct wsk_conn *conn, const uint8_t *data,
                               size_t len, void (*release)(void *user),
                               void *user);

/* Give back what has left while the handler was running: in its thread, inside
 * the interpreter. */
void wsk__parts_give_back(struct wsk_conn *conn);

/* Write the parts, and what stands before each in the queue. */
enum wsk__io wsk__parts_flush(struct wsk_conn *conn);

/* The last reference to the connection is gone. */
void wsk__parts_free(struct wsk_conn *conn);

/* Whoever gets the descriptor waits in recv() and send(), as before a file was
 * sent. */
void wsk__parts_let_block(struct wsk_conn *conn);

#endif
