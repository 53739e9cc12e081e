#include "topic/log.h"

#include "base/mem.h"

#include <assert.h>

enum { LEAST = 4 }; /* entries of a new log */

static struct wsk__log *log_new(uint32_t cap)
{
    struct wsk__log *log =
        wsk__alloc(sizeof(*log) + cap * sizeof(log->ring[0]));

    if (log != NULL)
        *log = (struct wsk__log){.cap = cap};
    return log;
}

bool wsk__log_reserve(struct wsk__log **at, uint64_t head, atomic_size_t *total)
{
    struct wsk__log *log = *at, *more;

    if (log != NULL && log->n < log->cap)
        return true;
    if (log != NULL && log->cap > UINT32_MAX / 2)
        return false;
    more = log_new(log == NULL ? LEAST : 2 * log->cap);
    if (more == NULL)
        return false;
    more->total = total;
    if (log == NULL) {
        more->offered = head;
    } else {
        more->n = log->n;
        more->offered = log->offered;
        more->gone = log->gone;
        more->bytes = log->bytes;
        more->fresh = log->fresh;
        for (uint32_t i = 0; i < log->n; i++)
            more->ring[i] = *wsk__log_at(log, i);
        wsk__free(log);
    }
    *at = more;
    return true;
}

/* Drop the oldest entry; `head` is the index behind the newest. */
static void drop_oldest(struct wsk__log *log, uint64_t head)
{
    struct wsk__publication *p = wsk__log_at(log, 0)->publication;
    size_t cost = wsk__publication_cost(p);

    if (head - log->n >= log->offered) {
        log->offered = head - log->n + 1;
        log->fresh -= cost;
    }
    log->bytes -= cost;
    atomic_fetch_sub_explicit(log->total, cost, memory_order_relaxed);
    log->gone = p->seq;
    log->first = (log->first + 1) & (log->cap - 1);
    log->n--;
    wsk__publication_unref(p);
}

void wsk__log_append(struct wsk__log *log, struct wsk__publication *p,
                     uint32_t left, uint64_t head, size_t backlog)
{
    size_t cost = wsk__publication_cost(p);

    assert(log->n < log->cap);
    *wsk__log_at(log, log->n) =
        (struct wsk__entry){wsk__publication_ref(p), left};
    log->n++;
    log->bytes += cost;
    atomic_fetch_add_explicit(log->total, cost, memory_order_relaxed);
    log->fresh += cost;
    head++;
    while (log->bytes > backlog && log->n > 1 && head - log->n < log->offered)
        drop_oldest(log, head);
}

void wsk__log_offered(struct wsk__log *log, uint64_t head, uint64_t upto)
{
    while (log->offered < upto) {
        uint64_t nth = log->offered - (head - log->n);

        log->fresh -=
            wsk__publication_cost(wsk__log_at(log, (uint32_t)nth)->publication);
        log->offered++;
    }
}

void wsk__log_settle(struct wsk__log **at, uint64_t head)
{
    struct wsk__log *log = *at;

    while (log->n > 0 && wsk__log_at(log, 0)->left == 0)
        drop_oldest(log, head);
    if (log->n > 0)
        return;
    wsk__free(log);
    *at = NULL;
}
