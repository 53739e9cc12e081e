/* net/timer: the only room that reads a clock, and a hashed wheel of deadlines.
 * Deadlines are lazy: nothing is touched per message. A timer that fires too
 * early is asked for its real deadline and put back. */
#ifndef WSK_NET_TIMER_H
#define WSK_NET_TIMER_H

#include "http/select.h"

#include <stdbool.h>
#include <stdint.h>

uint64_t wsk__now_ms(void); /* monotonic, coarse: a few ns, ~4 ms late */
uint64_t wsk__now_ns(void); /* monotonic, exact */

/* The moment within the last 49 days of which `low` is the lower half. */
static inline uint64_t wsk__recent_ms(uint32_t low)
{
    uint64_t now = wsk__now_ms();

    return now - (uint32_t)((uint32_t)now - low);
}

/* The text of a Date field (RFC 9110 5.6.7) and the second it stands for. Each
 * thread keeps its own. */
struct wsk__date {
    int64_t second;
    char text[WSK__HTTP_DATE + 1];
};
void wsk__date_refresh(struct wsk__date *date);

enum { WSK__WHEEL_SLOTS = 512, WSK__WHEEL_TICK_MS = 64 };

struct wsk__timer {
    struct wsk__timer *prev, *next; /* in its slot; NULL while not armed */
    uint64_t due_ms;
};

struct wsk__wheel {
    struct wsk__timer slot[WSK__WHEEL_SLOTS]; /* heads of rings */
    uint64_t tick;                            /* all before it have fired */
    uint64_t first; /* no slot from `tick` up to here holds a timer */
    unsigned armed;
};

void wsk__wheel_init(struct wsk__wheel *w, uint64_t now_ms);

/* Fire at due_ms, or up to a tick later. Moves an armed timer. */
void wsk__timer_set(struct wsk__wheel *w, struct wsk__timer *t,
                    uint64_t due_ms);
void wsk__timer_clear(struct wsk__wheel *w, struct wsk__timer *t);

/* The next timer that is due, disarmed; NULL when there is none. Call it until
 * it returns NULL. */
struct wsk__timer *wsk__wheel_next_due(struct wsk__wheel *w, uint64_t now_ms);

/* Milliseconds until the wheel wants to be looked at; -1: never. */
int wsk__wheel_wait_ms(struct wsk__wheel *w, uint64_t now_ms);

#endif
