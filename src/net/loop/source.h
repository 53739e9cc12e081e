/* net/loop/source: the owner of events, posts and a timer of the loop. */
#ifndef WSK_NET_LOOP_SOURCE_H
#define WSK_NET_LOOP_SOURCE_H

#include "net/loop/timer.h"
#include "net/os/locks.h"

#include <stdatomic.h>
#include <stdbool.h>

struct wsk__source;
struct wsk__thread;

/*
 * True: the calling thread still leads the loop. A function that returns this
 * type may run a call of the application, during which the monitor may give the
 * lead to another thread. False: touch nothing and return false. The loop and
 * its connections are the new leader's; only a reference that the calling
 * thread has taken itself is left to it, to post and to give back.
 */
typedef bool wsk__leads;

/* The functions by which the loop serves a source. */
struct wsk__source_ops {
    /* Serve a descriptor that is ready; `what`: bits of os/poller. Leader. */
    wsk__leads (*ready)(struct wsk__thread *th, struct wsk__source *source,
                        unsigned what);
    /* Serve a post; `what`: all bits since the last look. Leader. */
    wsk__leads (*posted)(struct wsk__thread *th, struct wsk__source *source,
                         unsigned what);
    /* Serve a timer that has fired. Leader. */
    wsk__leads (*expired)(struct wsk__thread *th, struct wsk__source *source);
    /* Give back a reference, which a post has taken. Any thread. */
    void (*drop)(struct wsk__source *source);
    /* Handle a post that came after the end of the loop. Any thread. */
    void (*orphaned)(struct wsk__source *source, unsigned what);
};

/* The first member of all that a poller event points at. An op that is never
 * needed is NULL. */
struct wsk__source {
    const struct wsk__source_ops *ops; /* fixed */
    struct wsk__timer timer;           /* leader */
    struct wsk__source *post_next;     /* loop's post_lock */
    atomic_uint refs;     /* those of open posts, and of the owner */
    unsigned char posted; /* post_lock: bits of the open post */
};

#endif
