#include "topic/publication.h"

#include "base/mem.h"

struct wsk__publication *wsk__publication_new(size_t len)
{
    struct wsk__publication *p;

    if (len > UINT32_MAX)
        return NULL;
    p = wsk__alloc(sizeof(*p) + len);
    if (p == NULL)
        return NULL;
    *p = (struct wsk__publication){.len = (uint32_t)len};
    atomic_init(&p->refs, 1);
    return p;
}

void wsk__publication_unref(struct wsk__publication *p)
{
    if (p == NULL ||
        atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < WSK__PACKED; i++)
        wsk__publication_unref(p->packed[i]);
    wsk__free(p);
}
