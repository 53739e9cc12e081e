/* net/http1/run: the turns of an HTTP connection. */
#ifndef WSK_NET_HTTP1_RUN_H
#define WSK_NET_HTTP1_RUN_H

#include "net/log/limits.h"
#include "net/loop/source.h"
#include "wsocket.h"

struct wsk__thread;
struct wsk__conn;

/* ---- leader; `conn` is not busy ---- */

/* Read, call handlers and send, until there is nothing to do or other
 * connections must have their turn. */
wsk__leads wsk__http_run(struct wsk__thread *th, struct wsk__conn *conn);

/* Act on the deadline of http1/deadline, which has passed. */
wsk__leads wsk__http_expired(struct wsk__thread *th, struct wsk__conn *conn);

/* ---- leader; `conn` is busy ---- */

/* Answer a request 503: its call was queued, and will never be begun. */
void wsk__http_refuse(struct wsk__thread *th, struct wsk__conn *conn,
                      enum wsk__limit limit);

/* The call of a connection's request. */
extern const struct wsk__call_ops wsk__http_call_ops;

#endif
