/* net/topics/pump: a thread that offers publications to the subscribers of
 * large topics. It lives for as long as there is work, never leads, and takes
 * turns between topics. */
#ifndef WSK_NET_TOPICS_PUMP_H
#define WSK_NET_TOPICS_PUMP_H

#include "topic/publish.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct wsk__pump {
    struct wsk__topics *topics; /* fixed */
    atomic_uint *refs;          /* fixed: of the owner of both */
    void (*release)(struct wsk__topics *topics); /* fixed: gives one back */
    pthread_mutex_t lock;                        /* the last but the shards' */
    pthread_cond_t moved;             /* some topic was offered more */
    struct wsk__topic *first, **last; /* topics with work, linked by next_due */
    bool runs;                        /* there is a thread */
};

void wsk__pump_init(struct wsk__pump *pump);
void wsk__pump_clear(struct wsk__pump *pump);

/* Have a pinned topic passed over, and wait while its subscribers were not
 * offered more than half of what it keeps: for the pump, never for a
 * subscriber. The pin is given back. No lock is held. */
void wsk__pump_ask(struct wsk__pump *pump, struct wsk__topic *topic);

#endif
