/* topic/subs: subscriptions, named by 32-bit ids so that a topic's list of them
 * is small. */
#ifndef WSK_TOPIC_SUBS_H
#define WSK_TOPIC_SUBS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct wsk__subscriber;
struct wsk__topic;

/* The subscription of one subscriber to one topic. */
struct wsk__sub {
    struct wsk__subscriber *subscriber; /* fixed */
    struct wsk__topic *topic;           /* fixed */
    uint32_t next;   /* the subscriber's next; its lock. 0: none */
    uint32_t at;     /* place in the topic's list; the shard's lock */
    uint32_t cursor; /* low half of the index of the next to get; changes under
                        both locks */
    uint8_t policy;  /* an enum wsk__topic_policy; the subscriber's lock */
};

enum {
    WSK__SUBS_LEAST = 64,  /* in the first block */
    WSK__SUBS_BLOCKS = 26, /* each twice as long as the one before */
};

struct wsk__subs {
    pthread_mutex_t lock;
    uint32_t used; /* ids that were ever given out */
    uint32_t free; /* the first free one, linked by `next`; 0: none */
    uint32_t live;
    _Atomic(struct wsk__sub *) block[WSK__SUBS_BLOCKS];
};

void wsk__subs_init(struct wsk__subs *subs);

/* Free all memory: no id is in use. */
void wsk__subs_clear(struct wsk__subs *subs);

/* Return a new id, whose subscription is all zero; 0: memory is out. */
uint32_t wsk__subs_new(struct wsk__subs *subs);

/* Return how many ids are in use. */
uint32_t wsk__subs_count(struct wsk__subs *subs);

/* Give an id back. */
void wsk__subs_free(struct wsk__subs *subs, uint32_t id);

/* Return the subscription of an id in use, which never moves. */
static inline struct wsk__sub *wsk__sub_of(struct wsk__subs *subs, uint32_t id)
{
    uint32_t i = id - 1 + WSK__SUBS_LEAST;
    uint32_t log2 = 31 - (uint32_t)__builtin_clz(i);

    return atomic_load_explicit(&subs->block[log2 - 6], memory_order_acquire) +
           (i - (UINT32_C(1) << log2));
}

#endif
