/* net/loop/loop: the leader's turns, in which it serves events, posts and
 * timers. */
#ifndef WSK_NET_LOOP_LOOP_H
#define WSK_NET_LOOP_LOOP_H

#include "net/loop/source.h"
#include "net/loop/timer.h"
#include "net/os/poller.h"
#include "net/os/wake.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wsk__life;
struct wsk__thread;

enum {
    WSK__BATCH = 256, /* events per look at the poller */
};

/* The loop of a server. */
struct wsk__loop {
    const struct wsk__life *life; /* fixed */
    struct wsk__poller *poller;   /* fixed */
    bool edge;                    /* fixed: the poller is edge-triggered */
    struct wsk__wake wake;        /* fixed */
    struct wsk__source wake_source;

    /* Work of the server before each wait, once all is done that needs none.
     * Fixed; called by the leader. False: the server has ended. */
    bool (*before_wait)(struct wsk__loop *loop, struct wsk__thread *th);

    /* leader */
    struct wsk__poll_event events[WSK__BATCH];
    size_t ev_i, ev_n; /* the unread part of a batch moves with the lead */
    uint64_t turn;     /* looks at the poller */
    size_t posts_due;  /* posts to heed before the poller's next turn */
    struct wsk__wheel wheel;
    uint64_t now_ms;

    atomic_bool sleeping; /* the leader is, or is about to be, in the poller */
    pthread_mutex_t post_lock;
    WSK__GUARDED_BY(wsk__cap_posts) struct {
        struct wsk__source *posts, **posts_tail;
        size_t n_posts;
        bool posts_closed; /* the loop has ended */
    };
};

/* Make the poller and the wake-up. False: the system refuses; the loop must be
 * closed all the same. `use_poll`: poll() instead of the system's own poller.
 */
bool wsk__loop_open(struct wsk__loop *loop, const struct wsk__life *life,
                    bool use_poll);

/* Free all that the loop holds. */
void wsk__loop_close(struct wsk__loop *loop);

/* Lead until the lead is lost or the server has ended. */
void wsk__loop_lead(struct wsk__loop *loop, struct wsk__thread *th);

/* Set the timer of a source, or move it. Leader. */
static inline void wsk__loop_set_timer(struct wsk__loop *loop,
                                       struct wsk__source *source,
                                       uint64_t due_ms)
{
    wsk__timer_set(&loop->wheel, &source->timer, due_ms);
}

/* Disarm the timer of a source. Leader. */
static inline void wsk__loop_clear_timer(struct wsk__loop *loop,
                                         struct wsk__source *source)
{
    wsk__timer_clear(&loop->wheel, &source->timer);
}

#endif
