#include "ws/inflate.h"

#include "base/mem.h"
#include "ws/zalloc.h"

struct wsk__inflater {
    z_stream z;
    bool whole; /* no byte came since a message or a last block ended */
    bool ahead; /* the next byte is taken already, see wsk__inflate() */
};

/* The window is the widest, not the one agreed: zlib compares a distance with
 * the window only where it leaves the bytes at hand. With a smaller one, the
 * verdict on a distance too far would depend on how the message was cut. */
enum { WIDEST = 15, LEAST_ROOM = 256, MOST_ROOM = 16384 };

/* Value of data_type after inflate() between two blocks, with no bit left over
 * and no last block before. */
enum { BETWEEN_BLOCKS = 128 };

struct wsk__inflater *wsk__inflater_new(struct wsk__pool *pool)
{
    struct wsk__inflater *inf =
        wsk__slots_take(pool != NULL ? &pool->inflaters : NULL);

    if (inf == NULL) {
        inf = wsk__calloc(sizeof(*inf));
        if (inf == NULL)
            return NULL;
        wsk__zalloc_init(&inf->z);
        if (inflateInit2(&inf->z, -WIDEST) != Z_OK) {
            wsk__free(inf);
            return NULL;
        }
        /* Make zlib take the memory of its window now: it could not go on after
         * a failure in the middle of a message. */
        if (inflateSetDictionary(&inf->z, (const Bytef *)"", 0) != Z_OK) {
            wsk__inflater_free(inf);
            return NULL;
        }
    }
    inf->whole = true;
    inf->ahead = false;
    return inf;
}

void wsk__inflater_free(struct wsk__inflater *inf)
{
    if (inf == NULL)
        return;
    inflateEnd(&inf->z);
    wsk__free(inf);
}

void wsk__inflater_release(struct wsk__inflater *inf, struct wsk__pool *pool)
{
    if (inf == NULL || pool == NULL || inflateReset(&inf->z) != Z_OK ||
        !wsk__slots_give(&pool->inflaters, inf))
        wsk__inflater_free(inf);
}

/* Inflate as much as zlib can give now. Past the cap it gets room for one byte,
 * which is thrown away: a peer that fills it has sent too much. */
static enum wsk__inflated inflate_more(struct wsk__inflater *inf,
                                       struct wsk__buf *to)
{
    size_t left = to->cap - wsk__buf_len(to);
    uInt had = inf->z.avail_in;
    size_t n = (size_t)had * 4;
    uint8_t beyond, *room = &beyond;
    int rc;

    n = n < LEAST_ROOM ? LEAST_ROOM : n < MOST_ROOM ? n : MOST_ROOM;
    n = n < left ? n : left;
    if (left > 0)
        room = wsk__buf_room(to, n);
    if (room == NULL)
        return WSK__INFLATE_NOMEM;
    inf->z.next_out = room;
    inf->z.avail_out = (uInt)(left > 0 ? n : 1);
    rc = inflate(&inf->z, Z_NO_FLUSH);
    n = (size_t)(inf->z.next_out - room);
    if (left == 0 && n > 0)
        return WSK__INFLATE_TOO_BIG;
    wsk__buf_grow_tail(to, n);
    inf->whole = rc == Z_STREAM_END || (inf->whole && inf->z.avail_in == had);
    /* RFC 7692 7.2.3.4: a last block may be followed by others, for which the
     * window stays. */
    if (rc == Z_STREAM_END)
        rc = inflateResetKeep(&inf->z);
    return rc == Z_OK || rc == Z_BUF_ERROR ? WSK__INFLATED
                                           : WSK__INFLATE_BROKEN;
}

enum wsk__inflated wsk__inflate(struct wsk__inflater *inf, const uint8_t *data,
                                size_t *len, struct wsk__buf *to, bool pieces)
{
    enum wsk__inflated result;
    size_t skip = inf->ahead;

    inf->z.next_in = (Bytef *)(uintptr_t)(data + skip); /* zlib only reads it */
    inf->z.avail_in = (uInt)(*len - skip);
    inf->ahead = false;
    do
        result = pieces && wsk__buf_len(to) == to->cap ? WSK__INFLATE_FULL
                                                       : inflate_more(inf, to);
    while (result == WSK__INFLATED &&
           (inf->z.avail_in > 0 || inf->z.avail_out == 0));
    /* When room or memory is out and all bytes are taken, zlib still has some
     * output of its own: the last byte is handed in once more then, and left
     * out. */
    inf->ahead =
        (result == WSK__INFLATE_NOMEM || result == WSK__INFLATE_FULL) &&
        inf->z.avail_in == 0;
    *len -= inf->z.avail_in + (size_t)inf->ahead;
    return result;
}

bool wsk__inflate_end(struct wsk__inflater *inf)
{
    static const uint8_t TAIL[] = {0x00, 0x00, 0xff, 0xff}; /* 7.2.2 */
    uint8_t none;

    if (inf->whole)
        return true;
    inf->z.next_in = (Bytef *)(uintptr_t)TAIL;
    inf->z.avail_in = sizeof(TAIL);
    inf->z.next_out = &none;
    inf->z.avail_out = 1;
    /* The tail is the end of an empty block: zlib writes nothing for it, and
     * reports then that it stands between two blocks, at a byte's border. */
    inf->whole = inflate(&inf->z, Z_SYNC_FLUSH) == Z_OK &&
                 inf->z.avail_out == 1 && inf->z.avail_in == 0 &&
                 inf->z.data_type == BETWEEN_BLOCKS;
    return inf->whole;
}
