/* base/buf: a queue of bytes, written at the tail and read at the head. A
 * buffer cannot be made without a cap. */
#ifndef WSK_BASE_BUF_H
#define WSK_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest cap: sums of a cap and a few bytes, and its double, cannot
 * overflow. */
#define WSK__BUF_CAP_MAX (SIZE_MAX / 4)

struct wsk__buf {
    uint8_t *block; /* owned; NULL while nothing was ever written */
    size_t head;    /* bytes already read, 0..tail */
    size_t tail;    /* end of what was written, ..size */
    size_t size;    /* bytes in block; at most twice the cap */
    size_t cap;     /* bytes that may be queued; at most WSK__BUF_CAP_MAX */
};

static inline void wsk__buf_init(struct wsk__buf *b, size_t cap)
{
    *b = (struct wsk__buf){.cap = cap};
}

/* Give the memory back; the cap stays and the buffer can be used again. */
void wsk__buf_free(struct wsk__buf *b);

static inline size_t wsk__buf_len(const struct wsk__buf *b)
{
    return b->tail - b->head;
}

static inline uint8_t *wsk__buf_data(const struct wsk__buf *b)
{
    return b->block + b->head;
}

/* Return room for n more bytes behind the tail, or NULL when memory is out or
 * the cap would be passed. Follow with wsk__buf_grow_tail(). */
uint8_t *wsk__buf_room(struct wsk__buf *b, size_t n);

/* Add n bytes that were written where wsk__buf_room() said. */
static inline void wsk__buf_grow_tail(struct wsk__buf *b, size_t n)
{
    b->tail += n;
}

/* Append n bytes. False, and nothing is changed, when memory is out or the cap
 * would be passed. */
bool wsk__buf_put(struct wsk__buf *b, const void *data, size_t n);

/* Drop n bytes at the head: they have been read. */
static inline void wsk__buf_ack(struct wsk__buf *b, size_t n)
{
    b->head += n;
    if (b->head == b->tail)
        b->head = b->tail = 0;
}

#endif
