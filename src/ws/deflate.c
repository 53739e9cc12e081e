#include "ws/deflate.h"

#include "ws/fast.h"
#include "ws/inflate.h"
#include "ws/zalloc.h"

enum {
    WIDEST = 15,
    TAIL = 4,      /* bytes that RFC 7692 7.2.1 removes */
    ZLIB_MORE = 64 /* bytes that zlib adds at most to incompressible data,
                      besides a quarter of it where its memory is smallest */
};

/* --------------------------------------------------------------- zlib --- */

/* Return the window for zlib, which refuses raw windows of 8 bits. With 9 it
 * refers back at most 2^9 - 262 bytes, which a window of 8 bits holds, too. */
static int zlib_bits(const wsk_ws_deflate *how)
{
    return how->server_bits < 9 ? 9 : how->server_bits;
}

/* Return zlib's default for the widest window, and less for narrower ones. */
static int zlib_memory(const wsk_ws_deflate *how)
{
    return zlib_bits(how) - 7;
}

static size_t zlib_bytes(const wsk_ws_deflate *how)
{
    /* The formula of zconf.h. */
    return ((size_t)1 << (zlib_bits(how) + 2)) +
           ((size_t)1 << (zlib_memory(how) + 9)) + sizeof(z_stream) + 6000;
}

static void zlib_free(z_stream *z)
{
    if (z != NULL)
        deflateEnd(z);
    wsk__free(z);
}

static z_stream *zlib_new(const wsk_ws_deflate *how)
{
    z_stream *z = wsk__calloc(sizeof(*z));

    if (z == NULL)
        return NULL;
    wsk__zalloc_init(z);
    if (deflateInit2(z, how->level, Z_DEFLATED, -zlib_bits(how),
                     zlib_memory(how), Z_DEFAULT_STRATEGY) == Z_OK)
        return z;
    wsk__free(z);
    return NULL;
}

/* Only states with the widest window are shared: the others are rare, and
 * cannot be widened. */
static struct wsk__slots *slots_for(const wsk_ws_deflate *how,
                                    struct wsk__pool *pool)
{
    return pool != NULL && how->server_bits == WIDEST ? &pool->deflaters : NULL;
}

static z_stream *zlib_borrow(const wsk_ws_deflate *how, struct wsk__pool *pool)
{
    z_stream *z = wsk__slots_take(slots_for(how, pool));

    return z != NULL ? z : zlib_new(how);
}

static void zlib_give_back(z_stream *z, const wsk_ws_deflate *how,
                           struct wsk__pool *pool)
{
    if (deflateReset(z) != Z_OK || !wsk__slots_give(slots_for(how, pool), z))
        zlib_free(z);
}

/* Return the size in out[0..room), or 0 when it is too small. zlib counts in
 * uInt, so a longer message goes in pieces. */
static size_t zlib_message(z_stream *z, const uint8_t *data, size_t len,
                           uint8_t *out, size_t room)
{
    enum { PIECE = 1 << 30 };
    size_t size = 0;

    z->next_in = (Bytef *)(uintptr_t)data; /* zlib only reads it */
    z->next_out = out;
    do {
        size_t n = len < PIECE ? len : PIECE;
        size_t space = room - size < PIECE ? room - size : PIECE;

        z->avail_in = (uInt)n;
        z->avail_out = (uInt)space;
        if (deflate(z, n < len ? Z_NO_FLUSH : Z_SYNC_FLUSH) != Z_OK ||
            z->avail_in > 0 || z->avail_out == 0)
            return 0;
        size += space - z->avail_out;
        len -= n;
    } while (len > 0);
    return size - TAIL;
}

/* ------------------------------------------------------------ messages --- */

size_t wsk__deflate_room(const wsk_ws_deflate *how, size_t len)
{
    return how->level == 0 ? wsk__fast_room(len) : len + len / 4 + ZLIB_MORE;
}

static size_t fast_message(struct wsk__deflater *d, const wsk_ws_deflate *how,
                           const uint8_t *data, size_t len, uint8_t *out)
{
    if (!how->server_takeover)
        return wsk__fast_alone(out, data, len, how->server_bits);
    if (d->past == NULL)
        d->past = wsk__fast_new(how->server_bits);
    return d->past != NULL ? wsk__fast_next(d->past, out, data, len) : 0;
}

size_t wsk__deflate(struct wsk__deflater *d, const wsk_ws_deflate *how,
                    struct wsk__pool *pool, const uint8_t *data, size_t len,
                    uint8_t *out)
{
    size_t size;
    z_stream *z;

    if (how->level == 0)
        return fast_message(d, how, data, len, out);
    z = d->zlib != NULL ? d->zlib : zlib_borrow(how, pool);
    if (z == NULL)
        return 0;
    size = zlib_message(z, data, len, out, wsk__deflate_room(how, len));
    /* After a failure the next message refers to nothing before it. */
    d->zlib = how->server_takeover && size > 0 ? z : NULL;
    if (d->zlib == NULL)
        zlib_give_back(z, how, pool);
    return size;
}

void wsk__deflater_clear(struct wsk__deflater *d, const wsk_ws_deflate *how)
{
    if (how->level == 0)
        wsk__free(d->past);
    else
        zlib_free(d->zlib);
    *d = (struct wsk__deflater){0};
}

size_t wsk__deflate_bytes(const wsk_ws_deflate *how)
{
    size_t bytes = how->client_takeover ? WSK__INFLATER_BYTES : 0;

    if (how->server_takeover)
        bytes += how->level == 0 ? wsk__fast_bytes(how->server_bits)
                                 : zlib_bytes(how);
    return bytes;
}

void wsk__pool_clear(struct wsk__pool *pool)
{
    void *state;

    while ((state = wsk__slots_take(&pool->deflaters)) != NULL)
        zlib_free(state);
    while ((state = wsk__slots_take(&pool->inflaters)) != NULL)
        wsk__inflater_free(state);
}

const char *wsk__deflate_zlib(void)
{
    return zlibVersion();
}
