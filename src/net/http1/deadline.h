/* net/http1/deadline: timeouts of HTTP peers, and the least that must move. */
#ifndef WSK_NET_HTTP1_DEADLINE_H
#define WSK_NET_HTTP1_DEADLINE_H

#include "wsocket.h"

struct wsk__conn;

/* ---- leader; `conn` is not busy ---- */

/* The deadline of the connection's phase; UINT64_MAX: none. */
uint64_t wsk__http_deadline(const struct wsk__conn *conn);

/* ---- the least that must move; owner ---- */

/* We read for its body again. */
void wsk__arrival_resume(struct wsk__conn *conn);

/* The kernel takes no more of the answer: from now on the peer must. */
void wsk__stall_begin(struct wsk__conn *conn);

/* It has taken too little until now. */
bool wsk__stall_is_over(struct wsk__conn *conn);

#endif
