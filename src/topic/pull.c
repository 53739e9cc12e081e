#include "topic/pull.h"

#include "topic/log.h"

static void drop_all(struct wsk__pull *pull)
{
    while (pull->n > 0)
        wsk__publication_unref(pull->some[--pull->n]);
}

/* Insert by seq. False: there is no room for it, nor for any later one. */
static bool insert(struct wsk__pull *pull, size_t max,
                   struct wsk__publication *p)
{
    size_t at = pull->n;

    while (at > 0 && pull->some[at - 1]->seq > p->seq)
        at--;
    if (at > 0 && pull->some[at - 1] == p)
        return true; /* collected from another topic already */
    if (at == max) {
        pull->more = true;
        return false;
    }
    if (pull->n == max) {
        wsk__publication_unref(pull->some[--pull->n]);
        pull->more = true;
    }
    for (size_t i = pull->n++; i > at; i--)
        pull->some[i] = pull->some[i - 1];
    pull->some[at] = wsk__publication_ref(p);
    return true;
}

/* Move a cursor on by n entries, which are in the log. */
static void advance_locked(struct wsk__topic *topic, struct wsk__sub *sub,
                           uint32_t n)
{
    struct wsk__log *log = topic->log;
    uint32_t first = log->n - ((uint32_t)topic->head - sub->cursor);

    for (uint32_t i = 0; i < n; i++)
        wsk__log_at(log, first + i)->left--;
    sub->cursor += n;
    wsk__log_settle(&topic->log, topic->head);
}

/* Return how many entries from the cursor on have a seq up to `until`. */
static uint32_t visible_locked(struct wsk__topic *topic,
                               const struct wsk__sub *sub, uint64_t until)
{
    struct wsk__log *log = topic->log;
    uint32_t lag = (uint32_t)topic->head - sub->cursor, n = 0;

    while (n < lag &&
           wsk__log_at(log, log->n - lag + n)->publication->seq <= until)
        n++;
    return n;
}

/* Treat a lag as the policy says. False: the subscriber must be closed. */
static bool apply_policy_locked(struct wsk__topics *t, struct wsk__topic *topic,
                                struct wsk__sub *sub, uint64_t until)
{
    uint32_t lag = (uint32_t)topic->head - sub->cursor, n;

    if (lag > topic->log->n) {
        if (sub->policy == WSK__TOPIC_CLOSE)
            return false;
        wsk__count(&t->counts.dropped, lag - topic->log->n);
        sub->cursor += lag - topic->log->n;
    }
    if (sub->policy != WSK__TOPIC_LATEST)
        return true;
    n = visible_locked(topic, sub, until);
    if (n > 1) {
        wsk__count(&t->counts.dropped, n - 1);
        advance_locked(topic, sub, n - 1);
    }
    return true;
}

/* Collect from one topic what was published up to pull->until. */
static bool collect_locked(struct wsk__topics *t, struct wsk__subscriber *s,
                           struct wsk__sub *sub, struct wsk__pull *pull,
                           size_t max)
{
    struct wsk__topic *topic = sub->topic;
    uint32_t lag;

    if ((uint32_t)topic->head == sub->cursor)
        return true;
    if (!apply_policy_locked(t, topic, sub, pull->until))
        return false;
    lag = (uint32_t)topic->head - sub->cursor;
    for (uint32_t i = topic->log->n - lag; i < topic->log->n; i++) {
        struct wsk__publication *p = wsk__log_at(topic->log, i)->publication;

        if (p->seq > pull->until)
            break;
        if (p->except != s->owner && !insert(pull, max, p))
            break;
    }
    return true;
}

bool wsk__pull(struct wsk__topics *t, struct wsk__subscriber *s,
               struct wsk__pull *pull, size_t max)
{
    bool kept = true;

    /* A publication with a seq up to this one is in all its logs once their
     * shards can be locked; later ones wait, though some topics may have them.
     */
    pull->until = atomic_load_explicit(&t->seq, memory_order_acquire);
    pull->n = 0;
    pull->more = false;
    for (uint32_t id = s->first; id != 0 && kept;) {
        struct wsk__sub *sub = wsk__sub_of(&t->subs, id);
        struct wsk__shard *shard = wsk__shard_of(t, sub->topic->hash);

        wsk__shard_lock(shard);
        kept = collect_locked(t, s, sub, pull, max);
        wsk__shard_unlock(shard);
        id = sub->next;
    }
    if (!kept)
        drop_all(pull);
    if (pull->more)
        pull->until = pull->n > 0 ? pull->some[pull->n - 1]->seq : 0;
    return kept;
}

/* Move a cursor behind what has a seq up to `until`. Entries that were dropped
 * since the pull lie before it if all of them did; else the next pull finds the
 * lag. */
static uint32_t pass_locked(struct wsk__topic *topic, struct wsk__sub *sub,
                            uint64_t until)
{
    uint32_t was = sub->cursor, lag = (uint32_t)topic->head - was, n;

    if (lag == 0)
        return 0;
    if (lag > topic->log->n) {
        if (topic->log->gone > until)
            return 0;
        sub->cursor += lag - topic->log->n;
    }
    n = visible_locked(topic, sub, until);
    if (n > 0)
        advance_locked(topic, sub, n);
    return sub->cursor - was;
}

void wsk__pulled(struct wsk__topics *t, struct wsk__subscriber *s,
                 struct wsk__pull *pull, size_t n)
{
    uint64_t until = n > 0 ? pull->some[n - 1]->seq : 0, passed = 0;

    if (n == pull->n)
        until = pull->until;
    for (uint32_t id = until > 0 ? s->first : 0; id != 0;) {
        struct wsk__sub *sub = wsk__sub_of(&t->subs, id);
        struct wsk__shard *shard = wsk__shard_of(t, sub->topic->hash);

        wsk__shard_lock(shard);
        passed += pass_locked(sub->topic, sub, until);
        wsk__shard_unlock(shard);
        id = sub->next;
    }
    if (n == pull->n && !pull->more)
        s->seen = pull->until;
    wsk__count(&t->counts.passed, passed);
    wsk__count(&t->counts.sent, n);
    drop_all(pull);
}
