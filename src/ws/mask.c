#include "ws/mask.h"

#include <string.h>

void wsk__mask_copy(uint8_t *restrict dst, const uint8_t *restrict src,
                    size_t n, const uint8_t key[4], uint64_t offset)
{
    uint8_t turned[8]; /* the key twice, as it meets src[0] */
    uint64_t word, mask;
    size_t i = 0;

    for (size_t k = 0; k < 8; k++)
        turned[k] = key[(offset + k) & 3];
    memcpy(&mask, turned, 8);
    /* Copied in and out of words, which compilers turn into vector code. */
    for (; n - i >= 8; i += 8) {
        memcpy(&word, src + i, 8);
        word ^= mask;
        memcpy(dst + i, &word, 8);
    }
    for (size_t k = 0; i < n; i++, k++)
        dst[i] = src[i] ^ turned[k];
}
