/* net/dispatch/thread: a thread that leads the loop or runs calls. */
#ifndef WSK_NET_DISPATCH_THREAD_H
#define WSK_NET_DISPATCH_THREAD_H

#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>

struct wsk__call;
struct wsk__dispatch;

enum wsk__order { WSK__NO_ORDER, WSK__LEAD, WSK__CALL };

/* Rooms above keep something with each thread, which only they look into. */
enum wsk__own { WSK__OWN_HTTP1, WSK__OWN_WEBSOCKET, WSK__OWNS };

struct wsk__thread_room {
    size_t size; /* zeroed memory, in bytes */
    bool (*init)(void *own,
                 const wsk_server_config *cfg); /* NULL: none;
                                                   false: no memory */
    void (*clear)(void *own);
};

struct wsk__thread {
    struct wsk__dispatch *dispatch; /* fixed */
    void *user;                     /* fixed: what the hooks are given */

    /* dispatch->lock */
    struct wsk__thread *prev,
        *next; /* in dispatch->running, or in dispatch->spares */
    pthread_cond_t wake;
    enum wsk__order order;
    bool leads;
    bool in_call;
    bool parked;     /* it has given its slot away, for a peer */
    bool took_place; /* and holds one of max_parked only meanwhile */
    bool fresh;      /* takes calls from dispatch->queue and is not known to be
                        slow */
    atomic_bool entering;   /* waits for the interpreter */
    bool rearmed;           /* the loop was told to read for its WebSocket */
    uint64_t seen;          /* tick of the monitor's first look; 0: not yet */
    struct wsk__call *call; /* the one that it runs */
    struct wsk__call *upgraded; /* the same, once its request has become a
                                   WebSocket */

    /* its own */
    bool inside; /* between the hooks enter and leave */
    uint8_t *rx;
    wsk_str span;         /* received into rx, not yet fed */
    void *own[WSK__OWNS]; /* of the rooms above */
};

/* The thread record of the calling thread; NULL on threads that are not lent.
 */
extern _Thread_local struct wsk__thread *wsk__self;

enum {
    WSK__RX_SIZE = 65536, /* a thread's receive buffer */
};

#endif
