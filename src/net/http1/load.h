/* net/http1/load: HTTP's share of memory_limit. */
#ifndef WSK_NET_HTTP1_LOAD_H
#define WSK_NET_HTTP1_LOAD_H

#include "wsocket.h"

struct wsk__conn;

/* ---- memory_limit and queue_limit ---- */

/* What the connection holds has changed; owner. It has gone; leader. */
void wsk__load_account(struct wsk__conn *conn);
void wsk__load_forget(struct wsk__conn *conn);

/* Whether no more may be read for it, nor a WebSocket begun. Owner. */
bool wsk__load_is_over(const struct wsk__conn *conn);

/* Read no further, until others need less or the patience is over. Leader. */
void wsk__load_wait(struct wsk__conn *conn);

#endif
