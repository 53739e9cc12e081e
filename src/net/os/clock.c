#include "net/os/clock.h"

#include <time.h>

#ifndef CLOCK_MONOTONIC_COARSE
#define CLOCK_MONOTONIC_COARSE CLOCK_MONOTONIC
#endif

/* No jump of the wall clock makes a wait longer, but on macOS, where a
 * condition has no other clock. */
#ifdef __APPLE__
#define WAIT_CLOCK CLOCK_REALTIME
#else
#define WAIT_CLOCK CLOCK_MONOTONIC
#endif

uint64_t wsk__now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void wsk__cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t how;

    pthread_condattr_init(&how);
#ifndef __APPLE__
    pthread_condattr_setclock(&how, WAIT_CLOCK);
#endif
    pthread_cond_init(cond, &how);
    pthread_condattr_destroy(&how);
}

struct timespec wsk__wait_until(unsigned ms)
{
    struct timespec until;

    clock_gettime(WAIT_CLOCK, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    return until;
}

int64_t wsk__wall_s(void)
{
    return (int64_t)time(NULL);
}
