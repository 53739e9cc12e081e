/* Which topics are wanted of a broker, and how far it has agreed: by tables,
 * and by random programs against a model of the wire. */
#include "base/mem.h"
#include "broker/wanted.h"
#include "dice.h"
#include "harness.h"

#include <stdint.h>

static const uint64_t KEY[2] = {1, 2};
static const wsk_str A = {"a", 1}, B = {"b", 1};

static bool asks(struct wsk__wanted *in, wsk_str topic)
{
    wsk_str names[4];
    size_t n = wsk__wanted_ask(in, names, 4);

    return n == 1 && names[0].len == topic.len &&
           memcmp(names[0].p, topic.p, topic.len) == 0;
}

static bool ends(struct wsk__wanted *in, uint64_t now_ms)
{
    wsk_str names[4];

    return wsk__wanted_end(in, now_ms, names, 4) == 1;
}

static bool tells_gap(struct wsk__wanted *in)
{
    wsk_str name;

    return wsk__wanted_next_gap(in, 60, &name);
}

TEST(a_topic_is_wanted_then_asked_then_confirmed)
{
    struct wsk__wanted in;

    wsk__wanted_init(&in, KEY, 2000);
    EXPECT(wsk__wanted_want(&in, A) == WSK_OK);
    EXPECT(!wsk__wanted_is_confirmed(&in, A));
    EXPECT(asks(&in, A) && in.outstanding == 1);
    EXPECT(!asks(&in, A));
    EXPECT(!wsk__wanted_is_confirmed(&in, A));
    EXPECT(wsk__wanted_answered(&in, A, 50) && in.outstanding == 0);
    EXPECT(wsk__wanted_is_confirmed(&in, A));
    EXPECT(!tells_gap(&in));
    wsk__wanted_clear(&in);
}

TEST(a_topic_that_nobody_wants_lingers_and_is_confirmed_if_wanted_again)
{
    struct wsk__wanted in;

    wsk__wanted_init(&in, KEY, 2000);
    wsk__wanted_want(&in, A);
    asks(&in, A);
    wsk__wanted_answered(&in, A, 50);
    wsk__wanted_unwant(&in, A, 100);
    EXPECT(!wsk__wanted_is_confirmed(&in, A));
    EXPECT(wsk__wanted_ends_at(&in) == 2100 && !ends(&in, 2099));
    wsk__wanted_want(&in, A);
    EXPECT(wsk__wanted_is_confirmed(&in, A) && !asks(&in, A));
    EXPECT(wsk__wanted_ends_at(&in) == UINT64_MAX);
    wsk__wanted_unwant(&in, A, 3000);
    EXPECT(ends(&in, 5000) && in.n == 1);
    EXPECT(!wsk__wanted_answered(&in, A, 50) && in.n == 0);
    wsk__wanted_clear(&in);
}

TEST(
    a_topic_that_is_wanted_again_while_it_ends_is_asked_for_and_confirmed_by_the_second_answer)
{
    struct wsk__wanted in;

    wsk__wanted_init(&in, KEY, 0);
    wsk__wanted_want(&in, A);
    asks(&in, A);
    wsk__wanted_unwant(&in, A, 0); /* not answered yet */
    EXPECT(ends(&in, 0));
    wsk__wanted_want(&in, A);
    EXPECT(asks(&in, A) && in.outstanding == 3);
    EXPECT(!wsk__wanted_answered(&in, A, 50));
    EXPECT(!wsk__wanted_answered(&in, A, 50));
    EXPECT(!wsk__wanted_is_confirmed(&in, A));
    EXPECT(wsk__wanted_answered(&in, A, 50));
    EXPECT(wsk__wanted_is_confirmed(&in, A));
    wsk__wanted_clear(&in);
}

TEST(a_lost_connection_asks_again_for_what_is_wanted_and_tells_a_gap_once)
{
    struct wsk__wanted in;

    wsk__wanted_init(&in, KEY, 2000);
    wsk__wanted_want(&in, A);
    wsk__wanted_want(&in, B);
    wsk__wanted_ask(&in, (wsk_str[4]){{0}}, 4);
    wsk__wanted_answered(&in, A, 50);
    wsk__wanted_answered(&in, B, 50);
    wsk__wanted_unwant(&in, B, 0);
    wsk__wanted_lost(&in);
    EXPECT(in.restoring == 1 && in.outstanding == 0 && in.n == 1);
    EXPECT(!wsk__wanted_is_confirmed(&in, A) && !tells_gap(&in));
    EXPECT(asks(&in, A));
    wsk__wanted_answered(&in, A, 50);
    EXPECT(in.restoring == 0);
    EXPECT(tells_gap(&in) && !tells_gap(&in));
    wsk__wanted_clear(&in);
}

TEST(who_gives_up_waiting_is_told_a_gap_once_it_is_confirmed)
{
    struct wsk__wanted in;

    wsk__wanted_init(&in, KEY, 2000);
    wsk__wanted_want(&in, A);
    asks(&in, A);
    wsk__wanted_doubt(&in, A, UINT64_MAX);
    EXPECT(!tells_gap(&in));
    wsk__wanted_answered(&in, A, 50);
    EXPECT(tells_gap(&in) && !tells_gap(&in));
    wsk__wanted_clear(&in);
}

