/* base/hash: FNV-1a in 32 bits, for tables and for telling a few things apart.
 * A peer that chooses the input can make any two hashes equal. */
#ifndef WSK_BASE_HASH_H
#define WSK_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t wsk__hash(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 16777619u;
    return hash;
}

#endif
