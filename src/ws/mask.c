#include "ws/mask.h"

#include "base/sha1.h"

#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define WIDE 1
#endif

enum { BLOCK = 32, WIDE_LEAST = 256 };

static const uint64_t HIGH_BITS = UINT64_C(0x8080808080808080);

/* Mask one block; returns all its bytes, ORed into a word. Compilers turn the
 * copies into vector code. */
static inline uint64_t mask_block(uint8_t *dst, const uint8_t *src,
                                  uint64_t mask)
{
    uint64_t w[BLOCK / 8];

    memcpy(w, src, BLOCK);
    w[0] ^= mask;
    w[1] ^= mask;
    w[2] ^= mask;
    w[3] ^= mask;
    memcpy(dst, w, BLOCK);
    return w[0] | w[1] | w[2] | w[3];
}

#ifdef WIDE

/* Mask as many pairs of vectors as there are; returns the bytes done. */
__attribute__((target("avx2"))) static size_t mask_wide(uint8_t *dst,
                                                        const uint8_t *src,
                                                        size_t n, uint64_t mask,
                                                        uint64_t *seen)
{
    const __m256i key = _mm256_set1_epi64x((long long)mask);
    __m256i all = _mm256_setzero_si256();
    size_t i = 0;

    for (; n - i >= 64; i += 64) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(src + i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(src + i + 32));

        a = _mm256_xor_si256(a, key);
        b = _mm256_xor_si256(b, key);
        _mm256_storeu_si256((__m256i *)(dst + i), a);
        _mm256_storeu_si256((__m256i *)(dst + i + 32), b);
        all = _mm256_or_si256(all, _mm256_or_si256(a, b));
    }
    if (_mm256_movemask_epi8(all) != 0)
        *seen = HIGH_BITS;
    return i;
}

#endif

bool wsk__mask_copy(uint8_t *dst, const uint8_t *src, size_t n,
                    const uint8_t key[4], uint64_t offset)
{
    uint8_t twice[8], turned[4]; /* turned: the key from src[0] on */
    uint64_t word, mask, seen = 0;
    uint32_t half;
    size_t i = 0;

    memcpy(twice, key, 4);
    memcpy(twice + 4, key, 4);
    memcpy(turned, twice + (offset & 3), 4);
    memcpy(&half, turned, 4);
    mask = half | (uint64_t)half << 32;
#ifdef WIDE
    if (n >= WIDE_LEAST && __builtin_cpu_supports("avx2"))
        i = mask_wide(dst, src, n, mask, &seen);
#endif
    for (; n - i >= BLOCK; i += BLOCK)
        seen |= mask_block(dst + i, src + i, mask);
    for (; n - i >= 8; i += 8) {
        memcpy(&word, src + i, 8);
        word ^= mask;
        memcpy(dst + i, &word, 8);
        seen |= word;
    }
    for (size_t k = 0; i < n; i++, k++) {
        dst[i] = src[i] ^ turned[k & 3];
        seen |= dst[i];
    }
    return (seen & HIGH_BITS) == 0;
}

void wsk__keys_next(struct wsk__keys *m, uint8_t key[4])
{
    _Static_assert(sizeof(m->keys) == WSK__SHA1_LEN, "keys out of a digest");

    if (m->left == 0) {
        uint8_t text[sizeof(m->seed) + sizeof(m->count)];

        memcpy(text, m->seed, sizeof(m->seed));
        memcpy(text + sizeof(m->seed), &m->count, sizeof(m->count));
        wsk__sha1(text, sizeof(text), m->keys);
        m->count++;
        m->left = sizeof(m->keys);
    }
    m->left = (uint8_t)(m->left - 4);
    memcpy(key, m->keys + m->left, 4);
}
