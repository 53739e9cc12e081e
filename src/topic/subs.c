#include "topic/subs.h"

#include "base/mem.h"

#include <assert.h>
#include <stddef.h>

_Static_assert(WSK__SUBS_LEAST == 1 << 6, "see wsk__sub_of()");

void wsk__subs_init(struct wsk__subs *subs)
{
    *subs = (struct wsk__subs){0};
    pthread_mutex_init(&subs->lock, NULL);
}

static void free_blocks_from(struct wsk__subs *subs, int from)
{
    for (int i = from; i < WSK__SUBS_BLOCKS; i++)
        wsk__free(atomic_exchange(&subs->block[i], NULL));
}

void wsk__subs_clear(struct wsk__subs *subs)
{
    assert(subs->live == 0);
    free_blocks_from(subs, 0);
    pthread_mutex_destroy(&subs->lock);
}

/* Take an id that was never used. 0: memory is out. */
static uint32_t unused_id(struct wsk__subs *subs)
{
    uint32_t i = subs->used + WSK__SUBS_LEAST;
    uint32_t block = 31 - (uint32_t)__builtin_clz(i) - 6;

    if (block >= WSK__SUBS_BLOCKS)
        return 0;
    if (atomic_load(&subs->block[block]) == NULL) {
        struct wsk__sub *made =
            wsk__calloc(sizeof(*made) * (size_t)WSK__SUBS_LEAST << block);

        if (made == NULL)
            return 0;
        atomic_store_explicit(&subs->block[block], made, memory_order_release);
    }
    return ++subs->used;
}

uint32_t wsk__subs_new(struct wsk__subs *subs)
{
    uint32_t id;

    pthread_mutex_lock(&subs->lock);
    id = subs->free;
    if (id != 0)
        subs->free = wsk__sub_of(subs, id)->next;
    else
        id = unused_id(subs);
    subs->live += id != 0;
    pthread_mutex_unlock(&subs->lock);
    if (id != 0)
        *wsk__sub_of(subs, id) = (struct wsk__sub){0};
    return id;
}

uint32_t wsk__subs_count(struct wsk__subs *subs)
{
    uint32_t live;

    pthread_mutex_lock(&subs->lock);
    live = subs->live;
    pthread_mutex_unlock(&subs->lock);
    return live;
}

void wsk__subs_free(struct wsk__subs *subs, uint32_t id)
{
    pthread_mutex_lock(&subs->lock);
    wsk__sub_of(subs, id)->next = subs->free;
    subs->free = id;
    if (--subs->live == 0) { /* no thread looks at any */
        subs->used = subs->free = 0;
        free_blocks_from(subs, 1);
    }
    pthread_mutex_unlock(&subs->lock);
}
