/* net/loop/timer: a hashed wheel of deadlines. Deadlines are lazy: nothing is
 * touched per message. A timer that fires too early is asked for its real
 * deadline and put back. */
#ifndef WSK_NET_LOOP_TIMER_H
#define WSK_NET_LOOP_TIMER_H

#include <stdint.h>

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
