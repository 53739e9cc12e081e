/* net/dispatch/crew: the threads: spares, runners, the lead. Every function
 * needs dispatch's lock. */
#ifndef WSK_NET_DISPATCH_CREW_H
#define WSK_NET_DISPATCH_CREW_H

#include "wsocket.h"

struct wsk__thread;
struct wsk__dispatch;
struct wsk__source;

void wsk__link_running_locked(struct wsk__thread *th);
void wsk__unlink_running_locked(struct wsk__thread *th);
void wsk__push_spare_locked(struct wsk__thread *th);
void wsk__drop_spare_locked(struct wsk__thread *th);
void wsk__set_fresh_locked(struct wsk__thread *th, bool fresh);

/* Ask the leader to look at a source; wsk__dispatch_unlock() wakes it. For the
 * ops of calls. */
void wsk__post_locked(struct wsk__dispatch *dispatch,
                      struct wsk__source *source, unsigned what);

/* Before a wait in which the lock is free: wake the leader now. */
void wsk__wake_locked(struct wsk__dispatch *dispatch);

/* Threads are asked for by the monitor: spawning may take a while. */
unsigned wsk__missing_spares_locked(const struct wsk__dispatch *dispatch);

/* Handlers that come back from receive() go before the queue, but take turns
 * with it when both wait. */
bool wsk__queue_may_run_locked(const struct wsk__dispatch *dispatch);

/* The system gives no more threads, and the last is kept back for the lead:
 * only a thread whose handler returns will look at the queue. */
bool wsk__queue_is_unserved_locked(const struct wsk__dispatch *dispatch);

/* The state has changed: if calls wait and may run, somebody shall run them.
 * One spare always stays back for the lead. */
void wsk__kick_locked(struct wsk__dispatch *dispatch);

/* A thread that is about to wait neither leads nor serves the queue. */
void wsk__step_back_locked(struct wsk__thread *th);

/* The monitor counts from its next look. */
void wsk__watch_anew_locked(struct wsk__thread *th);

/* Take the lead from a thread that is late. */
void wsk__steal_locked(struct wsk__thread *th);

/* Nobody calls, and no thread can be made. Handlers that wait for their peers
 * may do so for ever. */
bool wsk__is_hopeless_locked(const struct wsk__dispatch *dispatch);

#endif
