/* net/dispatch/calls: begins, queues, parks and ends calls of the application.
 */
#ifndef WSK_NET_DISPATCH_CALLS_H
#define WSK_NET_DISPATCH_CALLS_H

#include "net/log/limits.h"
#include "net/loop/source.h"
#include "net/os/locks.h"
#include "wsocket.h"

struct wsk__thread;
struct wsk__call;
struct wsk__call_ops;
struct wsk__dispatch;

/* A function to call once memory that was lent for an answer is no longer
 * needed. It tells the owner, and may need the interpreter. The first member of
 * a block of its own. */
struct wsk__release {
    struct wsk__release *next;
    void (*call)(void *user);
    void *user;
};

/* ---- the leader, about a call it wants to make itself ---- */

/* Begin a call for `call` in this thread; false if it must be queued. From here
 * until wsk__call_end() the lead may be taken away at any moment. */
bool wsk__call_begin(struct wsk__thread *th, struct wsk__call *call);

/* The same for work of the server's own, which needs neither the interpreter
 * nor a slot. Never queued, because the queue waits for the application. If no
 * spare exists to take the lead from a slow one, the monitor is making one. */
void wsk__call_begin_aside(struct wsk__thread *th, struct wsk__call *call);

/* ---- a thread in a call ---- */

/* End the call. False: another thread leads, or none; this thread may touch
 * only what is its own. */
wsk__leads wsk__call_end(struct wsk__thread *th);

/* Turn the call of a request into that of a WebSocket: from now on the monitor
 * sees to it that the loop reads while the handler is away. */
void wsk__call_becomes(struct wsk__thread *th, struct wsk__call *call,
                       const struct wsk__call_ops *ops);

/* Count the handler's absence anew: it has read. */
void wsk__call_is_back(struct wsk__thread *th);

/* Let others that wait for the handler's slot go first: a handler that always
 * finds a message never waits. */
void wsk__call_take_turns(struct wsk__thread *th);

/* Go on with the next message that was found; false: it is the others' turn. */
bool wsk__call_goes_on(struct wsk__thread *th);

/* Give the lead and the slot away before a wait for the peer: for a message, a
 * slow body, a slow reader. The handler of a WebSocket has its place among
 * max_parked already; any other takes one meanwhile, and keeps its slot if none
 * is left. */
void wsk__call_park(struct wsk__thread *th);

/* Wait for a slot after wsk__call_park(). */
void wsk__call_unpark(struct wsk__thread *th);

/* Give the slot away for good: the handler has taken its connection over, and
 * may stay for long. */
void wsk__call_leave(struct wsk__thread *th);

/* ---- a thread between calls ---- */

/* Begin the next queued call in this thread; or return a release to call, which
 * gives memory back and so goes first. False: there is neither, or another
 * thread sees to them. */
bool wsk__next_call(struct wsk__thread *th, struct wsk__call **call,
                    struct wsk__release **release);

/* ---- any thread ---- */

/* Queue a call for the next thread that has time. WSK__NO_LIMIT; or why the
 * call must not wait: too many requests wait, or no thread will ever have
 * time. */
enum wsk__limit wsk__call_queue(struct wsk__dispatch *dispatch,
                                struct wsk__call *call);

/* Return true if the call is still queued, and as many handlers run as may. */
bool wsk__call_waits_for_slot(struct wsk__dispatch *dispatch,
                              const struct wsk__call *call);

/* Return true if requests are queued because as many handlers run as may. */
bool wsk__calls_wait(struct wsk__dispatch *dispatch);

/* Queue a release for the next thread that has time; that thread frees it. */
void wsk__release_queue(struct wsk__dispatch *dispatch,
                        struct wsk__release *release);

/* Reserve a place among max_parked for a WebSocket attempt, before its call:
 * handlers that wait are bounded. */
bool wsk__socket_reserve(struct wsk__dispatch *dispatch);

/* Release that place, once the handler has returned. */
void wsk__socket_release(struct wsk__dispatch *dispatch);

/* Return true if calls run, wait or are queued, or releases are. The leader is
 * woken when the last of them has ended. */
bool wsk__calls_open(struct wsk__dispatch *dispatch);

/* Refuse the calls that would wait for a new thread: the system gives none. */
void wsk__despair_locked(struct wsk__dispatch *dispatch) WSK__DISPATCH_LOCKED;

/* The same for a caller that does not hold the lock. */
void wsk__dispatch_no_thread(struct wsk__dispatch *dispatch);

/* Forget calls that will never be begun: the server has ended. */
void wsk__drop_queue(struct wsk__dispatch *dispatch);

#endif
