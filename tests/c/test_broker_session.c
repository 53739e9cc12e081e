/* Sessions of several processes over one Redis in memory, whose connections
 * are cut, hung and refused: by name, and by random programs. */
#include "broker/session.h"
#include "dice.h"
#include "harness.h"
#include "memory_redis.h"

#include <stdint.h>

enum { PROCS = 3, TOPICS = 4, NUMBERS = 1000 };

static const wsk_str NAMES[TOPICS] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}};

static uint64_t now_ms;
static unsigned moments;

/* --------------------------------------------------------------- a world ---
 */

/* What one process has got of a topic from another. */
struct stream {
    unsigned last; /* number; 0: none yet */
    bool hole;     /* one was missed that was published since the last gap */
    bool counts;   /* the topic was confirmed when `last` came */
};

struct proc {
    struct wsk__session_config cfg;
    struct wsk__session s;
    struct memory_conn *conn[WSK__LINKS]; /* NULL: there is none */
    bool wants[TOPICS];
    unsigned sent[TOPICS]; /* the last number */
    /* When a number was sent, and a gap told: by `moments`. */
    unsigned sent_at[TOPICS][NUMBERS], gap_at[TOPICS];
    struct stream got[PROCS][TOPICS]; /* of whom, by topic */
    unsigned gaps[TOPICS], ups, losses, messages, disconnects;
    char why[WSK__SESSION_WHY_MAX];
    bool denied;
    wsk_str text; /* of the last message */
    char kept[256];
};

static struct memory_redis redis;
static struct proc procs[PROCS];

static unsigned number_of(wsk_str topic)
{
    return (unsigned)(topic.p[0] - 'a');
}

static void begin_world(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct proc *p = &procs[i];

        *p = (struct proc){.cfg = {.prefix = {"wsocket", 7},
                                   .node = i + 1,
                                   .key = {3, i},
                                   .message_max = 1 << 20,
                                   .probe_ms = 5000,
                                   .timeout_ms = 2000,
                                   .linger_ms = 2000}};
        if (redis.password != NULL)
            p->cfg.password = (wsk_str){redis.password, strlen(redis.password)};
        wsk__session_init(&p->s, &p->cfg);
    }
}

static void hang_up(struct proc *p)
{
    for (int i = 0; i < WSK__LINKS; i++) {
        if (p->conn[i] != NULL)
            memory_close(p->conn[i]);
        p->conn[i] = NULL;
    }
}

static void end_world(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        hang_up(&procs[i]);
        wsk__session_clear(&procs[i].s);
    }
    redis = (struct memory_redis){0};
}

/* A message is "sender number", and has what the sender said in `topic`. */
static void take_message(struct proc *p, const struct wsk__session_event *ev)
{
    unsigned from = 0, number = 0, topic = number_of(ev->topic);
    struct stream *got;
    char text[32] = "";

    p->messages++;
    p->disconnects += ev->envelope.kind == WSK__ENVELOPE_DISCONNECT;
    memcpy(p->kept, ev->envelope.message.p,
           ev->envelope.message.len < 256 ? ev->envelope.message.len : 256);
    p->text = (wsk_str){p->kept, ev->envelope.message.len};
    memcpy(text, p->kept, p->text.len < 31 ? p->text.len : 31);
    if (sscanf(text, "#%u %u", &from, &number) != 2)
        return;
    got = &p->got[from][topic];
    EXPECT(number > got->last); /* once, and in order */
    /* Who has just subscribed, or was told of a gap, asks for all that was
     * published before. */
    for (unsigned i = got->last + 1; i < number && got->counts; i++)
        got->hole |= procs[from].sent_at[topic][i] > p->gap_at[topic];
    got->last = number;
    got->counts = wsk__wanted_is_confirmed(&p->s.interest, ev->topic);
}

static void forget_streams(struct proc *p, unsigned topic)
{
    for (int i = 0; i < PROCS; i++)
        p->got[i][topic].counts = p->got[i][topic].hole = false;
}

static void take_gap(struct proc *p, unsigned topic)
{
    p->gaps[topic]++;
    EXPECT(p->s.phase == WSK__SESSION_UP);
    p->gap_at[topic] = ++moments;
    for (int i = 0; i < PROCS; i++)
        p->got[i][topic].hole = false;
}

