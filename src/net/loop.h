/* net/loop: the leader's turn: events, posts, deadlines, accept, stop. */
#ifndef WSK_NET_LOOP_H
#define WSK_NET_LOOP_H

#include "net/server.h"

/* Lead until the lead is lost or the server has ended. */
void wsk__lead(struct wsk__thread *th);

/* Ask the leader to look at a connection; any thread. */
void wsk__post(struct wsk_conn *conn, unsigned what);

/* The same without a system call: true if the caller has to wake the leader,
 * once it holds no lock. A post after the end of the server is lost. */
bool wsk__post_quietly(struct wsk_conn *conn, unsigned what);

/* Wake the leader; async-signal-safe. */
void wsk__wake(wsk_server *srv);

/* ---- leader ---- */

/* A connection's phase has changed: its deadline may be nearer than armed. */
void wsk__rearm(struct wsk_conn *conn);
void wsk__rearm_at(struct wsk_conn *conn, uint64_t due_ms);

/* Tell a level-triggered poller what is awaited now. */
void wsk__watch(struct wsk_conn *conn, unsigned want);

/* Half-close and throw away what still comes, so that no reset destroys the
 * last octets we sent (RFC 9112 9.6); or close at once when the peer's end has
 * been seen. */
void wsk__conn_linger(struct wsk_conn *conn);

/* Nothing is asked of it now: it may be let go for a new one. */
void wsk__conn_rests(struct wsk_conn *conn);

/* Close now. The memory stays until the batch is through. */
void wsk__conn_close(struct wsk_conn *conn);

/* ---- any thread ---- */

/* Forget calls that will never be begun: the server has ended. */
void wsk__drop_ready(wsk_server *srv);

/* Free what a dead server left behind with its last busy handler. */
void wsk__conn_orphan(struct wsk_conn *conn);

#endif
