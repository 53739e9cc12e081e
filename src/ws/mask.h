/* ws/mask: the masking of RFC 6455 5.3, fused with the copy it comes with, and
 * with a look at the result. */
#ifndef WSK_WS_MASK_H
#define WSK_WS_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * dst[i] = src[i] ^ key[(offset + i) % 4] for n octets that stand `offset`
 * octets behind the start of their payload. Masking and unmasking are the same.
 * dst and src are the same place, or do not overlap. Returns whether all of dst
 * is ASCII.
 */
bool wsk__mask_copy(uint8_t *dst, const uint8_t *src, size_t n,
                    const uint8_t key[4], uint64_t offset);

/*
 * Masking keys that nobody can foresee (RFC 6455 10.3), out of octets that were
 * random: SHA-1 of these and a count, which is one-way.
 */
struct wsk__keys {
    uint8_t seed[32];
    uint64_t count;
    uint8_t keys[20];
    uint8_t left; /* octets of keys that are not used yet */
};

void wsk__keys_next(struct wsk__keys *m, uint8_t key[4]);

#endif
