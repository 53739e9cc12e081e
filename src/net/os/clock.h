/* net/os/clock: the monotonic clock and the wall clock, and waits by them. */
#ifndef WSK_NET_OS_CLOCK_H
#define WSK_NET_OS_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

uint64_t wsk__now_ms(void); /* monotonic, coarse: a few ns, up to 4 ms late */
int64_t wsk__wall_s(void);  /* wall clock, since 1970 */

/* Monotonic, exact. */
static inline uint64_t wsk__now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Make a condition that is waited for until a moment of wsk__wait_until(). */
void wsk__cond_init(pthread_cond_t *cond);

/* Return the moment `ms` from now, for pthread_cond_timedwait(). */
struct timespec wsk__wait_until(unsigned ms);

/* Return the moment within the last 49 days whose lower half is `low`. */
static inline uint64_t wsk__recent_ms(uint32_t low)
{
    uint64_t now = wsk__now_ms();

    return now - (uint32_t)((uint32_t)now - low);
}

/* Return the moment within 24 days of now_ms, on either side, whose lower half
 * is `low`. */
static inline uint64_t wsk__near_ms(uint64_t now_ms, uint32_t low)
{
    return now_ms + (uint64_t)(int64_t)(int32_t)(low - (uint32_t)now_ms);
}

#endif
