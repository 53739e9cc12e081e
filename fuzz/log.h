/* Octets that gather, to be compared with those of another run. */
#ifndef FUZZ_LOG_H
#define FUZZ_LOG_H

#include "fuzz.h"

#include <stdbool.h>

struct log {
    uint8_t *p; /* free() it */
    size_t len, size;
};

static inline void put(struct log *log, const void *data, size_t n)
{
    if (log->len + n > log->size) {
        log->size = (log->len + n) * 2;
        log->p = realloc(log->p, log->size);
        REQUIRE(log->p != NULL);
    }
    if (n > 0)
        memcpy(log->p + log->len, data, n);
    log->len += n;
}

static inline bool begins_with(const struct log *log, const struct log *start)
{
    return start->len <= log->len &&
           (start->len == 0 || memcmp(log->p, start->p, start->len) == 0);
}

static inline bool same(const struct log *a, const struct log *b)
{
    return a->len == b->len && begins_with(a, b);
}

#endif
