/* net/dispatch/calls: calls of the application: begun, queued, parked, ended.
 */
#ifndef WSK_NET_DISPATCH_CALLS_H
#define WSK_NET_DISPATCH_CALLS_H

#include "net/log/limits.h"
#include "wsocket.h"

struct wsk__thread;
struct wsk__call;
struct wsk__call_ops;
struct wsk__dispatch;

/* What was lent for an answer is no longer needed: `call` tells its owner, who
 * may need the interpreter. The first member of a block of its own. */
struct wsk__release {
    struct wsk__release *next;
    void (*call)(void *user);
    void *user;
};

/* The next queued call, begun for this thread, or what to release, which gives
 * memory back and so goes first. False when there is neither, or another thread
 * sees to them. */
bool wsk__next_call(struct wsk__thread *th, struct wsk__call **call,
                    struct wsk__release **release);
void wsk__despair_locked(struct wsk__dispatch *dispatch);
/* The system gives no more threads: calls that would wait for one are refused.
 */
void wsk__dispatch_no_thread(struct wsk__dispatch *dispatch);
bool wsk__calls_open(struct wsk__dispatch *dispatch);

/* ---- the leader, about a call it wants to make itself ---- */

/* Begin a call for `call` in this thread; false when it must be queued. From
 * here until wsk__call_end() the lead may be taken away at any moment. */
bool wsk__call_begin(struct wsk__thread *th, struct wsk__call *call);

/* The same for work of our own, which needs neither the interpreter nor a slot.
 * It is never queued, for what stands there waits for the application: without
 * a spare to take the lead should it last, one is being made. */
void wsk__call_begin_aside(struct wsk__thread *th, struct wsk__call *call);

/* The call is over. True: this thread still leads. False: it does not, and may
 * touch nothing but what is its own. */
bool wsk__call_end(struct wsk__thread *th);

/* `call` is ready to be called by whoever has time. WSK__LIMITS; or why it must
 * not wait: too many requests do, or nobody will ever have time. */
enum wsk__limit wsk__call_queue(struct wsk__dispatch *dispatch,
                                struct wsk__call *call);

/* It is queued still, and as many handlers run as may. */
bool wsk__call_waits_for_slot(struct wsk__dispatch *dispatch,
                              const struct wsk__call *call);

/* `release` is to be called, and freed, by whoever has time; any thread. */
void wsk__release_queue(struct wsk__dispatch *dispatch,
                        struct wsk__release *release);

/* ---- a thread in a call ---- */

/* Its request has become a WebSocket: from now on the monitor sees to it that
 * somebody reads while the handler is away. */
void wsk__call_becomes(struct wsk__thread *th, struct wsk__call *call,
                       const struct wsk__call_ops *ops);

/* The handler has read; its absence begins anew. */
void wsk__call_is_back(struct wsk__thread *th);

/* A handler that always finds a message never waits: if others wait for its
 * slot, let them go first. */
void wsk__call_take_turns(struct wsk__thread *th);

/* The handler has found a message; false: it is the others' turn. */
bool wsk__call_goes_on(struct wsk__thread *th);

/* Handlers that wait are bounded by max_parked: reserve a place for a WebSocket
 * attempt before its call, release it when its handler has returned. */
bool wsk__socket_reserve(struct wsk__dispatch *dispatch);
void wsk__socket_release(struct wsk__dispatch *dispatch);

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

/* ---- any thread ---- */

/* Forget calls that will never be begun: the server has ended. */
void wsk__drop_queue(struct wsk__dispatch *dispatch);

#endif
