#include "topic/publish.h"

#include <assert.h>

/* Lock the shards of a set, in ascending order: no other function holds two. */
static void lock_set(struct wsk__topics *t, uint64_t set)
{
    for (; set != 0; set &= set - 1)
        wsk__shard_lock(&t->shards[__builtin_ctzll(set)]);
}

static void unlock_set(struct wsk__topics *t, uint64_t set)
{
    for (; set != 0; set &= set - 1)
        wsk__shard_unlock(&t->shards[__builtin_ctzll(set)]);
}

static bool is_among(struct wsk__topic *const *some, size_t n,
                     const struct wsk__topic *topic)
{
    for (size_t i = 0; i < n; i++)
        if (some[i] == topic)
            return true;
    return false;
}

/* Find the topics that have subscribers, each once. */
static size_t find_locked(struct wsk__topics *t, const wsk_str *names, size_t n,
                          struct wsk__topic **found)
{
    size_t n_found = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t hash = wsk__topic_hash(t, names[i]);
        struct wsk__topic *topic =
            wsk__topic_find_locked(wsk__shard_of(t, hash), hash, names[i]);

        if (topic != NULL && topic->n > 0 &&
            (n == 1 || !is_among(found, n_found, topic)))
            found[n_found++] = topic;
    }
    return n_found;
}

/* Make room in each log, or in none. */
static bool reserve_locked(struct wsk__topics *t,
                           struct wsk__topic *const *found, size_t n)
{
    size_t i = 0;

    while (i < n && wsk__log_reserve(&found[i]->log, found[i]->head, &t->bytes))
        i++;
    if (i == n)
        return true;
    while (i-- > 0)
        wsk__log_settle(&found[i]->log, found[i]->head);
    return false;
}

static void append_locked(struct wsk__topics *t, struct wsk__topic *topic,
                          struct wsk__publication *p)
{
    wsk__log_append(topic->log, p, topic->n, topic->head,
                    wsk__topics_are_full(t) ? 0 : topic->backlog);
    topic->head++;
    topic->pins++;
    wsk__count(&t->counts.owed, topic->n);
}

wsk_status wsk__topic_publish(struct wsk__topics *t, const wsk_str *names,
                              size_t n, struct wsk__publication *p,
                              struct wsk__topic **found, size_t *n_found)
{
    uint64_t set = 0;
    wsk_status st = WSK_OK;

    for (size_t i = 0; i < n; i++)
        set |= UINT64_C(1) << (wsk__topic_hash(t, names[i]) % WSK__SHARDS);
    wsk__count(&t->counts.published, 1);
    lock_set(t, set);
    *n_found = find_locked(t, names, n, found);
    if (!reserve_locked(t, found, *n_found)) {
        *n_found = 0;
        st = WSK_E_NOMEM;
    }
    if (*n_found > 0)
        p->seq = atomic_fetch_add(&t->seq, 1) + 1;
    for (size_t i = 0; i < *n_found; i++)
        append_locked(t, found[i], p);
    unlock_set(t, set);
    return st;
}

/* -------------------------------------------------------------- passes --- */

uint32_t wsk__pass_begin(struct wsk__topics *t, struct wsk__topic *topic,
                         struct wsk__pass *pass)
{
    struct wsk__shard *shard = wsk__shard_of(t, topic->hash);

    wsk__shard_lock(shard);
    *pass = (struct wsk__pass){topic, topic->head, topic->n};
    wsk__shard_unlock(shard);
    return pass->at;
}

size_t wsk__pass_next(struct wsk__topics *t, struct wsk__pass *pass,
                      struct wsk__subscriber **some, size_t max)
{
    struct wsk__topic *topic = pass->topic;
    struct wsk__shard *shard = wsk__shard_of(t, topic->hash);
    const uint32_t *subs;
    size_t n = 0;

    wsk__shard_lock(shard);
    subs = wsk__topic_subs(topic);
    if (pass->at > topic->n)
        pass->at = topic->n;
    for (; pass->at > 0 && n < max; n++) {
        some[n] = wsk__sub_of(&t->subs, subs[--pass->at])->subscriber;
        some[n]->ops->hold(some[n]);
    }
    wsk__shard_unlock(shard);
    return n;
}

size_t wsk__pass_offer(struct wsk__topics *t, struct wsk__pass *pass)
{
    struct wsk__subscriber *some[WSK__PASS_MAX];
    size_t n = wsk__pass_next(t, pass, some, WSK__PASS_MAX);

    for (size_t i = 0; i < n; i++) {
        some[i]->ops->offer(some[i]);
        some[i]->ops->release(some[i]);
    }
    return n;
}

void wsk__pass_end(struct wsk__topics *t, struct wsk__pass *pass)
{
    struct wsk__topic *topic = pass->topic;
    struct wsk__shard *shard = wsk__shard_of(t, topic->hash);

    wsk__shard_lock(shard);
    assert(pass->at == 0);
    if (topic->log != NULL)
        wsk__log_offered(topic->log, topic->head, pass->upto);
    wsk__topic_unpin_locked(t, shard, topic);
    wsk__shard_unlock(shard);
}

bool wsk__topic_queue(struct wsk__topics *t, struct wsk__topic *topic)
{
    struct wsk__shard *shard = wsk__shard_of(t, topic->hash);
    bool first;

    wsk__shard_lock(shard);
    first = !topic->queued;
    topic->queued = true;
    topic->pins = (uint16_t)(topic->pins + first);
    if (first)
        atomic_fetch_add(&t->n_queued, 1);
    wsk__shard_unlock(shard);
    return first;
}

/* A pinned topic with a list keeps the list. */
void wsk__pass_resume(struct wsk__topics *t, struct wsk__topic *topic,
                      struct wsk__pass *pass)
{
    struct wsk__shard *shard = wsk__shard_of(t, topic->hash);

    wsk__shard_lock(shard);
    assert(topic->cap > 2);
    *pass = (struct wsk__pass){topic, topic->crowd->upto, topic->crowd->at};
    if (pass->at == 0)
        *pass = (struct wsk__pass){topic, topic->head, topic->n};
    wsk__shard_unlock(shard);
}

bool wsk__pass_leave(struct wsk__topics *t, const struct wsk__pass *pass)
{
    struct wsk__topic *topic = pass->topic;
    struct wsk__shard *shard = wsk__shard_of(t, topic->hash);
    bool queued;

    wsk__shard_lock(shard);
    topic->crowd->upto = pass->upto;
    topic->crowd->at = pass->at;
    if (pass->at == 0 && topic->log != NULL)
        wsk__log_offered(topic->log, topic->head, pass->upto);
    queued = pass->at > 0 || (topic->log != NULL && topic->head != pass->upto);
    topic->queued = queued;
    if (!queued) {
        atomic_fetch_sub(&t->n_queued, 1);
        wsk__topic_unpin_locked(t, shard, topic);
    }
    wsk__shard_unlock(shard);
    return queued;
}

bool wsk__topic_is_behind(struct wsk__topics *t, struct wsk__topic *topic)
{
    struct wsk__shard *shard = wsk__shard_of(t, topic->hash);
    bool behind;

    wsk__shard_lock(shard);
    behind = topic->log != NULL && topic->log->fresh > topic->backlog / 2;
    wsk__shard_unlock(shard);
    return behind;
}
