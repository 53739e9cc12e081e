/* net/dispatch/crew: the lists of threads, and the lead. Every function needs
 * dispatch's lock. */
#ifndef WSK_NET_DISPATCH_CREW_H
#define WSK_NET_DISPATCH_CREW_H

#include "net/os/locks.h"
#include "wsocket.h"

struct wsk__thread;
struct wsk__dispatch;
struct wsk__source;

/* Threads that wait: one for the lead, one for a queued call. */
enum { WSK__MIN_SPARES = 2 };

/* Add a thread that begins a call to those that run. */
void wsk__link_running_locked(struct wsk__thread *th) WSK__DISPATCH_LOCKED;

/* Remove a thread from those that run. */
void wsk__unlink_running_locked(struct wsk__thread *th) WSK__DISPATCH_LOCKED;

/* Add a thread that has no work to the spares. */
void wsk__push_spare_locked(struct wsk__thread *th) WSK__DISPATCH_LOCKED;

/* Remove a thread from the spares: it leaves. */
void wsk__drop_spare_locked(struct wsk__thread *th) WSK__DISPATCH_LOCKED;

/* Set th->fresh, and count it. */
void wsk__set_fresh_locked(struct wsk__thread *th,
                           bool fresh) WSK__DISPATCH_LOCKED;

/* Ask the leader to look at a source; wsk__dispatch_unlock() wakes the leader.
 * For the ops of calls. */
void wsk__post_locked(struct wsk__dispatch *dispatch,
                      struct wsk__source *source,
                      unsigned what) WSK__DISPATCH_LOCKED;

/* Wake the leader now if that is due: before a wait in which the lock is free.
 */
void wsk__wake_locked(struct wsk__dispatch *dispatch) WSK__DISPATCH_LOCKED;

/* Return how many threads must be made. The monitor makes them, because that
 * may take a while. */
unsigned wsk__missing_spares_locked(const struct wsk__dispatch *dispatch)
    WSK__DISPATCH_LOCKED;

/* Return true if the queue may have the next slot. Handlers that come back from
 * receive() go before the queue, but take turns with it when both wait. */
bool wsk__queue_may_run_locked(const struct wsk__dispatch *dispatch)
    WSK__DISPATCH_LOCKED;

/* Return true if only a thread whose handler returns will look at the queue:
 * the system gives no more threads, and the last is kept back for the lead. */
bool wsk__queue_is_unserved_locked(const struct wsk__dispatch *dispatch)
    WSK__DISPATCH_LOCKED;

/* Order a spare to run the calls that wait, if they may run, and ask for
 * threads that are missing. Call after each change of the state. One spare
 * always stays back for the lead. */
void wsk__kick_locked(struct wsk__dispatch *dispatch) WSK__DISPATCH_LOCKED;

/* Give up the lead, and the service of the queue, before a wait. */
void wsk__step_back_locked(struct wsk__thread *th) WSK__DISPATCH_LOCKED;

/* Let the monitor count from its next look. */
void wsk__watch_anew_locked(struct wsk__thread *th) WSK__DISPATCH_LOCKED;

/* Take the lead from a thread that is late. */
void wsk__steal_locked(struct wsk__thread *th) WSK__DISPATCH_LOCKED;

/* Return true if no thread calls, and none can be made: handlers that wait for
 * their peers may do so for ever. */
bool wsk__is_hopeless_locked(const struct wsk__dispatch *dispatch)
    WSK__DISPATCH_LOCKED;

#endif
