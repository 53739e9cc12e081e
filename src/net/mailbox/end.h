/* net/mailbox/end: peers that are given up, and the line about the end. */
#ifndef WSK_NET_MAILBOX_END_H
#define WSK_NET_MAILBOX_END_H

#include "net/os/locks.h"
#include "ws/conn.h"
#include "wsocket.h"

struct wsk__conn;

/* ---- lock held ---- */

/* Let a handler that blocks in receive() read an end. */
void wsk__ws_shut_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* End the engine as if the transport had ended: the peer had its time. */
void wsk__ws_give_up_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Fail the connection because its peer does not read, and free the outbox at
 * once. Only the rest of a frame that has begun to leave is kept, before the
 * Close. */
void wsk__ws_fail_unread_locked(struct wsk__conn *conn, uint16_t code,
                                const char *reason,
                                enum wsk__ws_limit limit) WSK__CONN_LOCKED;

/* Return true if nothing may be read now, because memory is short. A peer that
 * could free some and does not is given up after a while. */
bool wsk__ws_waits_for_memory_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* ---- no lock held ---- */

/* Write the line of the access log about the end. */
void wsk__ws_log_end(struct wsk__conn *conn);

#endif
