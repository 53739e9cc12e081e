/* Random numbers of tests, the same for the same seed (xorshift64). */
#ifndef DICE_H
#define DICE_H

#include <stdint.h>

static uint64_t dice = 1; /* the seed; not 0 */

static inline uint32_t roll(uint32_t n)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)((dice >> 11) % n);
}

#endif
