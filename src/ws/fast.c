#include "ws/fast.h"

#include "base/mem.h"

#include <stdbool.h>
#include <string.h>

enum {
    HASH_BITS = 13,   /* bits of the largest table */
    HASH_LEAST = 8,   /* bits of the smallest, for short messages */
    MATCH_LEAST = 4,  /* bytes that are hashed */
    MATCH_MOST = 258, /* RFC 1951 3.2.5 */
    CHUNK = 16384,    /* bytes that a past takes before it moves down */
    NOTED = 8,        /* bytes from one noted place in a match to the next */
    PATIENCE = 5,     /* 2^5 misses in a row lengthen the stride by one */
};

/*
 * table[hash of 4 bytes] is the low half of the last position at which they
 * stood. Positions grow by one per byte for the life of a past. A window is at
 * most 2^15, so the low half gives the distance; an older entry gives a wrong
 * one, which does no harm: bytes are always compared, and never before the
 * start of the buffer.
 */
struct fast {
    uint8_t *out;   /* place of the next byte */
    uint64_t bits;  /* bits not written yet, the first lowest */
    unsigned n;     /* number of those bits, below 32 between two puts */
    unsigned shift; /* 32 minus the bits of the hash */
    size_t window;
    uint16_t *table;
};

struct wsk__fast_past {
    size_t used, size; /* bytes of octets[] that are used, and its size */
    size_t window;
    uint16_t moved; /* position of octets[0] */
    uint16_t table[1 << HASH_BITS];
    uint8_t octets[];
};

/* --------------------------------------------------------------- bits --- */

/* Put n bits, at most 32. */
static inline void put(struct fast *f, uint32_t bits, unsigned n)
{
    f->bits |= (uint64_t)bits << f->n;
    f->n += n;
    if (f->n >= 32) {
        f->out[0] = (uint8_t)f->bits;
        f->out[1] = (uint8_t)(f->bits >> 8);
        f->out[2] = (uint8_t)(f->bits >> 16);
        f->out[3] = (uint8_t)(f->bits >> 24);
        f->out += 4;
        f->bits >>= 32;
        f->n -= 32;
    }
}

/* Huffman codes are packed from their highest bit on (RFC 1951 3.1.1). */
#define R2(n) n, n + 128, n + 64, n + 192
#define R4(n) R2(n), R2(n + 32), R2(n + 16), R2(n + 48)
#define R6(n) R4(n), R4(n + 8), R4(n + 4), R4(n + 12)
static const uint8_t REVERSED[256] = {R6(0), R6(2), R6(1), R6(3)};

/* Reverse the `n` low bits of a byte. */
static inline uint32_t reversed(unsigned x, unsigned n)
{
    return (uint32_t)REVERSED[x] >> (8 - n);
}

static inline unsigned log2_of(uint32_t x)
{
    return 31 - (unsigned)__builtin_clz(x);
}

/* RFC 1951 3.2.6: 8 bits from 00110000 on, then 9 bits from 110010000 on, whose
 * low eight are the byte itself. */
static inline void put_literal(struct fast *f, unsigned c)
{
    if (c < 144)
        put(f, reversed(0x30 + c, 8), 8);
    else
        put(f, 1 | reversed(c, 8) << 1, 9);
}

/* RFC 1951 3.2.5: lengths from 3 on are symbols from 257 on, four of which
 * share a number of extra bits. The fixed codes of 256 to 279 are 7 bits from
 * zero on, those above 8 bits from 11000000 on. */
static inline void put_length(struct fast *f, size_t length)
{
    uint32_t x = (uint32_t)length - 3;
    unsigned extra = x < 8 ? 0 : log2_of(x) - 2;
    unsigned symbol = x < 8 ? 1 + x : 1 + 4 * (extra + 1) + ((x >> extra) & 3);

    if (length == MATCH_MOST) {
        symbol = 29;
        extra = 0;
    }
    if (symbol < 24)
        put(f, reversed(symbol, 7), 7);
    else
        put(f, reversed(0xc0 + symbol - 24, 8), 8);
    put(f, x & ((1u << extra) - 1), extra);
}

