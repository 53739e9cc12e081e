/* net/websocket/load: a WebSocket's share of memory_limit. */
#ifndef WSK_NET_WEBSOCKET_LOAD_H
#define WSK_NET_WEBSOCKET_LOAD_H

#include "wsocket.h"

struct wsk__conn;

/* ---- memory_limit and queue_limit ---- */

/* The same for WebSockets, under their lock; wait: whether nothing more may be
 * read now. It fails the connection when the patience is over. */
void wsk__ws_account_locked(struct wsk__conn *conn);
bool wsk__ws_is_over_locked(const struct wsk__conn *conn);

/* The transport of a WebSocket is gone: free what its peer will not read. */
void wsk__ws_forget_locked(struct wsk__conn *conn);

#endif
