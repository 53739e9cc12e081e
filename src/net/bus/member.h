/* net/bus/member: a member of the bus of a host, for those who keep its links
 * and those who send by them. */
#ifndef WSK_NET_BUS_MEMBER_H
#define WSK_NET_BUS_MEMBER_H

#include "base/mem.h"
#include "net/bus/link.h"
#include "net/os/poller.h"
#include "net/os/wake.h"

#include <pthread.h>
#include <stdatomic.h>

struct wsk__host {
    struct wsk__route route;       /* first */
    atomic_uint refs;              /* of the topics, and of the thread */
    struct wsk__host *next;        /* of all hosts; its lock */
    char folder[WSK__FOLDER_PATH]; /* fixed */
    bool made;                     /* fixed: the folder is ours */
    struct wsk__interest interest;
    pthread_t thread;
    bool runs; /* fixed once started: there is a thread */
    atomic_bool stops;
    struct wsk__wake wake;

    pthread_mutex_t lock; /* of what follows; no event is called under it */
    pthread_cond_t joined;
    char name[WSK__MEMBER_NAME];
    int listener;               /* -1: it has none; the thread sets it */
    int holds;                  /* the folder, while there is a listener */
    struct wsk__link *outgoing; /* to each peer; the thread adds and removes */
    size_t n_awaited;           /* of them, those that the start waits for */
    uint64_t join_until_ms;
    bool has_broker;     /* this process has one: it needs no relay */
    bool has_met_broker; /* a peer has shown one */
    bool retired;        /* no relay any more */
    bool left;           /* the process ends */

    /* The thread's. */
    struct wsk__poller *poller;
    struct wsk__link *incoming, *doomed;
    size_t n_incoming;
    size_t n_peers, n_told;
    uint64_t changed_ms, look_ms;
    bool has_told, has_complained;
    atomic_bool settles; /* a thread waits until nothing comes any more */
    bool due;            /* some link needs serve_links() */
};

static inline struct wsk__host *wsk__host_of(struct wsk__route *route)
{
    return WSK__OWNER(route, struct wsk__host, route);
}

#endif
