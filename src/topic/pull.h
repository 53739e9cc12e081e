/* topic/pull: what a subscriber has yet to get, of all its topics, in the order
 * in which it was published. The subscriber's lock is held. */
#ifndef WSK_TOPIC_PULL_H
#define WSK_TOPIC_PULL_H

#include "topic/topics.h"

enum { WSK__PULL_MAX = 20 }; /* publications of one pull */

struct wsk__pull {
    struct wsk__publication *some[WSK__PULL_MAX]; /* references, by seq */
    size_t n;
    uint64_t until; /* with all of them it has got everything up to here */
    bool more;      /* than there is room for */
};

/* Return true if there may be something for the subscriber. */
static inline bool wsk__pull_is_due(const struct wsk__topics *t,
                                    const struct wsk__subscriber *s)
{
    return s->seen != atomic_load_explicit(&t->seq, memory_order_acquire) &&
           s->n > 0;
}

/*
 * Collect at most `max` publications for the subscriber, which keeps its
 * cursors: wsk__pulled() must follow. What lags behind its topic's log is
 * treated as its policy says, even if max is 0. False: it must be closed, and
 * nothing was collected.
 */
bool wsk__pull(struct wsk__topics *t, struct wsk__subscriber *s,
               struct wsk__pull *pull, size_t max);

/* Note that the subscriber has got the first `n` of them, and give the
 * references back. */
void wsk__pulled(struct wsk__topics *t, struct wsk__subscriber *s,
                 struct wsk__pull *pull, size_t n);

#endif
