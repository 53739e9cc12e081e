#include "net/loop/timer.h"

#include <stddef.h>

static struct wsk__timer *slot_of(struct wsk__wheel *w, uint64_t due_ms)
{
    /* Round up, so that a timer is never early by less than a tick. */
    uint64_t tick = due_ms / WSK__WHEEL_TICK_MS + 1;

    if (tick < w->tick)
        tick = w->tick;
    if (w->tick + (tick - w->tick) % WSK__WHEEL_SLOTS < w->first)
        w->first = w->tick + (tick - w->tick) % WSK__WHEEL_SLOTS;
    return &w->slot[tick % WSK__WHEEL_SLOTS];
}

void wsk__wheel_init(struct wsk__wheel *w, uint64_t now_ms)
{
    for (size_t i = 0; i < WSK__WHEEL_SLOTS; i++)
        w->slot[i].prev = w->slot[i].next = &w->slot[i];
    w->tick = now_ms / WSK__WHEEL_TICK_MS;
    w->armed = 0;
}

void wsk__timer_clear(struct wsk__wheel *w, struct wsk__timer *t)
{
    if (t->next == NULL)
        return;
    t->prev->next = t->next;
    t->next->prev = t->prev;
    t->prev = t->next = NULL;
    w->armed--;
}

void wsk__timer_set(struct wsk__wheel *w, struct wsk__timer *t, uint64_t due_ms)
{
    struct wsk__timer *head = slot_of(w, due_ms);

    wsk__timer_clear(w, t);
    t->due_ms = due_ms;
    t->prev = head->prev;
    t->next = head;
    head->prev->next = t;
    head->prev = t;
    w->armed++;
}

static struct wsk__timer *due_in(struct wsk__timer *head, uint64_t now_ms)
{
    for (struct wsk__timer *t = head->next; t != head; t = t->next)
        if (t->due_ms <= now_ms)
            return t;
    return NULL;
}

struct wsk__timer *wsk__wheel_next_due(struct wsk__wheel *w, uint64_t now_ms)
{
    uint64_t now_tick = now_ms / WSK__WHEEL_TICK_MS;

    if (now_tick >= w->tick + WSK__WHEEL_SLOTS) /* one turn finds them all */
        w->tick = now_tick - WSK__WHEEL_SLOTS + 1;
    while (w->armed > 0 && w->tick <= now_tick) {
        struct wsk__timer *t =
            due_in(&w->slot[w->tick % WSK__WHEEL_SLOTS], now_ms);

        if (t != NULL) {
            wsk__timer_clear(w, t);
            return t;
        }
        w->tick++;
    }
    if (w->armed == 0)
        w->tick = now_tick + 1;
    return NULL;
}

int wsk__wheel_wait_ms(struct wsk__wheel *w, uint64_t now_ms)
{
    if (w->armed == 0)
        return -1;
    /* Called at each turn of the loop, so slots found empty are not looked at
     * again until a timer is set there. */
    if (w->first < w->tick)
        w->first = w->tick;
    for (uint64_t i = 0; i < WSK__WHEEL_SLOTS; i++, w->first++) {
        const struct wsk__timer *head = &w->slot[w->first % WSK__WHEEL_SLOTS];

        if (head->next != head) {
            uint64_t at = w->first * WSK__WHEEL_TICK_MS;

            return at > now_ms ? (int)(at - now_ms) : 0;
        }
    }
    return -1;
}
