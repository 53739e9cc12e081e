/* net/os/life: references to a server, and the fork count under which they are
 * valid. */
#ifndef WSK_NET_OS_LIFE_H
#define WSK_NET_OS_LIFE_H

#include "net/os/process.h"

#include <stdatomic.h>
#include <stdbool.h>

/* The references to a server. */
struct wsk__life {
    atomic_uint refs;
    atomic_uint forks;                   /* wsk__fork_count of its process */
    void (*end)(struct wsk__life *life); /* fixed; called without references */
};

/* Return true in a forked child of the process that runs the server: the
 * server's threads do not exist there. */
static inline bool wsk__forked(const struct wsk__life *life)
{
    return atomic_load_explicit(&wsk__fork_count, memory_order_relaxed) !=
           atomic_load_explicit(&life->forks, memory_order_relaxed);
}

/* Take a reference. */
static inline void wsk__life_hold(struct wsk__life *life)
{
    atomic_fetch_add(&life->refs, 1);
}

/* Give a reference back. True: it was the last, and the caller calls `end`. */
static inline bool wsk__life_let_go(struct wsk__life *life)
{
    return atomic_fetch_sub(&life->refs, 1) == 1;
}

/* Give a reference back; the last one ends the server. */
static inline void wsk__life_drop(struct wsk__life *life)
{
    if (wsk__life_let_go(life))
        life->end(life);
}

#endif
