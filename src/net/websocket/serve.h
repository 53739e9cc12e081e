/* net/websocket/serve: the loop's work for a WebSocket. */
#ifndef WSK_NET_WEBSOCKET_SERVE_H
#define WSK_NET_WEBSOCKET_SERVE_H

#include "net/loop/source.h"

struct wsk__conn;
struct wsk__thread;

/* ---- leader; `conn` is not busy ---- */

/* Read, deliver events, send and set the next deadline, as far as possible. */
wsk__leads wsk__ws_serve(struct wsk__thread *th, struct wsk__conn *conn);

/* Return the deadline of the connection's phase; UINT64_MAX: none. */
uint64_t wsk__ws_deadline(struct wsk__conn *conn);

/* Act on that deadline, which has passed. */
wsk__leads wsk__ws_expired(struct wsk__thread *th, struct wsk__conn *conn);

/* Prepare its end: the server leaves, see conns->drain. */
void wsk__ws_drain(struct wsk__conn *conn);

/* Send the Close frame now, and give the peer a moment for its own: the
 * server's time is up. */
void wsk__ws_end(struct wsk__conn *conn);

/* ---- any thread that holds no lock ---- */

/* Close, unless handlers were attached: the request's handler has returned. */
void wsk__ws_handler_done(struct wsk__conn *conn);

#endif
