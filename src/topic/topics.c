#include "topic/topics.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <assert.h>
#include <string.h>

enum {
    FEW = 2,         /* subscriptions that need no list */
    TABLE_LEAST = 4, /* chains of a shard that has topics */
    CROWD_LEAST = 8,
};

void wsk__topics_init(struct wsk__topics *t, const uint64_t key[2])
{
    memset(t, 0, sizeof(*t));
    t->key[0] = key[0];
    t->key[1] = key[1];
    atomic_init(&t->bytes_max, SIZE_MAX);
    wsk__subs_init(&t->subs);
    for (int i = 0; i < WSK__SHARDS; i++)
        pthread_mutex_init(&t->shards[i].lock, NULL);
}

void wsk__topics_clear(struct wsk__topics *t)
{
    assert(atomic_load(&t->n_topics) == 0 && atomic_load(&t->bytes) == 0);
    for (int i = 0; i < WSK__SHARDS; i++) {
        wsk__free(t->shards[i].table);
        pthread_mutex_destroy(&t->shards[i].lock);
    }
    wsk__subs_clear(&t->subs);
}

bool wsk__topic_name_is_valid(const char *name, size_t len)
{
    const uint8_t *p = (const uint8_t *)name;

    if (len == 0 || len > WSK__TOPIC_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (p[i] < 0x20 || p[i] == 0x7f || /* and U+0080 to U+009F */
            (p[i] == 0xc2 && i + 1 < len && p[i + 1] < 0xa0))
            return false;
    return wsk__utf8_valid(p, len);
}

uint32_t wsk__topic_hash(const struct wsk__topics *t, wsk_str name)
{
    return (uint32_t)wsk__hash_keyed(t->key, name.p, name.len);
}

/* --------------------------------------------------- topics of a shard --- */

/* The lowest bits of a hash tell the shard. */
static struct wsk__topic **chain_of(const struct wsk__shard *shard,
                                    uint32_t hash)
{
    return &shard->table[(hash / WSK__SHARDS) & (shard->cap - 1)];
}

static bool is_named(const struct wsk__topic *topic, uint32_t hash,
                     wsk_str name)
{
    return topic->hash == hash && topic->len == name.len &&
           memcmp(topic->name, name.p, name.len) == 0;
}

struct wsk__topic *wsk__topic_find_locked(struct wsk__shard *shard,
                                          uint32_t hash, wsk_str name)
{
    struct wsk__topic *topic = NULL;

    if (shard->n > 0)
        topic = *chain_of(shard, hash);
    while (topic != NULL && !is_named(topic, hash, name))
        topic = topic->chain;
    return topic;
}

/* Make the table fit n topics. Without memory it stays as it is; false: there
 * is none at all. */
static bool fit_table(struct wsk__shard *shard, uint32_t n)
{
    uint32_t cap = shard->cap, was = shard->cap;
    struct wsk__topic **old = shard->table, **table;

    while (cap < n || cap < TABLE_LEAST)
        cap = cap == 0 ? TABLE_LEAST : 2 * cap;
    while (cap > TABLE_LEAST && n < cap / 4)
        cap /= 2;
    if (cap == was)
        return true;
    table = wsk__calloc(cap * sizeof(struct wsk__topic *));
    if (table == NULL)
        return was > 0;
    shard->table = table;
    shard->cap = cap;
    for (uint32_t i = 0; i < was; i++) {
        for (struct wsk__topic *topic = old[i], *next; topic != NULL;
             topic = next) {
            next = topic->chain;
            topic->chain = *chain_of(shard, topic->hash);
            *chain_of(shard, topic->hash) = topic;
        }
    }
    wsk__free(old);
    return true;
}

static struct wsk__topic *topic_new_locked(struct wsk__topics *t,
                                           struct wsk__shard *shard,
                                           uint32_t hash, wsk_str name,
                                           uint32_t backlog)
{
    struct wsk__topic *topic;

    topic = wsk__calloc(sizeof(*topic) + name.len);
    if (topic == NULL || !fit_table(shard, shard->n + 1)) {
        wsk__free(topic);
        return NULL;
    }
    topic->cap = FEW;
    topic->hash = hash;
    topic->backlog = backlog;
    topic->len = (uint8_t)name.len;
    memcpy(topic->name, name.p, name.len);
    topic->chain = *chain_of(shard, hash);
    *chain_of(shard, hash) = topic;
    shard->n++;
    atomic_fetch_add(&t->n_topics, 1);
    return topic;
}

static wsk_str name_of(const struct wsk__topic *topic)
{
    return (wsk_str){topic->name, topic->len};
}

static const struct wsk__topics_watcher *
watcher_of(struct wsk__topics *t, const struct wsk__topic *topic)
{
    return wsk__shard_of(t, topic->hash)->watcher;
}

void wsk__topics_watch(struct wsk__topics *t,
                       const struct wsk__topics_watcher *watcher)
{
    for (int i = 0; i < WSK__SHARDS; i++) {
        struct wsk__shard *shard = &t->shards[i];

        wsk__shard_lock(shard);
        shard->watcher = watcher;
        for (uint32_t j = 0; j < shard->cap && watcher != NULL; j++)
            for (struct wsk__topic *topic = shard->table[j]; topic != NULL;
                 topic = topic->chain)
                if (topic->n > 0)
                    watcher->begin(t, name_of(topic));
        wsk__shard_unlock(shard);
    }
}

/* Free a topic that has neither subscriptions nor pins. */
static void free_unused_locked(struct wsk__topics *t, struct wsk__shard *shard,
                               struct wsk__topic *topic)
{
    struct wsk__topic **at = chain_of(shard, topic->hash);

    if (topic->n > 0 || topic->pins > 0)
        return;
    assert(topic->log == NULL);
    while (*at != topic)
        at = &(*at)->chain;
    *at = topic->chain;
    shard->n--;
    atomic_fetch_sub(&t->n_topics, 1);
    if (topic->cap > FEW)
        wsk__free(topic->crowd);
    wsk__free(topic);
    if (shard->n == 0) {
        wsk__free(shard->table);
        shard->table = NULL;
        shard->cap = 0;
    } else {
        fit_table(shard, shard->n);
    }
}

void wsk__topic_unpin_locked(struct wsk__topics *t, struct wsk__shard *shard,
                             struct wsk__topic *topic)
{
    topic->pins--;
    free_unused_locked(t, shard, topic);
}

void wsk__topic_unpin(struct wsk__topics *t, struct wsk__topic *topic)
{
    struct wsk__shard *shard = wsk__shard_of(t, topic->hash);

    wsk__shard_lock(shard);
    wsk__topic_unpin_locked(t, shard, topic);
    wsk__shard_unlock(shard);
}

struct wsk__topic *wsk__topic_pin(struct wsk__topics *t, wsk_str name)
{
    uint32_t hash = wsk__topic_hash(t, name);
    struct wsk__shard *shard = wsk__shard_of(t, hash);
    struct wsk__topic *topic;

    wsk__shard_lock(shard);
    topic = wsk__topic_find_locked(shard, hash, name);
    if (topic != NULL)
        topic->pins++;
    wsk__shard_unlock(shard);
    return topic;
}

bool wsk__topics_have_some(struct wsk__topics *t, const wsk_str *names,
                           size_t n, uint8_t *forms)
{
    bool some = false;

    *forms = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t hash = wsk__topic_hash(t, names[i]);
        struct wsk__shard *shard = wsk__shard_of(t, hash);
        const struct wsk__topic *topic;

        wsk__shard_lock(shard);
        topic = wsk__topic_find_locked(shard, hash, names[i]);
        if (topic != NULL && topic->n > 0) {
            some = true;
            *forms |= topic->forms;
        }
        wsk__shard_unlock(shard);
    }
    return some;
}

