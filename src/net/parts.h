/* net/parts: what an answer sends from elsewhere than its queue: pieces of
 * files, each behind so many octets of the queue. The loop goes on with them
 * when the handler has long returned. */
#ifndef WSK_NET_PARTS_H
#define WSK_NET_PARTS_H

#include "net/pump.h"

/* ---- owner ---- */

/* `length` octets of a file from `offset` on belong behind the queue as it is
 * now. fd is duplicated. WSK_OK, WSK_E_NOMEM, WSK_E_SYS. */
wsk_status wsk__parts_add_file(struct wsk_conn *conn, int fd, uint64_t offset,
                               uint64_t length, bool ends_by_close);

/* Write the parts, and what stands before each in the queue. */
enum wsk__io wsk__parts_flush(struct wsk_conn *conn);

/* Octets of the parts that have not left. */
uint64_t wsk__parts_owed(const struct wsk_conn *conn);

/* The last reference to the connection is gone. */
void wsk__parts_free(struct wsk_conn *conn);

#endif
