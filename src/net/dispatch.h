/* net/dispatch: who runs the loop, who runs the handlers. The rules are told in
 * docs/internals/dispatch.md. */
#ifndef WSK_NET_DISPATCH_H
#define WSK_NET_DISPATCH_H

#include "net/loop.h"
#include "net/server.h"

/* srv->lock is held for a few instructions. The only system calls under it are
 * signals to threads; a leader that sleeps in the poller is woken after it has
 * been released. */
static inline void wsk__dispatch_lock(wsk_server *srv)
{
    wsk__lock(&srv->lock, WSK__LOCK_DISPATCH);
}

static inline void wsk__dispatch_unlock(wsk_server *srv)
{
    bool wake_due = srv->wake_due;

    srv->wake_due = false;
    wsk__unlock(&srv->lock, WSK__LOCK_DISPATCH);
    if (wake_due)
        wsk__wake(srv);
}

/* ---- the leader, about a call it wants to make itself ---- */

/* Begin a call for `conn` in this thread; false when it must be queued. From
 * here until wsk__call_end() the lead may be taken away at any moment. */
bool wsk__call_begin(struct wsk__thread *th, struct wsk_conn *conn);

/* The same for work of our own, which needs neither the interpreter nor a slot.
 * It is never queued, for what stands there waits for the application: without
 * a spare to take the lead should it last, one is being made. */
void wsk__call_begin_aside(struct wsk__thread *th, struct wsk_conn *conn);

/* The call is over. True: this thread still leads. False: it does not, and may
 * touch nothing but what is its own. */
bool wsk__call_end(struct wsk__thread *th);

/* `conn` is ready to be called by whoever has time. WSK__LIMITS; or why it must
 * not wait: too many requests do, or nobody will ever have time. */
enum wsk__limit wsk__call_queue(wsk_server *srv, struct wsk_conn *conn);

/* It is queued still, and as many handlers run as may. */
bool wsk__call_waits_for_slot(struct wsk_conn *conn);

/* `release` is to be called, and freed, by whoever has time; any thread. */
void wsk__release_queue(wsk_server *srv, struct wsk__release *release);

/* ---- a thread in a call ---- */

/* Its request has become a WebSocket: from now on the monitor sees to it that
 * somebody reads while the handler is away. */
void wsk__call_upgraded(struct wsk__thread *th, struct wsk_conn *conn);

/* The handler has read; its absence begins anew. */
void wsk__call_is_back(struct wsk__thread *th);

/* A handler that always finds a message never waits: if others wait for its
 * slot, let them go first. */
void wsk__call_take_turns(struct wsk__thread *th);

/* The handler has found a message; false: it is the others' turn. */
bool wsk__call_goes_on(struct wsk__thread *th);

/* Handlers that wait are bounded by max_parked: reserve a place for a WebSocket
 * attempt before its call, release it when its handler has returned. */
bool wsk__socket_reserve(wsk_server *srv);
void wsk__socket_release(wsk_server *srv);

/* ---- a thread in a call that is about to wait ---- */

/* For a peer: a message, a slow body, a slow reader. The lead goes, and with it
 * the slot; unpark waits for a slot. The handler of a WebSocket has its place
 * among max_parked already, any other takes one meanwhile; where none is left,
 * the slot stays. */
void wsk__call_park(struct wsk__thread *th);
void wsk__call_unpark(struct wsk__thread *th);

/* It has taken its connection over and may stay for long: from now on it holds
 * no slot. */
void wsk__call_leave(struct wsk__thread *th);

/* ---- the interpreter ---- */

void wsk__gate_enter(struct wsk__thread *th); /* idempotent */
void wsk__gate_leave(struct wsk__thread *th); /* idempotent */

/* ---- life ---- */

bool wsk__dispatch_start(wsk_server *srv); /* the monitor and two spares */
void wsk__dispatch_end(wsk_server *srv);   /* the leader, once all is over */

/* Run this thread's share until it is no longer needed. */
void wsk__dispatch_work(struct wsk__thread *th);

#endif
