/* net/mailbox/stall: how fast a peer must take what is sent to it, and
 * complete the message that it sends. */
#ifndef WSK_NET_MAILBOX_STALL_H
#define WSK_NET_MAILBOX_STALL_H

#include "net/os/locks.h"
#include "wsocket.h"

struct wsk__conn;
struct wsk__served;

/* ---- lock held: the peer takes ---- */

/* Note that the kernel took some of what waits. */
void wsk__ws_sent_locked(struct wsk__served *ws) WSK__CONN_LOCKED;

/* Note that the kernel has no room. */
void wsk__ws_stall_begin_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Return when the peer must have taken something; UINT64_MAX: nothing waits.
 * now_ms may be some time ago. */
uint64_t wsk__ws_stall_deadline_locked(const struct wsk__conn *conn,
                                       uint64_t now_ms) WSK__CONN_LOCKED;

/* Return true if it has not, by a new look at the kernel. */
bool wsk__ws_has_stalled_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Return true if the peer takes what waits, though slowly. */
bool wsk__ws_is_taking_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* ---- lock held: the peer sends ---- */

/* Return when the rest of a message is due, by body_rate; UINT64_MAX: never.
 * The time in which nothing is read (while `reading` is false, or between pause
 * and resume) is not the peer's. */
uint64_t wsk__ws_arrival_due_locked(struct wsk__conn *conn,
                                    bool reading) WSK__CONN_LOCKED;

/* Stop the clock of the message: the server does not read. */
void wsk__ws_arrival_pause_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Start it again. */
void wsk__ws_arrival_resume_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Post the leader if a message has begun that it has not seen, and no ping
 * makes it look in time: it must know the deadline. */
void wsk__ws_tell_of_arrival_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

#endif
