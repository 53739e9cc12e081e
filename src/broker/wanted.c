#include "broker/wanted.h"

#include "base/hash.h"
#include "base/mem.h"

#include <assert.h>
#include <string.h>

enum { FIRST_CAP = 16 };

/* The last command that was sent for a topic on this connection. */
enum said { NOTHING, SUBSCRIBE, UNSUBSCRIBE };

struct wsk__wanted_topic {
    struct wsk__wanted_topic *chain, *prev, *next;
    struct wsk__wanted_list *list; /* the one it stands in; or NULL */
    uint64_t since_ms;             /* publications before it do not count */
    uint64_t ends_ms;              /* of a topic that lingers */
    uint32_t hash, outstanding;
    enum said said;
    bool wanted, in_doubt, restoring;
    uint8_t len;
    char name[];
};

/* ------------------------------------------------------------ the lists --- */

static void unlist(struct wsk__wanted_topic *t)
{
    struct wsk__wanted_list *list = t->list;

    if (list == NULL)
        return;
    *(t->prev != NULL ? &t->prev->next : &list->first) = t->next;
    *(t->next != NULL ? &t->next->prev : &list->last) = t->prev;
    t->prev = t->next = NULL;
    t->list = NULL;
}

static void enlist(struct wsk__wanted_list *list, struct wsk__wanted_topic *t)
{
    unlist(t);
    t->list = list;
    t->prev = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = t;
    list->last = t;
}

/* ------------------------------------------------------------ the table --- */

uint32_t wsk__wanted_hash(const struct wsk__wanted *in, wsk_str name)
{
    return (uint32_t)wsk__hash_keyed(in->key, name.p, name.len);
}

static struct wsk__wanted_topic *find(const struct wsk__wanted *in,
                                      wsk_str name)
{
    struct wsk__wanted_topic *t;
    uint32_t hash = wsk__wanted_hash(in, name);

    if (in->cap == 0)
        return NULL;
    t = in->table[hash & (in->cap - 1)];
    while (t != NULL && (t->hash != hash || t->len != name.len ||
                         memcmp(t->name, name.p, name.len) != 0))
        t = t->chain;
    return t;
}

static bool grow(struct wsk__wanted *in)
{
    size_t cap = in->cap > 0 ? in->cap * 2 : FIRST_CAP;
    struct wsk__wanted_topic **table = wsk__calloc(cap * sizeof(*table));

    if (table == NULL)
        return in->cap > 0; /* longer chains will do */
    for (size_t i = 0; i < in->cap; i++) {
        for (struct wsk__wanted_topic *t = in->table[i], *next; t != NULL;
             t = next) {
            next = t->chain;
            t->chain = table[t->hash & (cap - 1)];
            table[t->hash & (cap - 1)] = t;
        }
    }
    wsk__free(in->table);
    in->table = table;
    in->cap = cap;
    return true;
}

static struct wsk__wanted_topic *add(struct wsk__wanted *in, wsk_str name)
{
    struct wsk__wanted_topic *t, **at;

    assert(name.len > 0 && name.len <= UINT8_MAX);
    if (in->n == in->cap && !grow(in))
        return NULL;
    t = wsk__calloc(sizeof(*t) + name.len);
    if (t == NULL)
        return NULL;
    t->hash = wsk__wanted_hash(in, name);
    t->len = (uint8_t)name.len;
    memcpy(t->name, name.p, name.len);
    at = &in->table[t->hash & (in->cap - 1)];
    t->chain = *at;
    *at = t;
    in->n++;
    return t;
}

static void forget(struct wsk__wanted *in, struct wsk__wanted_topic *t)
{
    struct wsk__wanted_topic **at = &in->table[t->hash & (in->cap - 1)];

    while (*at != t)
        at = &(*at)->chain;
    *at = t->chain;
    unlist(t);
    in->n--;
    wsk__free(t);
}

void wsk__wanted_init(struct wsk__wanted *in, const uint64_t key[2],
                      uint32_t linger_ms)
{
    *in = (struct wsk__wanted){.key = {key[0], key[1]}, .linger_ms = linger_ms};
}

void wsk__wanted_clear(struct wsk__wanted *in)
{
    for (size_t i = 0; i < in->cap; i++) {
        for (struct wsk__wanted_topic *t = in->table[i], *next; t != NULL;
             t = next) {
            next = t->chain;
            wsk__free(t);
        }
    }
    wsk__free(in->table);
    wsk__wanted_init(in, in->key, in->linger_ms);
}

/* ------------------------------------------------------------ the states ---
 */

static bool is_confirmed(const struct wsk__wanted_topic *t)
{
    return t->said == SUBSCRIBE && t->outstanding == 0;
}

static void restored(struct wsk__wanted *in, struct wsk__wanted_topic *t)
{
    in->restoring -= t->restoring;
    t->restoring = false;
}