static void take_events(struct proc *p)
{
    struct wsk__session_event ev;

    for (;;) {
        wsk__session_next(&p->s, now_ms, &ev);
        switch (ev.what) {
        case WSK__SESSION_NOTHING:
            return;
        case WSK__SESSION_CONFIRMED:
            EXPECT(p->wants[number_of(ev.topic)]);
            p->gap_at[number_of(ev.topic)] = ++moments;
            break;
        case WSK__SESSION_MESSAGE:
            take_message(p, &ev);
            break;
        case WSK__SESSION_IS_UP:
            p->ups++;
            break;
        case WSK__SESSION_GAP:
            take_gap(p, number_of(ev.topic));
            break;
        case WSK__SESSION_FAILED:
            p->losses++;
            memcpy(p->why, p->s.why, sizeof p->why);
            p->denied = p->s.denied;
            wsk__session_lost(&p->s);
            hang_up(p);
            return;
        }
    }
}

static void connect_proc(struct proc *p)
{
    if (p->s.phase != WSK__SESSION_DOWN)
        return;
    for (int i = 0; i < WSK__LINKS; i++)
        p->conn[i] = memory_open(&redis);
    EXPECT(wsk__session_begin(&p->s, now_ms));
}

/* Carry at most `most` octets each way of one connection. */
static void carry(struct proc *p, enum wsk__link_kind kind, size_t most)
{
    struct wsk__buf *out = &p->s.link[kind].out;
    struct memory_conn *c = p->conn[kind];
    size_t n = wsk__buf_len(out) < most ? wsk__buf_len(out) : most;
    unsigned char *block;

    if (c == NULL || c->hung)
        return;
    if (n > 0)
        memory_put(&c->in, wsk__buf_data(out), n);
    wsk__buf_ack(out, n);
    memory_serve(&redis, c);
    n = c->out.len < most ? c->out.len : most;
    if (n == 0)
        return;
    block = exact(c->out.p, n);
    memory_drop(&c->out, n);
    EXPECT(wsk__session_feed(&p->s, kind, block, n, now_ms));
    free(block);
    take_events(p);
}

static void rest(unsigned n_procs)
{
    for (int round = 0; round < 60; round++) {
        for (unsigned i = 0; i < n_procs; i++) {
            take_events(&procs[i]);
            carry(&procs[i], WSK__LINK_SUBSCRIBE, SIZE_MAX);
            carry(&procs[i], WSK__LINK_PUBLISH, SIZE_MAX);
        }
    }
}

static void want(struct proc *p, unsigned topic, bool wants)
{
    if (wants)
        EXPECT(wsk__session_want(&p->s, NAMES[topic]) == WSK_OK);
    else
        wsk__session_unwant(&p->s, NAMES[topic], now_ms);
    if (wants != p->wants[topic])
        forget_streams(p, topic);
    p->wants[topic] = wants;
}

static wsk_status say_text(struct proc *p, const wsk_str *topics, size_t n,
                           const char *text)
{
    struct wsk__envelope e = {.kind = WSK__ENVELOPE_MESSAGE,
                              .origin = p->cfg.node,
                              .message = {text, strlen(text)}};

    return wsk__session_publish(&p->s, topics, n, &e, now_ms);
}

static void say_number(struct proc *p, unsigned topic)
{
    char text[32];

    snprintf(text, sizeof text, "#%u %u", (unsigned)(p - procs),
             p->sent[topic] + 1);
    if (say_text(p, &NAMES[topic], 1, text) == WSK_OK)
        p->sent_at[topic][++p->sent[topic]] = ++moments;
}

/* The connection has ended; what had come before was read. */
static void cut(struct proc *p, enum wsk__link_kind kind)
{
    if (p->conn[kind] == NULL)
        return;
    carry(p, WSK__LINK_SUBSCRIBE, p->conn[kind]->out.len);
    wsk__session_fail(&p->s, "cut");
    take_events(p);
}

/* ------------------------------------------------------------- by name ---
 */

TEST(what_one_process_publishes_reaches_all_that_want_it)
{
    begin_world(2);
    for (int i = 0; i < 2; i++) {
        connect_proc(&procs[i]);
        want(&procs[i], 0, true);
    }
    EXPECT(say_text(&procs[0], NAMES, 1, "early") == WSK_E_CLOSED);
    rest(2);
    EXPECT(procs[0].ups == 1 && procs[1].ups == 1);
    EXPECT(say_text(&procs[0], NAMES, 1, "hello") == WSK_OK);
    EXPECT(say_text(&procs[0], NAMES + 1, 1, "to nobody") == WSK_OK);
    rest(2);
    EXPECT(procs[0].messages == 1 && procs[1].messages == 1);
    EXPECT_OCTETS(procs[1].text.p, procs[1].text.len, "hello");
    EXPECT(procs[0].gaps[0] == 0 && procs[1].gaps[0] == 0);
    end_world(2);
}

