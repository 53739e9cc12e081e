/* Random numbers of tests, the same for the same seed (xorshift64), and random
 * programs. */
#ifndef DICE_H
#define DICE_H

#include "harness.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t dice = 1; /* the seed; not 0 */

static inline uint32_t roll(uint32_t n)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)((dice >> 11) % n);
}

/* A number of the environment. */
static inline uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

/* Run a program for each seed from 1 to `n`, or to WSK_PROGRAMS, or for
 * WSK_SEED alone, until one fails, whose seed is printed. */
static inline void run_programs(uint64_t n, void (*run)(uint64_t seed))
{
    uint64_t first = number("WSK_SEED", 1);

    n = getenv("WSK_SEED") != NULL ? 1 : number("WSK_PROGRAMS", n);
    for (uint64_t seed = first; seed < first + n && checks_failed == 0;
         seed++) {
        run(seed * UINT64_C(0x9e3779b97f4a7c15));
        if (checks_failed > 0)
            printf("WSK_SEED=%llu\n", (unsigned long long)seed);
    }
}

#endif
