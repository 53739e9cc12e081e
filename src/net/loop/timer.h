/* net/loop/timer: a hashed wheel of deadlines. Deadlines are lazy: nothing is
 * touched per message. When a timer fires too early, its owner works out the
 * real deadline and sets it again. */
#ifndef WSK_NET_LOOP_TIMER_H
#define WSK_NET_LOOP_TIMER_H

#include <stdint.h>

enum { WSK__WHEEL_SLOTS = 512, WSK__WHEEL_TICK_MS = 64 };

/* A deadline in the wheel. */
struct wsk__timer {
    struct wsk__timer *prev, *next; /* in its slot; NULL while not armed */
    uint64_t due_ms;
};

/* The wheel: slot i holds the timers of every tick that is i modulo the slots.
 */
struct wsk__wheel {
    struct wsk__timer slot[WSK__WHEEL_SLOTS]; /* heads of rings */
    uint64_t tick;  /* every timer of earlier ticks has fired */
    uint64_t first; /* no slot from `tick` up to here holds a timer */
    unsigned armed;
};

/* Empty the wheel; its first tick is that of now_ms. */
void wsk__wheel_init(struct wsk__wheel *w, uint64_t now_ms);

/* Let a timer fire at due_ms, or up to a tick later. Moves an armed timer. */
void wsk__timer_set(struct wsk__wheel *w, struct wsk__timer *t,
                    uint64_t due_ms);

/* Disarm a timer; idempotent. */
void wsk__timer_clear(struct wsk__wheel *w, struct wsk__timer *t);

/* Return the next timer that is due, disarmed; NULL: there is none. Call until
 * it returns NULL. */
struct wsk__timer *wsk__wheel_next_due(struct wsk__wheel *w, uint64_t now_ms);

/* Return the milliseconds until a timer may be due; -1: none is armed. */
int wsk__wheel_wait_ms(struct wsk__wheel *w, uint64_t now_ms);

#endif
