/* net/websocket/end: a peer that is given up. */
#ifndef WSK_NET_WEBSOCKET_END_H
#define WSK_NET_WEBSOCKET_END_H

#include "wsocket.h"

struct wsk__conn;

/* Wake a handler that blocks in receive(): it reads an end. */
void wsk__ws_shut_locked(struct wsk__conn *conn);

/* The peer had its time. */
void wsk__ws_give_up_locked(struct wsk__conn *conn);

/* Write the access line of a WebSocket that is over; its lock is free. */
void wsk__ws_log_end(struct wsk__conn *conn);

/* ---- memory_limit and queue_limit ---- */

bool wsk__ws_over_wait_locked(struct wsk__conn *conn);

/* ---- lock held: WebSockets ---- */

/* Fail the connection for what its peer does not read. That is freed at once;
 * only a frame that has begun to leave is kept, before the Close. */
void wsk__ws_fail_unread_locked(struct wsk__conn *conn, uint16_t code,
                                const char *reason, const char *option);

#endif