/* The same for distances: symbols of 5 bits, two for each number of extra
 * bits. */
static inline void put_distance(struct fast *f, size_t distance)
{
    uint32_t x = (uint32_t)distance - 1;
    unsigned extra = x < 4 ? 0 : log2_of(x) - 1;
    unsigned symbol = x < 4 ? x : 2 * (extra + 1) + ((x >> extra) & 1);

    put(f, reversed(symbol, 5), 5);
    put(f, x & ((1u << extra) - 1), extra);
}

/* ------------------------------------------------------------- matches --- */

static inline uint32_t hash(const struct fast *f, const uint8_t *p)
{
    uint32_t x;

    memcpy(&x, p, sizeof(x));
    return x * 2654435761U >> f->shift;
}

/* Return how many bytes at a and b are equal, at most `most`. */
static inline size_t same(const uint8_t *a, const uint8_t *b, size_t most)
{
    uint64_t x, y;
    size_t n = 0;

    for (; most - n >= 8; n += 8) {
        memcpy(&x, a + n, 8);
        memcpy(&y, b + n, 8);
        if (x != y)
            break;
    }
    while (n < most && a[n] == b[n])
        n++;
    return n;
}

/* Return how far back base[at] and the bytes behind it stand once more; 0:
 * unknown. `moved` is the position of base[0]. */
static inline size_t look_up(struct fast *f, const uint8_t *base, size_t at,
                             uint16_t moved)
{
    uint16_t now = (uint16_t)(at + moved);
    uint16_t *seen = &f->table[hash(f, base + at)];
    size_t distance = (uint16_t)(now - *seen);

    *seen = now;
    if (distance == 0 || distance > f->window || distance > at ||
        memcmp(base + at, base + at - distance, MATCH_LEAST) != 0)
        return 0;
    return distance;
}

/* Note a few places in a match of n bytes at base[at], and its end, where the
 * next match may begin. */
static inline void remember(struct fast *f, const uint8_t *base, size_t at,
                            size_t n, size_t end, uint16_t moved)
{
    size_t last = at + n - 2;

    for (; at < last && end - at >= MATCH_LEAST; at += NOTED)
        f->table[hash(f, base + at)] = (uint16_t)(at + moved);
    if (end - last >= MATCH_LEAST)
        f->table[hash(f, base + last)] = (uint16_t)(last + moved);
}

/* Encode base[at..end), which follows base[0..at). */
static void encode(struct fast *f, const uint8_t *base, size_t at, size_t end,
                   uint16_t moved)
{
    size_t misses = 0;

    while (end - at >= MATCH_LEAST) {
        size_t most = end - at < MATCH_MOST ? end - at : MATCH_MOST;
        size_t distance = look_up(f, base, at, moved);

        if (distance > 0) {
            size_t n = same(base + at, base + at - distance, most);

            put_length(f, n);
            put_distance(f, distance);
            remember(f, base, at, n, end, moved);
            at += n;
            misses = 0;
            continue;
        }
        /* Data that has not repeated for long is searched in larger steps. */
        most = 1 + (misses++ >> PATIENCE);
        if (most > end - at)
            most = end - at;
        for (; most > 0; most--)
            put_literal(f, base[at++]);
    }
    while (at < end)
        put_literal(f, base[at++]);
}

/* Begin a block that is not the last, with fixed codes (RFC 1951 3.2.3). */
static struct fast begin(uint8_t *out, uint16_t *table, unsigned hash_bits,
                         size_t window)
{
    struct fast f = {
        .out = out, .shift = 32 - hash_bits, .window = window, .table = table};

    put(&f, 2, 3);
    return f;
}

