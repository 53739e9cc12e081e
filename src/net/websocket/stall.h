/* net/websocket/stall: the least that the peer of a WebSocket must take and
 * send. */
#ifndef WSK_NET_WEBSOCKET_STALL_H
#define WSK_NET_WEBSOCKET_STALL_H

#include "wsocket.h"

struct wsk__conn;

/* A thread reads a message that the leader has not seen: where no ping makes it
 * look in time, it shall know the deadline. */
void wsk__ws_tell_of_arrival_locked(struct wsk__conn *conn);

/* ---- the least that must move; owner ---- */

/* The same for a WebSocket, under its lock; over: none was taken for as long as
 * a peer may take. The deadline is UINT64_MAX while it need not read. */
void wsk__ws_stall_begin_locked(struct wsk__conn *conn);
uint64_t wsk__ws_stall_deadline_locked(const struct wsk__conn *conn);
bool wsk__ws_stall_is_over_locked(struct wsk__conn *conn);

/* Whether its peer takes what we send, though slowly. */
bool wsk__ws_is_taking_locked(struct wsk__conn *conn);

/* The same for a message that comes, as for a body; under the lock. `reading`:
 * we take what comes, else it is not the peer's time. UINT64_MAX: none is due.
 * Pause and resume: for a thread that has received, or is about to. */
uint64_t wsk__ws_arrival_due_locked(struct wsk__conn *conn, bool reading);
void wsk__ws_arrival_pause_locked(struct wsk__conn *conn);
void wsk__ws_arrival_resume_locked(struct wsk__conn *conn);

#endif
