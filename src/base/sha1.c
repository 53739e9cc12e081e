#include "sha1.h"

#include <string.h>

enum { BLOCK = 64, LENGTH_AT = 56 };

static uint32_t rotl(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

static void store_be32(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(x >> (24 - 8 * i));
}

/* FIPS 180-4 4.1.1 and 4.2.1: the function and the constant of round t. */
static uint32_t mix(int t, uint32_t b, uint32_t c, uint32_t d)
{
    if (t < 20)
        return ((b & c) | (~b & d)) + 0x5a827999;
    if (t < 40)
        return (b ^ c ^ d) + 0x6ed9eba1;
    if (t < 60)
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    return (b ^ c ^ d) + 0xca62c1d6;
}

static void digest_block(uint32_t h[5], const uint8_t block[BLOCK])
{
    uint32_t w[80];
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

    for (int t = 0; t < 16; t++)
        w[t] = load_be32(block + 4 * t);
    for (int t = 16; t < 80; t++)
        w[t] = rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    for (int t = 0; t < 80; t++) {
        uint32_t next = rotl(a, 5) + mix(t, b, c, d) + e + w[t];

        e = d;
        d = c;
        c = rotl(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

void wsk__sha1(const void *data, size_t len, uint8_t digest[WSK__SHA1_LEN])
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
                     0xc3d2e1f0};
    uint64_t bits = (uint64_t)len * 8;
    const uint8_t *p = data;
    uint8_t last[2 * BLOCK] = {0};
    size_t last_len;

    for (; len >= BLOCK; len -= BLOCK, p += BLOCK)
        digest_block(h, p);

    /* FIPS 180-4 5.1.1: a one bit, zeros, and the length end the last block;
     * where they do not fit behind the data, a further block follows. */
    if (len > 0)
        memcpy(last, p, len);
    last[len] = 0x80;
    last_len = len < LENGTH_AT ? BLOCK : 2 * BLOCK;
    store_be32(last + last_len - 8, (uint32_t)(bits >> 32));
    store_be32(last + last_len - 4, (uint32_t)bits);
    for (size_t at = 0; at < last_len; at += BLOCK)
        digest_block(h, last + at);

    for (int i = 0; i < 5; i++)
        store_be32(digest + 4 * i, h[i]);
}