size_t wsk__topic_count(struct wsk__topics *t, wsk_str name)
{
    uint32_t hash = wsk__topic_hash(t, name);
    struct wsk__shard *shard = wsk__shard_of(t, hash);
    const struct wsk__topic *topic;
    size_t n;

    wsk__shard_lock(shard);
    topic = wsk__topic_find_locked(shard, hash, name);
    n = topic != NULL ? topic->n : 0;
    wsk__shard_unlock(shard);
    return n;
}

/* Append the names of a shard. False: there is no memory for them. */
static bool append_names_locked(const struct wsk__shard *shard, char **names,
                                size_t *len, size_t *n)
{
    for (uint32_t i = 0; i < shard->cap; i++) {
        const struct wsk__topic *topic = shard->table[i];

        for (; topic != NULL; topic = topic->chain) {
            char *more = wsk__realloc(*names, *len + topic->len + 1);

            if (more == NULL)
                return false;
            *names = more;
            memcpy(more + *len, topic->name, topic->len);
            more[*len + topic->len] = '\0';
            *len += topic->len + 1u;
            *n += 1;
        }
    }
    return true;
}

wsk_status wsk__topics_names(struct wsk__topics *t, char **names, size_t *n)
{
    size_t len = 0;
    bool good = true;

    *names = NULL;
    *n = 0;
    for (int i = 0; i < WSK__SHARDS && good; i++) {
        wsk__shard_lock(&t->shards[i]);
        good = append_names_locked(&t->shards[i], names, &len, n);
        wsk__shard_unlock(&t->shards[i]);
    }
    if (good)
        return WSK_OK;
    wsk__free(*names);
    *names = NULL;
    *n = 0;
    return WSK_E_NOMEM;
}

