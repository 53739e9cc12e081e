/* net/conn/min_rate: the deadline of a peer that must send or take a minimum of
 * bytes per second. Some time of grace comes first. Bytes that move extend
 * the deadline, up to a credit, so that a fast beginning buys no endless pause.
 * The caller gives the time. */
#ifndef WSK_NET_CONN_MIN_RATE_H
#define WSK_NET_CONN_MIN_RATE_H

#include <stdint.h>

/* The grace, and the most credit. */
enum { WSK__MIN_RATE_GRACE_MS = 10000, WSK__MIN_RATE_CREDIT_MS = 30000 };

/* The clock of one transfer. */
struct wsk__min_rate {
    uint64_t due_us; /* the deadline */
};

/* Start the grace. */
static inline void wsk__min_rate_begin(struct wsk__min_rate *p, uint64_t now_ms)
{
    p->due_us = (now_ms + WSK__MIN_RATE_GRACE_MS) * 1000;
}

/* Extend the deadline: `bytes` have moved, at a minimum of `rate` per second;
 * 0: no minimum. */
static inline void wsk__min_rate_moved(struct wsk__min_rate *p, uint64_t now_ms,
                                       uint64_t bytes, uint64_t rate)
{
    uint64_t most = (now_ms + WSK__MIN_RATE_CREDIT_MS) * 1000;

    if (rate == 0)
        return;
    if (bytes > rate * (WSK__MIN_RATE_CREDIT_MS / 1000))
        bytes = rate * (WSK__MIN_RATE_CREDIT_MS / 1000);
    p->due_us += bytes * 1000000 / rate;
    if (p->due_us > most)
        p->due_us = most;
}

/* Extend the deadline by a time in which it was not the peer's turn. */
static inline void wsk__min_rate_skip(struct wsk__min_rate *p, uint64_t ms)
{
    p->due_us += ms * 1000;
}

/* Return the deadline; UINT64_MAX: no minimum. */
static inline uint64_t wsk__min_rate_due_ms(const struct wsk__min_rate *p,
                                            uint64_t rate)
{
    return rate == 0 ? UINT64_MAX : p->due_us / 1000;
}

#endif