TEST(what_goes_to_several_topics_comes_once_to_a_process_that_wants_two)
{
    begin_world(3);
    for (unsigned i = 0; i < 3; i++) {
        connect_proc(&procs[i]);
        want(&procs[i], i, true);
    }
    want(&procs[1], 2, true);
    rest(3);
    EXPECT(say_text(&procs[0], NAMES, 3, "all") == WSK_OK);
    rest(3);
    for (int i = 0; i < 3; i++)
        EXPECT(procs[i].messages == 1);
    EXPECT(procs[0].losses == 0);
    end_world(3);
}

TEST(a_message_of_somebody_else_is_taken_as_it_is)
{
    begin_world(1);
    connect_proc(&procs[0]);
    want(&procs[0], 0, true);
    rest(1);
    memory_publish(&redis, (wsk_str){"wsocket:t:a", 11}, (wsk_str){"hi", 2});
    memory_publish(&redis, (wsk_str){"wsocket:n", 9}, (wsk_str){"hi", 2});
    memory_publish(&redis, (wsk_str){"wsocket:t:a", 11},
                   (wsk_str){"\xfe\x09", 2});
    rest(1);
    EXPECT(procs[0].messages == 1 && procs[0].losses == 0);
    EXPECT_OCTETS(procs[0].text.p, procs[0].text.len, "hi");
    end_world(1);
}

TEST(after_an_outage_each_topic_is_told_one_gap_by_each_process)
{
    begin_world(PROCS);
    for (int i = 0; i < PROCS; i++) {
        connect_proc(&procs[i]);
        want(&procs[i], 0, true);
        want(&procs[i], 1, true);
    }
    rest(PROCS);
    for (int i = 0; i < 10; i++)
        say_number(&procs[0], 0);
    carry(&procs[0], WSK__LINK_PUBLISH, 100); /* and the rest is lost */
    for (int i = 0; i < PROCS; i++)
        cut(&procs[i], i % 2 ? WSK__LINK_PUBLISH : WSK__LINK_SUBSCRIBE);
    now_ms += 50;
    for (int i = 0; i < PROCS; i++)
        connect_proc(&procs[i]);
    rest(PROCS);
    say_number(&procs[0], 0);
    rest(PROCS);
    for (int i = 0; i < PROCS; i++) {
        EXPECT(procs[i].ups == 2);
        EXPECT(procs[i].gaps[0] == 1 && procs[i].gaps[1] == 1);
        EXPECT(procs[i].got[0][0].last == procs[0].sent[0]);
        EXPECT(!procs[i].got[0][0].hole);
    }
    end_world(PROCS);
}

TEST(who_lost_publications_on_its_own_tells_the_others_of_a_gap_in_their_topics)
{
    begin_world(2);
    for (int i = 0; i < 2; i++) {
        connect_proc(&procs[i]);
        want(&procs[i], 0, true);
        want(&procs[i], 1, true);
    }
    rest(2);
    now_ms += 100;
    say_number(&procs[0], 1);
    say_number(&procs[0], 1);
    cut(&procs[0], WSK__LINK_PUBLISH);
    now_ms += 100;
    connect_proc(&procs[0]);
    rest(2);
    EXPECT(procs[0].gaps[0] == 1 && procs[0].gaps[1] == 1);
    EXPECT(procs[1].gaps[0] == 0 && procs[1].gaps[1] == 1);
    end_world(2);
}

TEST(a_hung_redis_is_found_by_the_second_probe_and_not_before)
{
    begin_world(1);
    connect_proc(&procs[0]);
    want(&procs[0], 0, true);
    rest(1);
    for (int i = 0; i < 20; i++) { /* nothing is said for long: all is well */
        now_ms += 1000;
        wsk__session_tick(&procs[0].s, now_ms);
        rest(1);
    }
    EXPECT(procs[0].losses == 0);
    procs[0].conn[WSK__LINK_SUBSCRIBE]->hung = true;
    for (int i = 0; i < 100; i++) {
        now_ms += 100;
        wsk__session_tick(&procs[0].s, now_ms);
        rest(1);
        EXPECT(procs[0].losses == 0 || i > 45);
    }
    EXPECT(procs[0].losses == 1);
    EXPECT(strstr(procs[0].why, "a probe has not come back") != NULL);
    end_world(1);
}

