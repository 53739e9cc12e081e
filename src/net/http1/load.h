/* net/http1/load: HTTP's share of memory_limit. */
#ifndef WSK_NET_HTTP1_LOAD_H
#define WSK_NET_HTTP1_LOAD_H

#include "wsocket.h"

struct wsk__conn;

/* Count what the connection buffers now: input, body, an unfinished head.
 * Owner.
 */
void wsk__load_account(struct wsk__conn *conn);

/* Count nothing for it any more. Owner, or leader. */
void wsk__load_forget(struct wsk__conn *conn);

/* Return true if memory_limit is reached, and this connection must read no
 * more, nor become a WebSocket. Owner. */
bool wsk__load_is_past(const struct wsk__conn *conn);

/* Read no more until other connections need less, or the deadline has come.
 * Leader. */
void wsk__load_wait(struct wsk__conn *conn);

#endif
