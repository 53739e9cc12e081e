/* net/http1/deadline: timeouts of HTTP peers, and minimum data rates. */
#ifndef WSK_NET_HTTP1_DEADLINE_H
#define WSK_NET_HTTP1_DEADLINE_H

#include "http/conn.h"
#include "net/conn/conn.h"
#include "net/http1/exchange.h"
#include "net/os/stream.h"
#include "wsocket.h"

struct wsk__conn;

/* ---- leader; `conn` is not busy ---- */

/* Return the deadline of the connection's phase; UINT64_MAX: there is none. */
uint64_t wsk__http_deadline(const struct wsk__conn *conn);

/* ---- owner ---- */

/* Return true if a part of a head has come, in a record of TLS perhaps that is
 * not whole. */
static inline bool wsk__head_has_begun(const struct wsk__conn *conn)
{
    return wsk__http_head_begun(&conn->h->http) ||
           (wsk__stream_is_partial(&conn->stream) && conn->h->head == NULL);
}

/* ---- owner: minimum data rates ---- */

/* Read for the body again: the time in which we did not was not the peer's. */
void wsk__arrival_resume(struct wsk__conn *conn);

/* Start the clock of a reader: the kernel takes no more of the answer. */
void wsk__stall_begin(struct wsk__conn *conn);

/* Return true if the reader has taken too little since then. */
bool wsk__stall_is_too_long(struct wsk__conn *conn);

#endif
