/* net/handle/spare: the block of a long message, kept for the next one: fresh
 * pages cost more than what is read into them. */
#ifndef WSK_NET_HANDLE_SPARE_H
#define WSK_NET_HANDLE_SPARE_H

#include <stdatomic.h>
#include <stddef.h>

enum { WSK__SPARE_LEAST = 131072, WSK__SPARE_MOST = 4194304 };

/* The header of the block that is kept. */
struct wsk__spare {
    size_t size;
};

/* Any thread. */
typedef _Atomic(struct wsk__spare *) wsk__spare_place;

/* Keep a block of `size` bytes, and free the one that was kept; or free it, if
 * it is small or very large. */
void wsk__spare_put(wsk__spare_place *place, void *block, size_t size);

/* Return the kept block, now the caller's, if it has `size` bytes; or NULL. A
 * smaller one is freed. */
struct wsk__spare *wsk__spare_take(wsk__spare_place *place, size_t size);

#endif