/* ------------------------------------------ subscriptions of one topic --- */

/* Give the list room for `cap`. A pass keeps its place. */
static bool fit_crowd_locked(struct wsk__topic *topic, uint32_t cap)
{
    uint32_t few[FEW];
    struct wsk__crowd *crowd = topic->cap > FEW ? topic->crowd : NULL;

    if (cap <= FEW) {
        memcpy(few, crowd->subs, sizeof(few));
        memcpy(topic->few, few, sizeof(few));
        wsk__free(crowd);
        topic->cap = FEW;
        return true;
    }
    memcpy(few, topic->few, sizeof(few));
    crowd = wsk__realloc(crowd, sizeof(*crowd) + cap * sizeof(crowd->subs[0]));
    if (crowd == NULL)
        return false;
    if (topic->cap == FEW) {
        crowd->upto = 0;
        crowd->at = 0;
        memcpy(crowd->subs, few, sizeof(few));
    }
    topic->crowd = crowd;
    topic->cap = cap;
    return true;
}

static bool add_locked(struct wsk__topics *t, struct wsk__topic *topic,
                       uint32_t id)
{
    struct wsk__sub *sub = wsk__sub_of(&t->subs, id);
    uint32_t cap = topic->cap;

    if (topic->n == cap &&
        (cap > UINT32_MAX / 4 ||
         !fit_crowd_locked(topic, cap == FEW ? CROWD_LEAST : cap + cap / 2)))
        return false;
    if (topic->n == 0 && watcher_of(t, topic) != NULL)
        watcher_of(t, topic)->begin(t, name_of(topic));
    sub->at = topic->n;
    sub->cursor = (uint32_t)topic->head;
    wsk__topic_subs(topic)[topic->n++] = id;
    return true;
}

/* The last of the list takes the place that becomes free. A pass goes down the
 * list, so what moves was visited, or moves within what was not. */
static void remove_locked(struct wsk__topics *t, struct wsk__topic *topic,
                          const struct wsk__sub *sub)
{
    uint32_t *subs = wsk__topic_subs(topic);
    uint32_t last = subs[--topic->n], cap = topic->cap;

    subs[sub->at] = last;
    wsk__sub_of(&t->subs, last)->at = sub->at;
    if (topic->n == 0 && watcher_of(t, topic) != NULL)
        watcher_of(t, topic)->end(t, name_of(topic));
    if (cap > FEW && topic->n <= FEW && topic->pins == 0)
        fit_crowd_locked(topic, FEW);
    else if (cap > CROWD_LEAST && topic->n < cap / 3)
        fit_crowd_locked(topic, cap / 2); /* without memory it stays */
}

/* Let go of what the subscription did not get. */
static uint32_t forget_locked(struct wsk__topic *topic,
                              const struct wsk__sub *sub)
{
    uint32_t lag = (uint32_t)topic->head - sub->cursor;
    struct wsk__log *log = topic->log;

    if (lag == 0)
        return 0;
    for (uint32_t i = lag < log->n ? log->n - lag : 0; i < log->n; i++)
        wsk__log_at(log, i)->left--;
    wsk__log_settle(&topic->log, topic->head);
    return lag;
}

