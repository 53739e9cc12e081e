/* net/dispatch/call: work that some thread does for a connection: a request's
 * handler, the events of a WebSocket. */
#ifndef WSK_NET_DISPATCH_CALL_H
#define WSK_NET_DISPATCH_CALL_H

#include <stdbool.h>

struct wsk__call;
struct wsk__thread;

/* A handler that has not read for so long is away: the loop reads for it. */
enum { WSK__AWAY_MS = 50 };

/* The kind of a call. */
struct wsk__call_ops {
    /* Make the call, which the calling thread has taken from the queue and
     * begun. The op enters the interpreter, and ends with wsk__call_end() and a
     * post, or puts the call into the queue again. */
    void (*run)(struct wsk__thread *th, struct wsk__call *call);

    /* The next three run under dispatch's lock, so they post at most, with
     * wsk__post_locked(). The call's thread has lost the lead. */
    void (*late)(struct wsk__call *call);
    /* The call's thread has not read for a while, or waits for a slot. NULL:
     * such a call does not read. */
    void (*away)(struct wsk__call *call);
    /* No thread will come for the call. */
    void (*refused)(struct wsk__call *call);

    /* Give back what the queue held: the server has ended. No lock is held. */
    void (*dropped)(struct wsk__call *call);

    bool counts; /* against queue_limit; refused if no thread can be made */
};

/* A call, which is a member of a connection. */
struct wsk__call {
    const struct wsk__call_ops *ops; /* dispatch's lock, once it is in use */
    struct wsk__call *next; /* dispatch's lock: in the queue; the call itself
                               while it is not queued */
};

/* Set up a call, which is not queued. */
static inline void wsk__call_init(struct wsk__call *call,
                                  const struct wsk__call_ops *ops)
{
    call->ops = ops;
    call->next = call;
}

#endif
