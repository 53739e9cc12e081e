/* ws/zalloc: make zlib take its memory through base/mem. */
#ifndef WSK_WS_ZALLOC_H
#define WSK_WS_ZALLOC_H

#include "base/mem.h"

#include <stdint.h>
#include <zlib.h>

static inline voidpf wsk__zalloc(voidpf unused, uInt items, uInt size)
{
    (void)unused;
    if (size != 0 && items > SIZE_MAX / size)
        return Z_NULL;
    return wsk__alloc((size_t)items * size);
}

static inline void wsk__zfree(voidpf unused, voidpf block)
{
    (void)unused;
    wsk__free(block);
}

/* Call before inflateInit2() or deflateInit2(). */
static inline void wsk__zalloc_init(z_stream *z)
{
    z->zalloc = wsk__zalloc;
    z->zfree = wsk__zfree;
    z->opaque = Z_NULL;
}

#endif
