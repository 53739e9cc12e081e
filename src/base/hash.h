/* base/hash: FNV-1a in 32 bits, for tables and for telling a few things apart:
 * a peer that chooses the input can make any two hashes equal. With a key,
 * SipHash-1-3, with which it cannot. */
#ifndef WSK_BASE_HASH_H
#define WSK_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t wsk__hash(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 16777619u;
    return hash;
}

static inline void wsk__sip_round(uint64_t v[4])
{
#define WSK__ROTATE(x, n) (((x) << (n)) | ((x) >> (64 - (n))))
    v[0] += v[1];
    v[2] += v[3];
    v[1] = WSK__ROTATE(v[1], 13) ^ v[0];
    v[3] = WSK__ROTATE(v[3], 16) ^ v[2];
    v[0] = WSK__ROTATE(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = WSK__ROTATE(v[3], 21) ^ v[0];
    v[1] = WSK__ROTATE(v[1], 17) ^ v[2];
    v[2] = WSK__ROTATE(v[2], 32);
#undef WSK__ROTATE
}

/* Return SipHash-1-3, of Aumasson and Bernstein, on little-endian machines. */
static inline uint64_t wsk__hash_keyed(const uint64_t key[2], const void *data,
                                       size_t len)
{
    uint64_t v[4] = {
        key[0] ^ UINT64_C(0x736f6d6570736575),
        key[1] ^ UINT64_C(0x646f72616e646f6d),
        key[0] ^ UINT64_C(0x6c7967656e657261),
        key[1] ^ UINT64_C(0x7465646279746573),
    };
    const uint8_t *p = data;

    for (size_t left = len;; left -= 8, p += 8) {
        uint64_t word = 0;

        memcpy(&word, p, left < 8 ? left : 8);
        if (left < 8)
            word |= (uint64_t)len << 56;
        v[3] ^= word;
        wsk__sip_round(v);
        v[0] ^= word;
        if (left < 8)
            break;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        wsk__sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
