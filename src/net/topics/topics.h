/* net/topics/topics: the topics of a process, for servers and programs. */
#ifndef WSK_NET_TOPICS_TOPICS_H
#define WSK_NET_TOPICS_TOPICS_H

#include "base/mem.h"
#include "net/bus/folder.h"
#include "net/bus/route.h"
#include "net/log/log.h"
#include "net/log/metrics.h"
#include "net/os/process.h"
#include "net/topics/pump.h"
#include "topic/topics.h"
#include "ws/pool.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>

/* The topics of a process, that of one or several servers. */
struct wsk_topics {
    struct wsk__topics core; /* first */
    atomic_uint refs;
    atomic_uint forks;         /* wsk__fork_count of the process that uses it */
    atomic_ullong message_max; /* bytes of a publication */
    atomic_uint backlog;       /* bytes that a topic keeps, if it is new */
    atomic_uint level;         /* of compression; 0: fast */
    atomic_ullong threshold;   /* bytes of a message worth compressing */
    struct wsk__pool pool;
    struct wsk__pump pump;
    uint64_t node; /* fixed: names this process to others, at random; not 0 */
    uint64_t mask; /* fixed: makes numbers of addresses, for others */
    /* Ways to other processes, each set once; NULL: none. With a broker all
     * publications go through it, and the bus carries disconnect only. */
    _Atomic(struct wsk__route *) bus, broker;
    atomic_bool broker_takes;               /* the broker takes publications */
    atomic_bool serves;                     /* there is or was a server */
    const struct wsk__route_events *events; /* fixed: of both */
    /* Calls of wsk_topics_publish(), those that failed, publications of other
     * processes, gaps. */
    atomic_ullong own, failed, others, gaps;
    pthread_mutex_t join_lock;         /* the first, of those who join a bus */
    atomic_bool joined;                /* a way was found, or there is none */
    char bus_option[WSK__FOLDER_PATH]; /* join_lock: auto, off or a folder */
    char folder[WSK__FOLDER_PATH];     /* of the bus; "" until it is joined */
    pthread_mutex_t ears_lock; /* taken last: of those who listen to it */
    struct wsk__logs *logs;    /* of a server; NULL: there is none */
    wsk_gap *on_gap;           /* or NULL */
    void *gap_user;
};

/* Return the topics that a model is of; NULL for none. */
static inline wsk_topics *wsk__topics_of(struct wsk__topics *core)
{
    return core == NULL ? NULL : WSK__OWNER(core, struct wsk_topics, core);
}

/* Where a server's options and lines belong. */
struct wsk__serving {
    const wsk_server_config *cfg;
    unsigned level;     /* of compression */
    uint64_t threshold; /* bytes of a message worth compressing */
    struct wsk__logs *logs;
};

/* Serve a server that starts, in this process: its options count. */
void wsk__topics_serve(struct wsk_topics *topics,
                       const struct wsk__serving *how);

/* Log no more to a server that ends. */
void wsk__topics_leave(struct wsk_topics *topics, const struct wsk__logs *logs);

/* Write the numbers for operators among those of the process. */
void wsk__topics_measure(struct wsk_topics *topics,
                         uint64_t counters[WSK__COUNTERS],
                         uint64_t gauges[WSK__GAUGES]);

/* Return the way of publications; NULL: they stay in this process. */
static inline struct wsk__route *
wsk__topics_route(const struct wsk_topics *topics)
{
    struct wsk__route *broker =
        atomic_load_explicit(&topics->broker, memory_order_acquire);

    return broker != NULL
               ? broker
               : atomic_load_explicit(&topics->bus, memory_order_acquire);
}

/* Wait until what others publish to a topic, which was just subscribed to,
 * arrives. No lock is held. */
static inline void wsk__topics_confirm(const struct wsk_topics *topics,
                                       wsk_str topic)
{
    struct wsk__route *route = wsk__topics_route(topics);

    if (route != NULL)
        route->ops->confirm(route, topic);
}

/* Return true in a forked child of the process that uses them. */
static inline bool wsk__topics_elsewhere(const struct wsk_topics *topics)
{
    return atomic_load_explicit(&topics->forks, memory_order_relaxed) !=
           atomic_load_explicit(&wsk__fork_count, memory_order_relaxed);
}

#endif
