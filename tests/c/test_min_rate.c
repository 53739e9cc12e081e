/* The least that a peer must move, on a clock of the test's own. */
#include "harness.h"

#include "net/conn/min_rate.h"

enum { RATE = 240, START = 1000000 };

static uint64_t due(const struct wsk__min_rate *p)
{
    return wsk__min_rate_due_ms(p, RATE) - START;
}

TEST(it_begins_with_a_grace)
{
    struct wsk__min_rate p;

    wsk__min_rate_begin(&p, START);
    EXPECT(due(&p) == 10000);
}

TEST(who_moves_the_rate_goes_on_for_ever_and_who_moves_less_does_not)
{
    struct wsk__min_rate at, below;

    wsk__min_rate_begin(&at, START);
    wsk__min_rate_begin(&below, START);
    for (uint64_t s = 1; s <= 3600; s++) {
        wsk__min_rate_moved(&at, START + s * 1000, RATE, RATE);
        wsk__min_rate_moved(&below, START + s * 1000, RATE - 1, RATE);
    }
    EXPECT(due(&at) > 3600 * 1000);
    EXPECT(due(&below) < 3600 * 1000);
}

TEST(one_octet_at_a_time_counts_as_much)
{
    struct wsk__min_rate p;

    wsk__min_rate_begin(&p, START);
    for (int i = 0; i < RATE; i++)
        wsk__min_rate_moved(&p, START, 1, RATE);
    EXPECT(due(&p) >= 10999 && due(&p) <= 11000);
}

TEST(a_fast_beginning_buys_thirty_seconds_and_no_more)
{
    struct wsk__min_rate p;

    wsk__min_rate_begin(&p, START);
    wsk__min_rate_moved(&p, START + 5000, UINT64_MAX, RATE);
    EXPECT(due(&p) == 35000);
}

TEST(time_that_was_not_the_peers_does_not_count)
{
    struct wsk__min_rate p;

    wsk__min_rate_begin(&p, START);
    wsk__min_rate_skip(&p, 60000);
    EXPECT(due(&p) == 70000);
}

TEST(a_rate_of_nothing_is_never_due)
{
    struct wsk__min_rate p;

    wsk__min_rate_begin(&p, START);
    wsk__min_rate_moved(&p, START, 1, 0);
    EXPECT(wsk__min_rate_due_ms(&p, 0) == UINT64_MAX);
}