/* Put the end of the block, and the three bits that begin an empty stored one;
 * RFC 7692 7.2.1 removes the rest of that. */
static size_t finish(struct fast *f, const uint8_t *out)
{
    put(f, 0, 7 + 3);
    for (; f->n > 0; f->n = f->n > 8 ? f->n - 8 : 0) {
        *f->out++ = (uint8_t)f->bits;
        f->bits >>= 8;
    }
    return (size_t)(f->out - out);
}

/* RFC 1951 3.2.4: the most bytes that 16 bits can count, and the bytes of the
 * count. */
enum { STORED_MOST = 65535, STORED_HEAD = 5 };

static size_t stored_size(size_t len)
{
    return len + STORED_HEAD * ((len + STORED_MOST - 1) / STORED_MOST) + 1;
}

/* Store data uncompressed. A zero byte begins each block, and the empty one
 * behind them as well. */
static void store(uint8_t *out, const uint8_t *data, size_t len)
{
    size_t n;

    for (; len > 0; data += n, len -= n) {
        n = len < STORED_MOST ? len : STORED_MOST;
        out[0] = 0;
        out[1] = (uint8_t)n;
        out[2] = (uint8_t)(n >> 8);
        out[3] = (uint8_t)~out[1];
        out[4] = (uint8_t)~out[2];
        memcpy(out + STORED_HEAD, data, n);
        out += STORED_HEAD + n;
    }
    *out = 0;
}

/* End the message, stored where compressing has not made it shorter. */
static size_t finish_or_store(struct fast *f, uint8_t *out, const uint8_t *data,
                              size_t len)
{
    size_t size = finish(f, out);

    if (size <= stored_size(len))
        return size;
    store(out, data, len);
    return stored_size(len);
}

/* ------------------------------------------------------------ messages --- */

/* Return the size of table that a message is worth clearing. */
static unsigned hash_bits_for(size_t len)
{
    unsigned bits = HASH_LEAST;

    while (bits < HASH_BITS && (size_t)1 << bits < len)
        bits++;
    return bits;
}

size_t wsk__fast_alone(uint8_t *out, const uint8_t *data, size_t len,
                       unsigned bits)
{
    uint16_t table[1 << HASH_BITS];
    unsigned hash_bits = hash_bits_for(len);
    struct fast f = begin(out, table, hash_bits, (size_t)1 << bits);

    memset(table, 0, sizeof(*table) << hash_bits);
    encode(&f, data, 0, len, 0);
    return finish_or_store(&f, out, data, len);
}

size_t wsk__fast_bytes(unsigned bits)
{
    return sizeof(struct wsk__fast_past) + ((size_t)1 << bits) + CHUNK;
}

struct wsk__fast_past *wsk__fast_new(unsigned bits)
{
    struct wsk__fast_past *past = wsk__calloc(wsk__fast_bytes(bits));

    if (past == NULL)
        return NULL;
    past->window = (size_t)1 << bits;
    past->size = past->window + CHUNK;
    return past;
}

/* Make room for one more byte at least. */
static void make_room(struct wsk__fast_past *past)
{
    size_t down = past->size - past->window;

    if (past->used < past->size)
        return;
    memmove(past->octets, past->octets + down, past->window);
    past->used = past->window;
    past->moved = (uint16_t)(past->moved + down);
}

size_t wsk__fast_next(struct wsk__fast_past *past, uint8_t *out,
                      const uint8_t *data, size_t len)
{
    struct fast f = begin(out, past->table, HASH_BITS, past->window);
    size_t n;

    for (size_t at = 0; at < len; at += n) {
        make_room(past);
        n = past->size - past->used;
        n = n < len - at ? n : len - at;
        memcpy(past->octets + past->used, data + at, n);
        encode(&f, past->octets, past->used, past->used + n, past->moved);
        past->used += n;
    }
    return finish_or_store(&f, out, data, len);
}
