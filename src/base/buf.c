#include "buf.h"

#include "mem.h"

#include <string.h>

enum { FIRST_SIZE = 256 };

void wsk__buf_free(struct wsk__buf *b)
{
    wsk__free(b->block);
    wsk__buf_init(b, b->cap);
}

uint8_t *wsk__buf_room(struct wsk__buf *b, size_t n)
{
    size_t len = wsk__buf_len(b);
    size_t size = b->size ? b->size : FIRST_SIZE;
    size_t need, limit;
    uint8_t *grown;

    if (len > b->cap || n > b->cap - len)
        return NULL;
    if (b->block != NULL && b->size - b->tail >= n)
        return b->block + b->tail;
    /* Moving down is worth its cost only when at least half of the block is
     * free: then the cost of all moves stays linear. That needs a block of up
     * to twice the cap, but only where bytes are read while others wait. */
    if (b->size - len >= n && b->head >= len && b->block != NULL) {
        memmove(b->block, b->block + b->head, len);
        b->head = 0;
        b->tail = len;
        return b->block + len;
    }
    need = b->tail + n;
    limit = need <= b->cap ? b->cap : b->cap * 2;
    while (size < need)
        size *= 2;
    if (size > limit)
        size = limit;
    grown = wsk__realloc(b->block, size);
    if (grown == NULL)
        return NULL;
    b->block = grown;
    b->size = size;
    return b->block + b->tail;
}

bool wsk__buf_put(struct wsk__buf *b, const void *data, size_t n)
{
    uint8_t *room;

    if (n == 0)
        return true;
    room = wsk__buf_room(b, n);
    if (room == NULL)
        return false;
    memcpy(room, data, n);
    b->tail += n;
    return true;
}