/* End a subscription that the subscriber has unlinked. */
static void end_sub(struct wsk__topics *t, uint32_t id)
{
    struct wsk__sub *sub = wsk__sub_of(&t->subs, id);
    struct wsk__topic *topic = sub->topic;
    struct wsk__shard *shard = wsk__shard_of(t, topic->hash);

    wsk__shard_lock(shard);
    wsk__count(&t->counts.unread, forget_locked(topic, sub));
    remove_locked(t, topic, sub);
    free_unused_locked(t, shard, topic);
    wsk__shard_unlock(shard);
    wsk__subs_free(&t->subs, id);
}

/* Return where the subscriber's list names the subscription; NULL: there is
 * none. Its topics exist for as long as it is subscribed. */
static uint32_t *find_sub(struct wsk__topics *t, struct wsk__subscriber *s,
                          uint32_t hash, wsk_str name)
{
    uint32_t *at = &s->first;

    while (*at != 0) {
        struct wsk__sub *sub = wsk__sub_of(&t->subs, *at);

        if (is_named(sub->topic, hash, name))
            return at;
        at = &sub->next;
    }
    return NULL;
}

wsk_status wsk__topic_subscribe(struct wsk__topics *t,
                                struct wsk__subscriber *s, wsk_str name,
                                const struct wsk__subscribing *how)
{
    uint32_t hash = wsk__topic_hash(t, name), id;
    struct wsk__shard *shard = wsk__shard_of(t, hash);
    uint32_t *found = find_sub(t, s, hash, name);
    struct wsk__topic *topic;
    struct wsk__sub *sub;
    bool added = false;

    if (found != NULL) {
        wsk__sub_of(&t->subs, *found)->policy = (uint8_t)how->policy;
        return WSK_OK;
    }
    if (s->n >= how->max)
        return WSK_E_AGAIN;
    if (wsk__topics_are_full(t))
        return WSK_E_NOMEM;
    id = wsk__subs_new(&t->subs);
    if (id == 0)
        return WSK_E_NOMEM;
    sub = wsk__sub_of(&t->subs, id);
    sub->subscriber = s;
    sub->policy = (uint8_t)how->policy;
    sub->next = s->first;
    wsk__shard_lock(shard);
    topic = wsk__topic_find_locked(shard, hash, name);
    if (topic == NULL)
        topic = topic_new_locked(t, shard, hash, name, how->backlog);
    sub->topic = topic;
    if (topic != NULL) {
        added = add_locked(t, topic, id);
        if (added)
            topic->forms |= how->forms;
        free_unused_locked(t, shard, topic);
    }
    wsk__shard_unlock(shard);
    if (!added) {
        wsk__subs_free(&t->subs, id);
        return WSK_E_NOMEM;
    }
    s->first = id;
    s->n++;
    return WSK_OK;
}

bool wsk__topic_unsubscribe(struct wsk__topics *t, struct wsk__subscriber *s,
                            wsk_str name)
{
    uint32_t *at = find_sub(t, s, wsk__topic_hash(t, name), name), id;

    if (at == NULL)
        return false;
    id = *at;
    *at = wsk__sub_of(&t->subs, id)->next;
    s->n--;
    end_sub(t, id);
    return true;
}

void wsk__topic_set_policy(struct wsk__topics *t, struct wsk__subscriber *s,
                           enum wsk__topic_policy policy)
{
    for (uint32_t id = s->first; id != 0;) {
        struct wsk__sub *sub = wsk__sub_of(&t->subs, id);

        sub->policy = (uint8_t)policy;
        id = sub->next;
    }
}

void wsk__topic_leave(struct wsk__topics *t, struct wsk__subscriber *s)
{
    while (s->first != 0) {
        uint32_t id = s->first;

        s->first = wsk__sub_of(&t->subs, id)->next;
        s->n--;
        end_sub(t, id);
    }
}

wsk_str wsk__topic_next_name(struct wsk__topics *t, uint32_t *id)
{
    const struct wsk__sub *sub = wsk__sub_of(&t->subs, *id);

    *id = sub->next;
    return name_of(sub->topic);
}