/* Put a topic into the list that its state wants. */
static void place(struct wsk__wanted *in, struct wsk__wanted_topic *t)
{
    if (t->wanted && t->said != SUBSCRIBE)
        enlist(&in->to_ask, t);
    else if (t->wanted && t->in_doubt && is_confirmed(t))
        enlist(&in->doubtful, t);
    else if (!t->wanted && t->said == SUBSCRIBE)
        enlist(&in->lingering, t);
    else
        unlist(t);
}

wsk_status wsk__wanted_want(struct wsk__wanted *in, wsk_str name)
{
    struct wsk__wanted_topic *t = find(in, name);

    if (t == NULL)
        t = add(in, name);
    if (t == NULL)
        return WSK_E_NOMEM;
    if (!t->wanted) {
        t->wanted = true;
        in->wanted++;
        place(in, t);
    }
    return WSK_OK;
}

void wsk__wanted_unwant(struct wsk__wanted *in, wsk_str name, uint64_t now_ms)
{
    struct wsk__wanted_topic *t = find(in, name);

    if (t == NULL || !t->wanted)
        return;
    t->wanted = t->in_doubt = false;
    in->wanted--;
    restored(in, t);
    t->ends_ms = now_ms + in->linger_ms;
    if (t->said == NOTHING)
        forget(in, t);
    else
        place(in, t);
}

bool wsk__wanted_is_wanted(const struct wsk__wanted *in, wsk_str name)
{
    const struct wsk__wanted_topic *t = find(in, name);

    return t != NULL && t->wanted;
}

bool wsk__wanted_is_confirmed(const struct wsk__wanted *in, wsk_str name)
{
    const struct wsk__wanted_topic *t = find(in, name);

    return t != NULL && t->wanted && is_confirmed(t);
}

void wsk__wanted_doubt(struct wsk__wanted *in, wsk_str name, uint64_t at_ms)
{
    struct wsk__wanted_topic *t = find(in, name);

    if (t == NULL || !t->wanted || t->since_ms > at_ms)
        return;
    t->in_doubt = true;
    place(in, t);
}

void wsk__wanted_doubt_all(struct wsk__wanted *in, uint64_t at_ms)
{
    for (size_t i = 0; i < in->cap; i++) {
        for (struct wsk__wanted_topic *t = in->table[i]; t != NULL;
             t = t->chain) {
            t->in_doubt |= t->wanted && t->since_ms <= at_ms;
            place(in, t);
        }
    }
}

void wsk__wanted_lost(struct wsk__wanted *in)
{
    for (size_t i = 0; i < in->cap; i++) {
        for (struct wsk__wanted_topic *t = in->table[i], *next; t != NULL;
             t = next) {
            next = t->chain;
            t->said = NOTHING;
            t->outstanding = 0;
            t->in_doubt = t->restoring = t->wanted;
            if (t->wanted)
                place(in, t);
            else
                forget(in, t);
        }
    }
    in->outstanding = 0;
    in->restoring = in->wanted;
}

static void say(struct wsk__wanted *in, struct wsk__wanted_topic *t,
                enum said what)
{
    t->said = what;
    t->outstanding++;
    in->outstanding++;
    unlist(t);
}

size_t wsk__wanted_ask(struct wsk__wanted *in, wsk_str *names, size_t max)
{
    size_t n = 0;

    while (n < max && in->to_ask.first != NULL) {
        struct wsk__wanted_topic *t = in->to_ask.first;

        say(in, t, SUBSCRIBE);
        names[n++] = (wsk_str){t->name, t->len};
    }
    return n;
}

size_t wsk__wanted_end(struct wsk__wanted *in, uint64_t now_ms, wsk_str *names,
                       size_t max)
{
    size_t n = 0;

    while (n < max && wsk__wanted_ends_at(in) <= now_ms) {
        struct wsk__wanted_topic *t = in->lingering.first;

        say(in, t, UNSUBSCRIBE);
        names[n++] = (wsk_str){t->name, t->len};
    }
    return n;
}

uint64_t wsk__wanted_ends_at(const struct wsk__wanted *in)
{
    return in->lingering.first != NULL ? in->lingering.first->ends_ms
                                       : UINT64_MAX;
}

bool wsk__wanted_answered(struct wsk__wanted *in, wsk_str name, uint64_t now_ms)
{
    struct wsk__wanted_topic *t = find(in, name);

    if (t == NULL || t->outstanding == 0)
        return false;
    t->outstanding--;
    in->outstanding--;
    if (t->outstanding > 0)
        return false;
    if (t->said == UNSUBSCRIBE && !t->wanted) {
        forget(in, t);
        return false;
    }
    if (!t->wanted || !is_confirmed(t))
        return false;
    t->since_ms = now_ms;
    restored(in, t);
    place(in, t);
    return true;
}

bool wsk__wanted_next_gap(struct wsk__wanted *in, uint64_t now_ms,
                          wsk_str *name)
{
    struct wsk__wanted_topic *t = in->doubtful.first;

    if (t == NULL)
        return false;
    t->in_doubt = false;
    t->since_ms = now_ms;
    unlist(t);
    *name = (wsk_str){t->name, t->len};
    return true;
}
