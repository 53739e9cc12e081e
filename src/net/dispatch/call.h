/* net/dispatch/call: work that some thread does for a connection: a request's
 * handler, the events of a WebSocket. */
#ifndef WSK_NET_DISPATCH_CALL_H
#define WSK_NET_DISPATCH_CALL_H

#include <stdbool.h>

struct wsk__call;
struct wsk__thread;

struct wsk__call_ops {
    /* Do it: a thread has taken it from the queue, and has begun it. The op
     * enters the interpreter, and ends with wsk__call_end() and a post, or the
     * call's next turn in the queue. */
    void (*run)(struct wsk__thread *th, struct wsk__call *call);

    /* The rest posts at most (wsk__post_locked()), for dispatch's lock is held.
     * Its thread has lost the lead. */
    void (*late)(struct wsk__call *call);
    /* Its thread has not read for a while, or waits for a slot. NULL: it does
     * not read. */
    void (*away)(struct wsk__call *call);
    /* No thread will come for it. */
    void (*refused)(struct wsk__call *call);

    /* The server has ended: give back what the queue held. No lock is held. */
    void (*dropped)(struct wsk__call *call);

    bool counts; /* in queue_limit, and refused where no thread can be made */
};

struct wsk__call {
    const struct wsk__call_ops *ops; /* dispatch's lock, once it is in use */
    struct wsk__call *next;          /* dispatch's lock: in the queue */
    bool queued;                     /* the same */
};

#endif