TEST(probes_that_take_one_way_only_are_found_though_other_octets_come)
{
    begin_world(2);
    for (int i = 0; i < 2; i++) {
        connect_proc(&procs[i]);
        want(&procs[i], 0, true);
    }
    rest(2);
    procs[0].conn[WSK__LINK_PUBLISH]->hung = true;
    for (int i = 0; i < 250; i++) {
        now_ms += 100;
        for (int j = 0; j < 2; j++)
            wsk__session_tick(&procs[j].s, now_ms);
        say_number(&procs[1], 0);
        rest(2);
    }
    EXPECT(procs[0].losses == 1 && procs[1].losses == 0);
    end_world(2);
}

TEST(two_connections_that_lead_to_different_servers_are_never_up)
{
    static struct memory_redis other;

    begin_world(1);
    connect_proc(&procs[0]);
    procs[0].conn[WSK__LINK_PUBLISH] = memory_open(&other);
    for (int i = 0; i < 300 && procs[0].losses == 0; i++) {
        struct memory_conn *c = procs[0].conn[WSK__LINK_PUBLISH];
        struct wsk__buf *out = &procs[0].s.link[WSK__LINK_PUBLISH].out;

        if (wsk__buf_len(out) > 0)
            memory_put(&c->in, wsk__buf_data(out), wsk__buf_len(out));
        wsk__buf_ack(out, wsk__buf_len(out));
        memory_serve(&other, c);
        wsk__session_feed(&procs[0].s, WSK__LINK_PUBLISH, c->out.p, c->out.len,
                          now_ms);
        memory_drop(&c->out, c->out.len);
        carry(&procs[0], WSK__LINK_SUBSCRIBE, SIZE_MAX);
        now_ms += 100;
        wsk__session_tick(&procs[0].s, now_ms);
        take_events(&procs[0]);
    }
    EXPECT(procs[0].ups == 0 && procs[0].losses == 1);
    end_world(1);
}

TEST(a_password_is_sent_and_a_wrong_one_is_a_refusal)
{
    redis.password = "secret";
    begin_world(2);
    procs[1].cfg.password = (wsk_str){"guess", 5};
    for (int i = 0; i < 2; i++)
        connect_proc(&procs[i]);
    rest(2);
    EXPECT(procs[0].ups == 1);
    EXPECT(procs[1].ups == 0 && procs[1].losses == 1 && procs[1].denied);
    EXPECT(strstr(procs[1].why, "WRONGPASS") != NULL);
    end_world(2);
}

TEST(errors_of_redis_say_whether_another_attempt_makes_sense_and_what_is_needed)
{
    static const struct {
        const char *command, *error, *why;
        bool denied;
    } ROWS[] = {
        {NULL, "-LOADING Redis is loading the dataset in memory\r\n", "LOADING",
         false},
        {NULL, "-ERR max number of clients reached\r\n", "max number", false},
        {NULL, "-NOAUTH Authentication required.\r\n", "redis://:password@",
         true},
        {NULL, "-DENIED Redis is running in protected mode\r\n", "DENIED",
         true},
        {"ROLE", "-NOPERM this user has no permissions\r\n",
         "&wsocket:* +@pubsub +role +multi +exec", true},
        {"SUBSCRIBE", "-NOPERM no permissions to access a channel\r\n",
         "&wsocket:* +@pubsub", true},
        {"PUBLISH", "-NOPERM no permissions to access a channel\r\n",
         "&wsocket:* +@pubsub", true},
        {"ROLE", "-ERR unknown command 'ROLE'\r\n", "unknown command", true},
        {"ROLE", ":1\r\n", "knows no ROLE", false},
        {"SUBSCRIBE", "what\r\n", "not the protocol of Redis", false},
        {"PUBLISH", ":1\r\n:1\r\n", "was not asked", false},
    };

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        redis.refused = ROWS[i].command;
        redis.refusal = ROWS[i].error;
        begin_world(1);
        connect_proc(&procs[0]);
        rest(1);
        if (procs[0].losses != 1 || procs[0].denied != ROWS[i].denied ||
            strstr(procs[0].why, ROWS[i].why) == NULL)
            printf("%s: %s\n", ROWS[i].error, procs[0].why);
        EXPECT(procs[0].losses == 1 && procs[0].denied == ROWS[i].denied);
        EXPECT(strstr(procs[0].why, ROWS[i].why) != NULL);
        end_world(1);
    }
}

TEST(with_sentinel_nothing_but_a_master_will_do)
{
    redis.role = "*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:1"
                 "\r\n";
    begin_world(2);
    procs[1].cfg.master = true;
    for (int i = 0; i < 2; i++)
        connect_proc(&procs[i]);
    rest(2);
    EXPECT(procs[0].ups == 1 && procs[1].ups == 0);
    EXPECT(strstr(procs[1].why, "of no master") != NULL);
    end_world(2);
}

