/* net/dispatch/dispatch: the threads of a server, of which one leads the loop
 * and others run handlers. docs/internals/dispatch.md gives the rules. */
#ifndef WSK_NET_DISPATCH_DISPATCH_H
#define WSK_NET_DISPATCH_DISPATCH_H

#include "net/dispatch/thread.h"
#include "net/os/locks.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wsk__life;
struct wsk__logs;
struct wsk__loop;
struct wsk__metrics;
struct wsk__release;
struct wsk__spare;
struct wsk__thread;
struct wsk__call;

/* The threads and calls of a server. */
struct wsk__dispatch {
    const wsk_server_config *cfg; /* fixed */
    struct wsk__life *life;       /* fixed */
    struct wsk__loop *loop;       /* fixed */
    struct wsk__logs *logs;       /* fixed */
    struct wsk__metrics *metrics; /* fixed once listening; NULL: none */
    const struct wsk__thread_room *rooms[WSK__OWNS]; /* fixed */
    wsk_hooks hooks;                                 /* fixed */
    void (*leave)(void); /* fixed once listening: called by each thread before
                            it is counted as gone; or NULL */
    int steal_every;     /* fixed; for tests: steal the lead at each nth call */
    _Atomic(struct wsk__spare *) spare; /* see handle/spare; or NULL */
    atomic_uint slow_entries;           /* until inline calls are tried again */
    bool started;                       /* fixed once the monitor runs */

    pthread_mutex_t lock;
    pthread_cond_t monitor_wake, slot_free, changed; /* with it */
    WSK__GUARDED_BY(wsk__cap_dispatch) struct {
        struct wsk__thread *spares;  /* a stack */
        struct wsk__thread *running; /* in a call and not parked */
        struct wsk__call *queue, **queue_tail;
        unsigned n_queued;             /* requests in `queue` */
        struct wsk__release *releases; /* in no order */
        unsigned n_spares, n_running, n_parked, n_fresh, n_threads;
        unsigned
            n_upgraded; /* running or parked: requests that are WebSockets */
        unsigned n_awaiting;  /* threads asked for, not yet here */
        unsigned n_places;    /* of max_parked in use: by attempts in a call and
                                 their sockets, and by handlers that wait */
        bool queue_turn;      /* the next slot is the queue's */
        unsigned n_unparking; /* parked threads that wait for a slot */
        bool led;             /* some thread leads, or was ordered to */
        bool ended, monitor_asleep, monitor_gone;
        bool wake_due;    /* the leader is to be woken once `lock` is free */
        bool end_awaited; /* the leader waits for the last call to end */
        uint64_t tick;    /* time of the monitor, see TICK_US */
        uint64_t spawn_after_ms; /* time of the next try to make a thread */
        bool no_threads; /* none could be made, and none has come since */
        uint64_t calls;  /* begun since the start */
    };
};

/* Make the lock. The fixed members are set already. */
void wsk__dispatch_open(struct wsk__dispatch *dispatch);

/* Destroy the lock, and free releases that no thread has run. */
void wsk__dispatch_close(struct wsk__dispatch *dispatch);

/* Let all threads leave. Called by the leader, once all calls have ended. */
void wsk__dispatch_end(struct wsk__dispatch *dispatch);

/* Serve with the calling thread until it is no longer needed; the hooks get
 * `user`. */
void wsk__dispatch_work(struct wsk__dispatch *dispatch, void *user);

/* Unlock, and give back the reference of a thread that has gone, which is told
 * to those that wait for it. They may free the server at once: the thread must
 * not touch it any more. */
void wsk__dispatch_depart(struct wsk__dispatch *dispatch)
    WSK__RELEASE(wsk__cap_dispatch);

/* Make a thread that serves likewise. False: the system refuses. */
bool wsk__spawn_own(struct wsk__dispatch *dispatch) WSK__EXCLUDES_ALL;

/* Return true if no thread is left, and none will come. */
bool wsk__all_gone_locked(const struct wsk__dispatch *dispatch)
    WSK__DISPATCH_LOCKED;

#endif
