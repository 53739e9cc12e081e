/* net/dispatch/thread: a thread that leads the loop or runs calls. */
#ifndef WSK_NET_DISPATCH_THREAD_H
#define WSK_NET_DISPATCH_THREAD_H

#include "net/os/locks.h"
#include "wsocket.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

struct wsk__call;
struct wsk__dispatch;

/* The next task of a spare. */
enum wsk__order { WSK__NO_ORDER, WSK__LEAD, WSK__CALL };

/* The rooms above that keep data with each thread, in wsk__thread.own. */
enum wsk__own { WSK__OWN_HTTP1, WSK__OWN_WEBSOCKET, WSK__OWNS };

/* The data that a room above keeps with each thread. */
struct wsk__thread_room {
    size_t size; /* bytes of zeroed memory for each thread */
    /* Set up the data of a new thread. False: memory is out. May be NULL. */
    bool (*init)(void *own, const wsk_server_config *cfg);
    /* Free what the data hold, but not the data. */
    void (*clear)(void *own);
};

/* A thread that serves. */
struct wsk__thread {
    struct wsk__dispatch *dispatch; /* fixed */
    void *user;                     /* fixed: argument of the hooks */

    pthread_cond_t wake; /* with dispatch->lock */
    WSK__GUARDED_BY(wsk__cap_dispatch) struct {
        struct wsk__thread *prev, *next; /* in dispatch->running, or spares */
        enum wsk__order order;
        bool leads;
        bool fresh;   /* takes calls from dispatch->queue and is not known to be
                         slow */
        bool rearmed; /* the loop was told to read for the WebSocket */
        uint64_t seen; /* tick of the monitor's first look; 0: not yet */
        struct wsk__call *call; /* the call that runs; NULL: a release, or none
                                 */
    };

    /* Written by this thread under dispatch->lock. This thread may read them
     * without, others under it. */
    bool in_call;
    bool parked;                /* waits for a peer without a slot */
    bool took_place;            /* a place of max_parked is taken for that wait
                                   only */
    struct wsk__call *upgraded; /* the call, once its request has become a
                                   WebSocket */

    atomic_bool entering; /* waits for the interpreter; others read it */

    /* this thread only */
    bool inside;       /* between the hooks enter and leave */
    uint64_t entry_ns; /* how long the call waited for the interpreter, for the
                          metrics; 0: it did not enter */
    uint8_t *rx;
    wsk_str span;         /* input in rx that is not yet fed */
    void *own[WSK__OWNS]; /* data of the rooms above */
};

/* The record of the calling thread; NULL if it serves no server. */
extern _Thread_local struct wsk__thread *wsk__self;

/* Debug builds assert that `th` is the calling thread, and leads the loop. It
 * reads `leads` without the lock, for the lead is taken only from a thread that
 * is in a call. */
static inline void
wsk__assert_leads(const struct wsk__thread *th) WSK__NO_ANALYSIS
{
    (void)th;
    assert(th != NULL && th == wsk__self && th->leads);
}

enum {
    WSK__RX_SIZE = 65536, /* a thread's receive buffer */
};

/* Make the record of a thread, with the data of each room above. NULL: memory
 * is out. */
struct wsk__thread *wsk__thread_new(struct wsk__dispatch *dispatch, void *user);

/* Free a record. */
void wsk__thread_free(struct wsk__thread *th);

#endif