TEST(a_reply_that_is_too_long_is_refused_before_it_has_come)
{
    static const char HEAD[] = "*3\r\n$7\r\nmessage\r\n$11\r\nwsocket:t:a\r\n"
                               "$500000000\r\n";
    static char filler[1 << 16];
    size_t taken = 0;

    begin_world(1);
    connect_proc(&procs[0]);
    want(&procs[0], 0, true);
    rest(1);
    memory_say(procs[0].conn[WSK__LINK_SUBSCRIBE], HEAD);
    while (procs[0].losses == 0 && taken < 4 << 20) {
        memory_put(&procs[0].conn[WSK__LINK_SUBSCRIBE]->out, filler,
                   sizeof filler);
        taken += sizeof filler;
        carry(&procs[0], WSK__LINK_SUBSCRIBE, SIZE_MAX);
    }
    EXPECT(procs[0].losses == 1 && taken < 2 << 20);
    EXPECT(strstr(procs[0].why, "longer than topic_message_max") != NULL);
    end_world(1);
}

TEST(who_publishes_faster_than_redis_takes_finds_no_room_and_room_again)
{
    static char big[1 << 20];
    wsk_status st = WSK_OK;
    int n = 0;

    begin_world(1);
    connect_proc(&procs[0]);
    rest(1);
    memset(big, 'x', sizeof big - 1);
    while (n < 100 && (st = say_text(&procs[0], NAMES, 1, big)) == WSK_OK)
        n++;
    EXPECT(st == WSK_E_AGAIN && n >= 15 && n < 20);
    rest(1);
    EXPECT(say_text(&procs[0], NAMES, 1, big) == WSK_OK);
    end_world(1);
}

/* ------------------------------------------------------ random programs --- */

static void fault(unsigned n)
{
    struct proc *p = &procs[roll(n)];
    enum wsk__link_kind kind = (enum wsk__link_kind)roll(WSK__LINKS);

    switch (roll(6)) {
    case 0: /* Redis is killed */
        for (unsigned i = 0; i < n; i++) {
            if (procs[i].conn[0] != NULL) {
                carry(&procs[i], WSK__LINK_SUBSCRIBE, roll(200));
                wsk__session_fail(&procs[i].s, "killed");
                take_events(&procs[i]);
            }
        }
        break;
    case 1: /* one way only */
        if (p->conn[kind] != NULL)
            p->conn[kind]->hung = true;
        break;
    default:
        cut(p, kind);
    }
}

static void step(unsigned n)
{
    struct proc *p = &procs[roll(n)];

    switch (roll(16)) {
    case 0:
        want(p, roll(TOPICS), roll(3) > 0);
        break;
    case 1:
    case 2:
    case 3:
        say_number(p, roll(TOPICS));
        break;
    case 4:
        now_ms += roll(1500);
        for (unsigned i = 0; i < n; i++) {
            wsk__session_tick(&procs[i].s, now_ms);
            take_events(&procs[i]);
        }
        break;
    case 5:
        if (roll(8) == 0)
            fault(n);
        break;
    case 6:
        now_ms += roll(100);
        connect_proc(p);
        break;
    default:
        carry(p, (enum wsk__link_kind)roll(WSK__LINKS), 1 + roll(300));
    }
}

static void settle(unsigned n)
{
    for (int round = 0; round < 60; round++) {
        now_ms += 1000;
        for (unsigned i = 0; i < n; i++) {
            connect_proc(&procs[i]);
            wsk__session_tick(&procs[i].s, now_ms);
        }
        rest(n);
    }
}

static void judge(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        EXPECT(procs[i].s.phase == WSK__SESSION_UP);
        for (unsigned topic = 0; topic < TOPICS; topic++) {
            EXPECT(
                wsk__wanted_is_confirmed(&procs[i].s.interest, NAMES[topic]) ==
                procs[i].wants[topic]);
            for (unsigned j = 0; j < n; j++) {
                EXPECT(!procs[i].got[j][topic].hole);
                if (procs[i].wants[topic])
                    EXPECT(procs[i].got[j][topic].last == procs[j].sent[topic]);
            }
        }
    }
}

static void run_program(uint64_t seed)
{
    dice = seed;
    begin_world(PROCS);
    for (int i = 0; i < 600; i++)
        step(PROCS);
    settle(PROCS);
    for (unsigned i = 0; i < PROCS * TOPICS; i++)
        say_number(&procs[i % PROCS], i / PROCS);
    rest(PROCS);
    judge(PROCS);
    end_world(PROCS);
}

TEST(whatever_fails_no_process_stays_deaf_and_every_hole_lies_in_a_told_gap)
{
    run_programs(300, run_program);
}
