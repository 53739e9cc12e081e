#include "net/handle/spare.h"

#include "base/mem.h"

void wsk__spare_put(wsk__spare_place *place, void *block, size_t size)
{
    struct wsk__spare *spare = block;

    if (size < WSK__SPARE_LEAST || size > WSK__SPARE_MOST) {
        wsk__free(block);
        return;
    }
    spare->size = size;
    wsk__free(atomic_exchange(place, spare));
}

struct wsk__spare *wsk__spare_take(wsk__spare_place *place, size_t size)
{
    struct wsk__spare *spare = atomic_exchange(place, NULL);

    if (spare != NULL && spare->size >= size)
        return spare;
    wsk__free(spare);
    return NULL;
}
