#include "harness.h"

#include "http/select.h"
#include "net/http1/thread.h"
#include "net/loop/timer.h"

#include <time.h>

enum { T0 = 1000000 }; /* milliseconds; any moment will do */

TEST(a_timer_fires_when_it_is_due_and_not_before)
{
    struct wsk__wheel w;
    struct wsk__timer t = {0};

    wsk__wheel_init(&w, T0);
    wsk__timer_set(&w, &t, T0 + 1000);
    EXPECT(wsk__wheel_next_due(&w, T0 + 999) == NULL);
    EXPECT(wsk__wheel_next_due(&w, T0 + 1000 + WSK__WHEEL_TICK_MS) == &t);
    EXPECT(wsk__wheel_next_due(&w, T0 + 100000) == NULL);
}

TEST(a_timer_further_away_than_a_turn_of_the_wheel_waits_its_time)
{
    const uint64_t turn = WSK__WHEEL_SLOTS * WSK__WHEEL_TICK_MS;
    struct wsk__wheel w;
    struct wsk__timer t = {0};

    wsk__wheel_init(&w, T0);
    wsk__timer_set(&w, &t, T0 + 3 * turn + 5);
    for (uint64_t at = 0; at < 3 * turn; at += 1000)
        EXPECT(wsk__wheel_next_due(&w, T0 + at) == NULL);
    EXPECT(wsk__wheel_next_due(&w, T0 + 3 * turn + 5 + WSK__WHEEL_TICK_MS) ==
           &t);
}

TEST(a_timer_may_be_moved_and_cleared)
{
    struct wsk__wheel w;
    struct wsk__timer t = {0}, u = {0};

    wsk__wheel_init(&w, T0);
    wsk__timer_set(&w, &t, T0 + 50);
    wsk__timer_set(&w, &t, T0 + 5000);
    wsk__timer_set(&w, &u, T0 + 50);
    wsk__timer_clear(&w, &u);
    wsk__timer_clear(&w, &u); /* twice is nothing */
    EXPECT(w.armed == 1);
    EXPECT(wsk__wheel_next_due(&w, T0 + 4000) == NULL);
    EXPECT(wsk__wheel_next_due(&w, T0 + 6000) == &t);
    EXPECT(w.armed == 0);
}

TEST(a_long_sleep_loses_no_timer)
{
    struct wsk__wheel w;
    struct wsk__timer t[100] = {0};
    int fired = 0;

    wsk__wheel_init(&w, T0);
    for (unsigned i = 0; i < 100; i++)
        wsk__timer_set(&w, &t[i], T0 + i * 777);
    while (wsk__wheel_next_due(&w, T0 + 10000000) != NULL)
        fired++;
    EXPECT(fired == 100);
}

TEST(the_wait_leads_to_the_next_timer)
{
    struct wsk__wheel w;
    struct wsk__timer t = {0};
    int ms;

    wsk__wheel_init(&w, T0);
    EXPECT(wsk__wheel_wait_ms(&w, T0) == -1);
    wsk__timer_set(&w, &t, T0 + 2000);
    ms = wsk__wheel_wait_ms(&w, T0);
    EXPECT(ms >= 2000 && ms <= 2000 + WSK__WHEEL_TICK_MS);
    EXPECT(wsk__wheel_next_due(&w, T0 + (uint64_t)ms) == &t);
}

TEST(a_deadline_in_the_past_fires_soon)
{
    struct wsk__wheel w;
    struct wsk__timer t = {0};

    wsk__wheel_init(&w, T0);
    wsk__timer_set(&w, &t, T0 - 5000);
    EXPECT(wsk__wheel_next_due(&w, T0 + WSK__WHEEL_TICK_MS) == &t);
}

TEST(a_date_has_the_form_of_the_standard) /* RFC 9110 5.6.7 */
{
    struct wsk__date date = {0};
    struct tm tm;

    wsk__date_refresh(&date);
    EXPECT(strlen(date.text) == WSK__HTTP_DATE);
    EXPECT(strptime(date.text, "%a, %d %b %Y %H:%M:%S GMT", &tm) != NULL);
}
