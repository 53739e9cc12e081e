/* net/deadline: how long an HTTP peer, a handler and a crowd may take. */
#ifndef WSK_NET_DEADLINE_H
#define WSK_NET_DEADLINE_H

#include "net/pump.h"

/* ---- leader; `conn` is not busy ---- */

/* The deadline of the connection's phase; UINT64_MAX: none. */
uint64_t wsk__http_deadline(const struct wsk_conn *conn);

/* That deadline has passed. False: the lead was lost. */
bool wsk__http_expired(struct wsk__thread *th, struct wsk_conn *conn);

/* ---- the least that must move; owner ---- */

/* We read for its body again. */
void wsk__arrival_resume(struct wsk_conn *conn);

/* The kernel takes no more of the answer: from now on the peer must. */
void wsk__stall_begin(struct wsk_conn *conn);

/* It has taken too little until now. */
bool wsk__stall_is_over(struct wsk_conn *conn);

/* The same for a WebSocket, under its lock; over: none was taken for as long as
 * a peer may take. The deadline is UINT64_MAX while it need not read. */
void wsk__ws_stall_begin_locked(struct wsk_conn *conn);
uint64_t wsk__ws_stall_deadline_locked(const struct wsk_conn *conn);
bool wsk__ws_stall_is_over_locked(struct wsk_conn *conn);

/* Whether its peer takes what we send, though slowly. */
bool wsk__ws_is_taking_locked(struct wsk_conn *conn);

/* The same for a message that comes, as for a body; under the lock. `reading`:
 * we take what comes, else it is not the peer's time. UINT64_MAX: none is due.
 * Pause and resume: for a thread that has received, or is about to. */
uint64_t wsk__ws_arrival_due_locked(struct wsk_conn *conn, bool reading);
void wsk__ws_arrival_pause_locked(struct wsk_conn *conn);
void wsk__ws_arrival_resume_locked(struct wsk_conn *conn);

/* ---- memory_limit and queue_limit ---- */

/* What the connection holds has changed; owner. It has gone; leader. */
void wsk__load_account(struct wsk_conn *conn);
void wsk__load_forget(struct wsk_conn *conn);

/* Whether no more may be read for it, nor a WebSocket begun. Owner. */
bool wsk__load_is_over(const struct wsk_conn *conn);

/* Read no further, until others need less or the patience is over. Leader. */
void wsk__load_wait(struct wsk_conn *conn);

/* The same for WebSockets, under their lock; wait: whether nothing more may be
 * read now. It fails the connection when the patience is over. */
void wsk__ws_account_locked(struct wsk_conn *conn);
bool wsk__ws_is_over_locked(const struct wsk_conn *conn);
bool wsk__ws_over_wait_locked(struct wsk_conn *conn);
enum { WSK__OVER_LOOK_MS = 50, WSK__HELD_LOOK_MS = 500 }; /* until the next */

/* The transport of a WebSocket is gone: free what its peer will not read. */
void wsk__ws_forget_locked(struct wsk_conn *conn);

/* ---- request_timeout ---- */

/* A request is about to be called; leader. */
void wsk__overdue_arm(struct wsk_conn *conn);

/* Its request was queued: from now on a long wait for a slot is told; leader.
 */
void wsk__wait_arm(struct wsk_conn *conn);

/* A timer of a busy connection has fired; leader. */
void wsk__wait_told(struct wsk_conn *conn);
void wsk__overdue(struct wsk__thread *th, struct wsk_conn *conn);

/* Whether the handler may still answer, or (`socket`) upgrade; its thread. */
bool wsk__claim_answer(struct wsk_conn *conn, enum wsk__claim as);

/* Whether its client was told that it takes too long; any thread. */
bool wsk__is_overdue(const struct wsk_conn *conn);

#endif
