/*
 * topic/topics: the topics of a process, who has subscribed to them, and what
 * was published. No descriptor, thread or clock.
 *
 * A topic is a log, and a subscription a cursor into it. To publish is to
 * append; a subscriber pulls what lies between its cursors and the heads
 * (topic/pull). A subscriber has a lock of its owner's; a topic lies in one of
 * 64 shards, whose lock guards it. The order is subscriber, then shard. No
 * function here calls anything of the owner's under a shard's lock but `hold`
 * and a watcher.
 */
#ifndef WSK_TOPIC_TOPICS_H
#define WSK_TOPIC_TOPICS_H

#include "topic/log.h"
#include "topic/publication.h"
#include "topic/subs.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Policies for a subscriber whose next publication was dropped. */
enum wsk__topic_policy {
    WSK__TOPIC_CLOSE,  /* send no more: it has a prefix of the stream */
    WSK__TOPIC_DROP,   /* go on with the oldest that is kept */
    WSK__TOPIC_LATEST, /* send the newest only, always */
};

enum {
    WSK__SHARDS = 64,
    WSK__TOPIC_NAME_MAX = 200,
    WSK__PASS_MAX = 64, /* subscribers that one look at a topic collects */
};

/* The functions of one kind of subscriber. */
struct wsk__subscriber_ops {
    /* Take a reference of the owner, for wsk__pass_next(). Called under a
     * shard's lock. */
    void (*hold)(struct wsk__subscriber *s);
    /* Pull. No lock is held. */
    void (*offer)(struct wsk__subscriber *s);
    /* Close for good. No lock is held. */
    void (*close)(struct wsk__subscriber *s, uint16_t code, wsk_str reason);
    /* Give a reference back. No lock is held. */
    void (*release)(struct wsk__subscriber *s);
};

/* One who gets publications. */
struct wsk__subscriber {
    const struct wsk__subscriber_ops *ops; /* fixed */
    void *owner;                           /* fixed; for `except` */
    uint64_t seen;  /* has got everything up to this seq */
    uint32_t first; /* the newest subscription; 0: none */
    uint32_t n;     /* subscriptions */
};

/* The list of a topic with more than two subscriptions. */
struct wsk__crowd {
    uint64_t upto; /* of the pass that is under way, see struct wsk__pass */
    uint32_t at;
    uint32_t subs[];
};

struct wsk__topic {
    struct wsk__topic *chain;    /* in the shard's table */
    struct wsk__topic *next_due; /* in the pump's queue; its lock */
    struct wsk__log *log;        /* NULL: all have got everything */
    uint64_t head;               /* index of the next publication */
    union {
        uint32_t few[2];          /* ids of subscriptions, while cap is 2 */
        struct wsk__crowd *crowd; /* owned */
    };
    uint32_t n, cap;  /* subscriptions, and room for them */
    uint32_t hash;    /* fixed */
    uint32_t backlog; /* bytes that its log keeps; fixed */
    uint16_t pins;    /* threads that use it without the lock */
    bool queued;      /* in the pump's queue */
    uint8_t forms;    /* of publications that some subscriber can take: bits by
                         place in packed[]; none is ever cleared */
    uint8_t len;      /* of name; fixed */
    char name[];
};

struct wsk__topics;

/* Called under a shard's lock as a topic gets its first subscription, and as it
 * has lost the last one. */
struct wsk__topics_watcher {
    void (*begin)(struct wsk__topics *t, wsk_str name);
    void (*end)(struct wsk__topics *t, wsk_str name);
};

struct wsk__shard {
    pthread_mutex_t lock;
    struct wsk__topic **table; /* chains by hash; `cap` of them */
    uint32_t n, cap;
    const struct wsk__topics_watcher *watcher; /* or NULL */
};

/* Copies are owed to subscribers. owed == passed + dropped + unread + those
 * that wait; `passed` are those sent, excluded, or sent by another topic. */
struct wsk__topic_counts {
    atomic_ullong published, owed, passed, sent, dropped, unread;
};

struct wsk__topics {
    uint64_t key[2];         /* fixed: of the hash of names */
    atomic_ullong seq;       /* of the last publication */
    atomic_uint n_topics;    /* existing now */
    atomic_uint n_queued;    /* of them, those in the pump's queue */
    atomic_size_t bytes;     /* of all logs */
    atomic_size_t bytes_max; /* past it logs keep what was not offered, and the
                                newest, and to subscribe fails */
    struct wsk__subs subs;
    struct wsk__topic_counts counts;
    struct wsk__shard shards[WSK__SHARDS];
};

