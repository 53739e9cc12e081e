/* ws/mask: the masking of RFC 6455 5.3, together with the copy that it comes
 * with, and with a test for ASCII. */
#ifndef WSK_WS_MASK_H
#define WSK_WS_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Set dst[i] = src[i] ^ key[(offset + i) % 4] for n octets, the first of which
 * is octet `offset` of the payload. Masking and unmasking are the same. dst and
 * src are equal, or do not overlap. Returns true if all of dst is ASCII.
 */
bool wsk__mask_copy(uint8_t *dst, const uint8_t *src, size_t n,
                    const uint8_t key[4], uint64_t offset);

/*
 * Masking keys that no one can foresee (RFC 6455 10.3), made of random bytes:
 * SHA-1, which is one-way, of these and a count.
 */
struct wsk__keys {
    uint8_t seed[32];
    uint64_t count;
    uint8_t keys[20];
    uint8_t left; /* bytes of keys that are not used yet */
};

void wsk__keys_next(struct wsk__keys *m, uint8_t key[4]);

#endif
