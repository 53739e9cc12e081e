/* net/os/clock: the only file that reads a clock. */
#ifndef WSK_NET_OS_CLOCK_H
#define WSK_NET_OS_CLOCK_H

#include "http/select.h"

/* Text of a Date field (RFC 9110 5.6.7) and the second it stands for. Each
 * thread keeps its own. */
struct wsk__date {
    int64_t second;
    char text[WSK__HTTP_DATE + 1];
};

uint64_t wsk__now_ms(void); /* monotonic, coarse: a few ns, up to 4 ms late */
uint64_t wsk__now_ns(void); /* monotonic, exact */

/* Return the moment within the last 49 days whose lower half is `low`. */
static inline uint64_t wsk__recent_ms(uint32_t low)
{
    uint64_t now = wsk__now_ms();

    return now - (uint32_t)((uint32_t)now - low);
}

void wsk__date_refresh(struct wsk__date *date);

#endif