/* Initialize in the caller's memory; the key should be random, because names
 * may come from peers. */
void wsk__topics_init(struct wsk__topics *t, const uint64_t key[2]);

/* Free all memory: no subscription is left. */
void wsk__topics_clear(struct wsk__topics *t);

/* Have a watcher called from now on, and at once for all topics that there
 * are; NULL ends that. */
void wsk__topics_watch(struct wsk__topics *t,
                       const struct wsk__topics_watcher *watcher);

/* Return true if a topic may have that name: 1 to 200 octets of UTF-8 without
 * control characters. */
bool wsk__topic_name_is_valid(const char *name, size_t len);

/* How to subscribe. */
struct wsk__subscribing {
    enum wsk__topic_policy policy;
    uint8_t forms;    /* of publications that the subscriber can take */
    uint32_t backlog; /* of the topic, if it is new */
    uint32_t max;     /* subscriptions of one subscriber */
};

/* ---- the subscriber's lock held ---- */

/*
 * Let the subscriber get what is published from now on. Where it has subscribed
 * already, only the policy changes. The name is valid. Returns WSK_OK,
 * WSK_E_AGAIN (as many as allowed) or WSK_E_NOMEM (memory is out, or past
 * bytes_max; nothing has changed).
 */
wsk_status wsk__topic_subscribe(struct wsk__topics *t,
                                struct wsk__subscriber *s, wsk_str name,
                                const struct wsk__subscribing *how);

/* End a subscription: what it did not get is counted as unread. False: there is
 * none. */
bool wsk__topic_unsubscribe(struct wsk__topics *t, struct wsk__subscriber *s,
                            wsk_str name);

/* Change the policy of all of a subscriber's. */
void wsk__topic_set_policy(struct wsk__topics *t, struct wsk__subscriber *s,
                           enum wsk__topic_policy policy);

/* End all of a subscriber's. */
void wsk__topic_leave(struct wsk__topics *t, struct wsk__subscriber *s);

/* Walk the names of a subscriber's topics, the newest first: *id begins at
 * s->first, and 0 ends. The name is valid while the subscription is. */
wsk_str wsk__topic_next_name(struct wsk__topics *t, uint32_t *id);

/* ---- any thread ---- */

/* Return true if some topic has a subscriber; *forms are those that one of them
 * can take. */
bool wsk__topics_have_some(struct wsk__topics *t, const wsk_str *names,
                           size_t n, uint8_t *forms);

/* Return how many have subscribed to a topic. */
size_t wsk__topic_count(struct wsk__topics *t, wsk_str name);

/* Copy the names of all topics that have subscribers: *n texts, each with a NUL
 * behind it, in *names, to be freed. WSK_OK or WSK_E_NOMEM. */
wsk_status wsk__topics_names(struct wsk__topics *t, char **names, size_t *n);

/* Return a topic pinned, or NULL. */
struct wsk__topic *wsk__topic_pin(struct wsk__topics *t, wsk_str name);
void wsk__topic_unpin(struct wsk__topics *t, struct wsk__topic *topic);

/* ---- for topic/pull and topic/publish: locks of shards ---- */

uint32_t wsk__topic_hash(const struct wsk__topics *t, wsk_str name);

static inline struct wsk__shard *wsk__shard_of(struct wsk__topics *t,
                                               uint32_t hash)
{
    return &t->shards[hash % WSK__SHARDS];
}
static inline void wsk__shard_lock(struct wsk__shard *shard)
{
    pthread_mutex_lock(&shard->lock);
}
static inline void wsk__shard_unlock(struct wsk__shard *shard)
{
    pthread_mutex_unlock(&shard->lock);
}

/* Find a topic in its locked shard; NULL: there is none. */
struct wsk__topic *wsk__topic_find_locked(struct wsk__shard *shard,
                                          uint32_t hash, wsk_str name);

/* Give back a pin; a topic without pins and subscriptions is freed. */
void wsk__topic_unpin_locked(struct wsk__topics *t, struct wsk__shard *shard,
                             struct wsk__topic *topic);

static inline uint32_t *wsk__topic_subs(struct wsk__topic *topic)
{
    return topic->cap == 2 ? topic->few : topic->crowd->subs;
}

/* Return true if all logs together are too large. */
static inline bool wsk__topics_are_full(const struct wsk__topics *t)
{
    return atomic_load_explicit(&t->bytes, memory_order_relaxed) >
           atomic_load_explicit(&t->bytes_max, memory_order_relaxed);
}

static inline void wsk__count(atomic_ullong *count, uint64_t n)
{
    if (n > 0)
        atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

#endif