TEST(who_was_confirmed_or_told_later_is_not_told_of_an_older_loss)
{
    struct wsk__wanted in;

    wsk__wanted_init(&in, KEY, 2000);
    wsk__wanted_want(&in, A);
    wsk__wanted_doubt(&in, B, 70);
    asks(&in, A);
    wsk__wanted_answered(&in, A, 50);
    wsk__wanted_doubt(&in, A, 49);
    EXPECT(!tells_gap(&in));
    wsk__wanted_doubt_all(&in, 50);
    EXPECT(tells_gap(&in)); /* at 60 */
    wsk__wanted_doubt_all(&in, 59);
    EXPECT(!tells_gap(&in));
    wsk__wanted_clear(&in);
}

static bool refused;
static int refuse(void)
{
    return !refused;
}

TEST(without_memory_nothing_changes)
{
    struct wsk__wanted in;

    wsk__wanted_init(&in, KEY, 2000);
    wsk__mem_set_gate(refuse);
    refused = true;
    EXPECT(wsk__wanted_want(&in, A) == WSK_E_NOMEM && in.wanted == 0);
    refused = false;
    EXPECT(wsk__wanted_want(&in, A) == WSK_OK && in.wanted == 1);
    wsk__mem_set_gate(NULL);
    wsk__wanted_clear(&in);
}

/* ------------------------------------------------------ random programs --- */

enum { TOPICS = 12, WIRE = 4096, STEPS = 600 };

/* The wire, and what a broker at its end knows. */
static struct {
    unsigned topic;
    bool subscribe;
} wire[WIRE];
static size_t n_wire, answered;
static bool subscribed[TOPICS]; /* by what is answered */
static bool wanted[TOPICS], doubted[TOPICS];

static wsk_str name_of(unsigned i)
{
    static char names[TOPICS][8];

    snprintf(names[i], sizeof names[i], "t%u", i);
    return (wsk_str){names[i], strlen(names[i])};
}

static unsigned number_of(wsk_str name)
{
    unsigned n = 0;

    for (size_t i = 1; i < name.len; i++)
        n = n * 10 + (unsigned)(name.p[i] - '0');
    return n;
}

static void send_some(struct wsk__wanted *in, uint64_t now_ms, bool subscribe)
{
    wsk_str names[5];
    size_t n = subscribe ? wsk__wanted_ask(in, names, 5)
                         : wsk__wanted_end(in, now_ms, names, 5);

    for (size_t i = 0; i < n; i++) {
        wire[n_wire].topic = number_of(names[i]);
        wire[n_wire++].subscribe = subscribe;
    }
}

static void answer_one(struct wsk__wanted *in)
{
    unsigned topic = wire[answered].topic;
    bool confirmed;

    subscribed[topic] = wire[answered++].subscribe;
    confirmed = wsk__wanted_answered(in, name_of(topic), 0);
    EXPECT(confirmed == wsk__wanted_is_confirmed(in, name_of(topic)));
}

static void lose(struct wsk__wanted *in)
{
    n_wire = answered = 0;
    memset(subscribed, 0, sizeof subscribed);
    wsk__wanted_lost(in);
    for (int i = 0; i < TOPICS; i++)
        doubted[i] = wanted[i];
}

static void step(struct wsk__wanted *in, uint64_t now_ms)
{
    unsigned i = roll(TOPICS);
    wsk_str gap;

    switch (roll(8)) {
    case 0:
    case 1:
        wanted[i] = wsk__wanted_want(in, name_of(i)) == WSK_OK;
        break;
    case 2:
        wsk__wanted_unwant(in, name_of(i), now_ms);
        wanted[i] = doubted[i] = false;
        break;
    case 3:
        send_some(in, now_ms, true);
        break;
    case 4:
        send_some(in, now_ms, false);
        break;
    case 5:
    case 6:
        if (answered < n_wire)
            answer_one(in);
        break;
    default:
        if (roll(100) == 0)
            lose(in);
        if (wsk__wanted_next_gap(in, now_ms, &gap)) {
            i = number_of(gap);
            EXPECT(doubted[i] && subscribed[i]);
            doubted[i] = false;
        }
    }
}

static void run_program(uint64_t seed)
{
    struct wsk__wanted in;
    uint64_t now_ms = 0;
    wsk_str gap;

    dice = seed;
    wsk__wanted_init(&in, KEY, 20);
    n_wire = answered = 0;
    memset(subscribed, 0, sizeof subscribed);
    memset(wanted, 0, sizeof wanted);
    memset(doubted, 0, sizeof doubted);
    for (int i = 0; i < STEPS && n_wire < WIRE - 8; i++) {
        step(&in, now_ms++);
        EXPECT(in.outstanding == n_wire - answered);
        for (unsigned j = 0; j < TOPICS; j++)
            if (wsk__wanted_is_confirmed(&in, name_of(j)))
                EXPECT(subscribed[j] && wanted[j]);
    }
    /* Whatever was before, all comes to rest. */
    now_ms += 1000;
    for (int i = 0; i < 3 * TOPICS && n_wire < WIRE - 16; i++) {
        send_some(&in, now_ms, true);
        send_some(&in, now_ms, false);
        while (answered < n_wire)
            answer_one(&in);
    }
    while (wsk__wanted_next_gap(&in, now_ms, &gap))
        doubted[number_of(gap)] = false;
    for (unsigned j = 0; j < TOPICS; j++) {
        EXPECT(subscribed[j] == wanted[j] && !doubted[j]);
        EXPECT(wsk__wanted_is_confirmed(&in, name_of(j)) == wanted[j]);
    }
    EXPECT(in.restoring == 0);
    wsk__wanted_clear(&in);
}

TEST(random_programs_end_with_all_that_is_wanted_confirmed_and_nothing_else)
{
    run_programs(200, run_program);
}
