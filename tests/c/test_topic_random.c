/* Random programs over 8 sockets and 5 topics against a model that keeps
 * everything and counts everything anew. WSK_PROGRAMS says how many; the seed
 * of one that fails is printed, and WSK_SEED runs it alone. */
#include "base/mem.h"
#include "dice.h"
#include "harness.h"
#include "topic/publish.h"
#include "topic/pull.h"

#include <stdint.h>

enum { SOCKETS = 8, TOPICS = 5, OPS = 150, MESSAGES = OPS, OUT = 1 << 16 };
enum { BIG = 3 }; /* a topic with more subscribers is the pump's */

/* ------------------------------------------------- memory that runs out --- */

static long allocations, failing; /* the one that fails; 0: none */
static bool failed_one;

static int gate(void)
{
    bool fails = ++allocations == failing;

    failed_one |= fails;
    return !fails;
}

/* ------------------------------------------------------------- sockets --- */

/* The transport takes `room` octets; what has begun to leave is owed. */
struct socket {
    struct wsk__subscriber s; /* first */
    uint8_t out[OUT], owed[OUT];
    size_t n_out, n_owed, room;
    bool closed, streaming, lapped;
    int holds;
};

static struct socket sockets[SOCKETS];
static struct wsk__topics topics;
static const char *const NAMES[TOPICS] = {"a", "b", "c/1", "d\xc3\xa4", "e"};
static struct wsk__topic *pumped[TOPICS]; /* queued for the pump */
static size_t n_pumped;

static wsk_str name_of(uint32_t i)
{
    return (wsk_str){NAMES[i], strlen(NAMES[i])};
}

static void hold(struct wsk__subscriber *s)
{
    ((struct socket *)(void *)s)->holds++;
}

static const struct wsk__subscriber_ops HOLDS = {.hold = hold};

static size_t take(size_t *room, uint8_t *out, size_t *n_out, const uint8_t *p,
                   size_t n)
{
    n = n < *room ? n : *room;
    memcpy(out + *n_out, p, n);
    *n_out += n;
    *room -= n;
    return n;
}

static void owe(struct socket *k, const uint8_t *p, size_t n)
{
    memcpy(k->owed + k->n_owed, p, n);
    k->n_owed += n;
}

/* What net does at the end of a flush. `copies`: a message of the socket's own
 * will follow. */
static void flush(struct socket *k, bool copies)
{
    struct wsk__pull pull;
    bool writes, more = true;
    size_t sent = take(&k->room, k->out, &k->n_out, k->owed, k->n_owed);

    k->n_owed -= sent;
    memmove(k->owed, k->owed + sent, k->n_owed);
    while (more && !k->closed && wsk__pull_is_due(&topics, &k->s)) {
        size_t i = 0;

        writes = k->n_owed == 0 && !k->streaming;
        if (!wsk__pull(&topics, &k->s, &pull,
                       writes || copies ? 1 + roll(WSK__PULL_MAX) : 0)) {
            k->lapped = k->closed = true;
            wsk__topic_leave(&topics, &k->s);
            return;
        }
        for (; i < pull.n && (writes || copies); i++) {
            const struct wsk__publication *p = pull.some[i];

            sent = k->n_owed > 0
                       ? 0
                       : take(&k->room, k->out, &k->n_out, p->octets, p->len);
            if (sent == 0 && !copies)
                break;
            owe(k, p->octets + sent, p->len - sent);
            writes = k->n_owed == 0;
        }
        more = i > 0 && i == pull.n;
        wsk__pulled(&topics, &k->s, &pull, i);
    }
}

/* --------------------------------------------------------------- model --- */

struct message {
    uint8_t octets[400];
    size_t len;
    int except;
};
static struct message messages[MESSAGES + 1]; /* by number, from 1 on */
static unsigned n_messages;

struct model_topic {
    unsigned list[MESSAGES], n; /* all that was ever published */
    unsigned base, offered;     /* those before base were dropped */
    size_t backlog;
};
static struct model_topic model[TOPICS];

struct model_socket {
    bool in[TOPICS];
    uint8_t policy[TOPICS];
    unsigned at[TOPICS]; /* in the list */
    uint8_t out[OUT], owed[OUT];
    size_t n_out, n_owed, room;
    bool closed, streaming, lapped;
};
static struct model_socket others[SOCKETS];
static uint64_t owed_copies, passed, dropped, unread;

static void model_leave(struct model_socket *m, int topic)
{
    if (m->in[topic])
        unread += model[topic].n - m->at[topic];
    m->in[topic] = false;
}

static void model_close(struct model_socket *m)
{
    m->closed = true;
    for (int i = 0; i < TOPICS; i++)
        model_leave(m, i);
}

/* Return the number of the next message for the socket; 0: there is none. */
static unsigned model_next(int socket)
{
    struct model_socket *m = &others[socket];
    unsigned next = 0;

    for (int i = 0; i < TOPICS; i++) {
        struct model_topic *t = &model[i];

        if (m->in[i] && m->at[i] < t->base &&
            m->policy[i] == WSK__TOPIC_CLOSE) {
            m->lapped = true;
            model_close(m);
            return 0;
        }
        while (m->in[i] && m->at[i] < t->n &&
               (m->at[i] < t->base ||
                (m->policy[i] == WSK__TOPIC_LATEST && m->at[i] < t->n - 1))) {
            dropped++;
            m->at[i]++;
        }
        for (unsigned at = m->at[i]; m->in[i] && at < t->n; at++) {
            if (messages[t->list[at]].except == socket)
                continue;
            if (next == 0 || t->list[at] < next)
                next = t->list[at];
            break;
        }
    }
    return next;
}

/* Pass all up to message number `until`. */
static void model_pass(struct model_socket *m, unsigned until)
{
    for (int i = 0; i < TOPICS; i++)
        while (m->in[i] && m->at[i] < model[i].n &&
               model[i].list[m->at[i]] <= until) {
            m->at[i]++;
            passed++;
        }
}

static void model_flush(int socket, bool copies)
{
    struct model_socket *m = &others[socket];
    size_t sent = take(&m->room, m->out, &m->n_out, m->owed, m->n_owed);
    unsigned next;

    m->n_owed -= sent;
    memmove(m->owed, m->owed + sent, m->n_owed);
    if (m->closed)
        return;
    while ((next = model_next(socket)) != 0 &&
           (copies || (m->n_owed == 0 && !m->streaming))) {
        const struct message *p = &messages[next];

        sent = m->n_owed > 0
                   ? 0
                   : take(&m->room, m->out, &m->n_out, p->octets, p->len);
        if (sent == 0 && !copies)
            return;
        memcpy(m->owed + m->n_owed, p->octets + sent, p->len - sent);
        m->n_owed += p->len - sent;
        model_pass(m, next);
    }
    if (next == 0 && !m->closed)
        model_pass(m, UINT32_MAX); /* what is left excludes it */
}

static void model_publish(int topic)
{
    struct model_topic *t = &model[topic];
    unsigned least = t->n, members = 0;
    size_t bytes = 0;

    for (int i = 0; i < SOCKETS; i++) {
        if (!others[i].in[topic])
            continue;
        members++;
        if (others[i].at[topic] < least)
            least = others[i].at[topic];
    }
    if (members == 0)
        return;
    owed_copies += members;
    t->list[t->n++] = n_messages;
    if (t->base < least)
        t->base = least;
    for (unsigned i = t->base; i < t->n; i++)
        bytes += WSK__PUBLICATION_COST + messages[t->list[i]].len;
    while (bytes > t->backlog && t->n - t->base > 1 && t->base < t->offered) {
        bytes -= WSK__PUBLICATION_COST + messages[t->list[t->base]].len;
        t->base++;
    }
}

/* -------------------------------------------------------- what happens --- */

static void both_flush(int i, bool copies)
{
    flush(&sockets[i], copies);
    model_flush(i, copies);
}

static int index_of(const struct wsk__topic *topic)
{
    for (int i = 0; i < TOPICS; i++)
        if (strlen(NAMES[i]) == topic->len &&
            memcmp(NAMES[i], topic->name, topic->len) == 0)
            return i;
    abort();
}

static void visit(struct wsk__subscriber **some, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct socket *k = (struct socket *)(void *)some[i];

        k->holds--;
        both_flush((int)(k - sockets), false);
    }
}

/* A healthy socket has got what was published before the pass began. */
static void passed_over(int topic, uint64_t upto)
{
    for (int i = 0; i < SOCKETS; i++)
        EXPECT(!others[i].in[topic] || others[i].n_owed > 0 ||
               others[i].room == 0 || others[i].streaming ||
               others[i].at[topic] >= upto);
    if (model[topic].offered < upto)
        model[topic].offered = (unsigned)upto;
}

static void pass(struct wsk__topic *topic)
{
    struct wsk__subscriber *some[WSK__PASS_MAX];
    struct wsk__pass pass;
    size_t n;
    int index = index_of(topic);

    if (wsk__pass_begin(&topics, topic, &pass) > BIG) {
        if (wsk__topic_queue(&topics, topic))
            pumped[n_pumped++] = topic;
        wsk__topic_unpin(&topics, topic);
        return;
    }
    /* A topic that went and came again counts from 0. */
    uint64_t offset = model[index].n - pass.upto;
    while ((n = wsk__pass_next(&topics, &pass, some, 2)) > 0)
        visit(some, n);
    wsk__pass_end(&topics, &pass);
    passed_over(index, pass.upto + offset);
}

static void pump_slice(void)
{
    struct wsk__subscriber *some[WSK__PASS_MAX];
    struct wsk__pass pass;
    uint32_t which;

    if (n_pumped == 0)
        return;
    which = roll((uint32_t)n_pumped);
    wsk__pass_resume(&topics, pumped[which], &pass);
    int index = index_of(pass.topic);
    uint64_t offset = model[index].n - pass.topic->head;
    visit(some, wsk__pass_next(&topics, &pass, some, 1 + roll(4)));
    bool over = pass.at == 0;
    if (!wsk__pass_leave(&topics, &pass))
        pumped[which] = pumped[--n_pumped];
    if (over)
        passed_over(index, pass.upto + offset);
}

static void publish(void)
{
    struct wsk__topic *found[3];
    wsk_str names[3];
    uint32_t which[3], n = 1 + (roll(4) == 0 ? roll(3) : 0);
    size_t n_found = 0, len = 1 + roll(roll(8) == 0 ? 390 : 20);
    struct message *m = &messages[n_messages + 1];
    struct wsk__publication *p = wsk__publication_new(len);
    bool once[TOPICS] = {false};

    m->except = roll(4) == 0 ? (int)roll(SOCKETS) : -1;
    m->len = len;
    for (size_t i = 0; i < len; i++)
        m->octets[i] = (uint8_t)(n_messages + i);
    for (uint32_t i = 0; i < n; i++) {
        which[i] = roll(TOPICS);
        names[i] = name_of(which[i]);
    }
    if (p == NULL)
        return;
    memcpy(p->octets, m->octets, len);
    p->except = m->except >= 0 ? &sockets[m->except] : NULL;
    if (wsk__topic_publish(&topics, names, n, p, found, &n_found) == WSK_OK) {
        n_messages++;
        for (uint32_t i = 0; i < n; i++) {
            if (!once[which[i]])
                model_publish((int)which[i]);
            once[which[i]] = true;
        }
    }
    wsk__publication_unref(p);
    for (size_t i = 0; i < n_found; i++)
        pass(found[i]);
}

static void subscribe(int i)
{
    struct model_socket *m = &others[i];
    uint32_t topic = roll(TOPICS);
    struct wsk__subscribing how = {
        .policy = roll(3), .backlog = roll(2) ? 600 : 100000, .max = 4};
    bool first = wsk__topic_count(&topics, name_of(topic)) == 0;
    bool pinned = false;
    unsigned n = 0;
    wsk_status st;

    if (m->closed)
        return;
    for (int j = 0; j < TOPICS; j++)
        n += m->in[j];
    for (size_t j = 0; j < n_pumped; j++)
        pinned |= index_of(pumped[j]) == (int)topic;
    st = wsk__topic_subscribe(&topics, &sockets[i].s, name_of(topic), &how);
    if (!m->in[topic] && n == 4) {
        EXPECT(st == WSK_E_AGAIN);
        return;
    }
    EXPECT(st == WSK_OK || (st == WSK_E_NOMEM && failed_one));
    if (st != WSK_OK)
        return;
    if (first && !pinned)
        model[topic].backlog = how.backlog;
    if (!m->in[topic])
        m->at[topic] = model[topic].n;
    m->in[topic] = true;
    m->policy[topic] = (uint8_t)how.policy;
}

static void unsubscribe(int i)
{
    uint32_t topic = roll(TOPICS);

    if (others[i].closed)
        return;
    both_flush(i, false);
    EXPECT(wsk__topic_unsubscribe(&topics, &sockets[i].s, name_of(topic)) ==
           others[i].in[topic]);
    model_leave(&others[i], (int)topic);
}

static void send(int i)
{
    uint8_t own[5] = {0xff, (uint8_t)i, 0xff, 0, 1};
    struct model_socket *m = &others[i];

    if (m->closed || m->streaming)
        return;
    both_flush(i, true);
    if (m->closed || m->n_owed > OUT / 2 || m->n_out > OUT / 2)
        return;
    owe(&sockets[i], own, sizeof(own));
    memcpy(m->owed + m->n_owed, own, sizeof(own));
    m->n_owed += sizeof(own);
    both_flush(i, false);
}

static void shut(int i)
{
    if (others[i].closed)
        return;
    both_flush(i, false);
    wsk__topic_leave(&topics, &sockets[i].s);
    sockets[i].closed = true;
    model_close(&others[i]);
}

static void set_room(int i, size_t room)
{
    sockets[i].room = others[i].room = room;
    both_flush(i, false);
}

/* Begin a message in pieces, or end it. */
static void stream(int i)
{
    sockets[i].streaming = others[i].streaming = !others[i].streaming;
    both_flush(i, false);
}

static void step(void)
{
    int i = (int)roll(SOCKETS);
    uint32_t what = roll(100);

    if (what < 20)
        subscribe(i);
    else if (what < 28)
        unsubscribe(i);
    else if (what < 60)
        publish();
    else if (what < 66)
        send(i);
    else if (what < 74)
        set_room(i, roll(2) ? 0 : roll(60));
    else if (what < 82)
        set_room(i, OUT);
    else if (what < 84)
        shut(i);
    else if (what < 88)
        stream(i);
    else
        pump_slice();
}

/* -------------------------------------------------------------- proofs --- */

/* No socket that can take something lags once all passes are over. */
static void expect_no_lag(void)
{
    for (int i = 0; i < SOCKETS; i++)
        for (int j = 0; j < TOPICS; j++)
            EXPECT(!others[i].in[j] || others[i].n_owed > 0 ||
                   others[i].room == 0 || others[i].streaming ||
                   others[i].at[j] == model[j].n);
}

static void compare(void)
{
    uint64_t waiting = 0;

    for (int i = 0; i < SOCKETS; i++) {
        const struct socket *k = &sockets[i];
        const struct model_socket *m = &others[i];

        EXPECT(k->n_out == m->n_out && memcmp(k->out, m->out, k->n_out) == 0);
        EXPECT(k->n_owed == m->n_owed &&
               memcmp(k->owed, m->owed, k->n_owed) == 0);
        EXPECT(k->closed == m->closed && k->lapped == m->lapped);
        for (int j = 0; j < TOPICS; j++)
            waiting += m->in[j] ? model[j].n - m->at[j] : 0;
    }
    if (n_pumped == 0)
        expect_no_lag();
    EXPECT(atomic_load(&topics.counts.owed) == owed_copies);
    EXPECT(atomic_load(&topics.counts.passed) == passed);
    /* Which topic of a lapped socket is looked at first does not matter. */
    EXPECT(atomic_load(&topics.counts.dropped) +
               atomic_load(&topics.counts.unread) ==
           dropped + unread);
    EXPECT(owed_copies == passed + dropped + unread + waiting);
}

static void begin(uint64_t seed)
{
    static const uint64_t KEY[2] = {1, 2};

    dice = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (int i = 0; i < SOCKETS; i++) {
        sockets[i].s = (struct wsk__subscriber){.ops = &HOLDS};
        sockets[i].s.owner = &sockets[i];
        sockets[i].n_out = sockets[i].n_owed = 0;
        sockets[i].room = OUT;
        sockets[i].closed = sockets[i].streaming = sockets[i].lapped = false;
        memset(&others[i], 0, offsetof(struct model_socket, out));
        others[i].n_out = others[i].n_owed = 0;
        others[i].room = OUT;
        others[i].closed = others[i].streaming = others[i].lapped = false;
    }
    for (int i = 0; i < TOPICS; i++)
        model[i].n = model[i].base = model[i].offered = 0;
    n_messages = 0;
    n_pumped = 0;
    owed_copies = passed = dropped = unread = 0;
    wsk__topics_init(&topics, KEY);
}

/* When all have left, nothing is there. */
static void end(void)
{
    for (int i = 0; i < SOCKETS; i++)
        shut(i);
    while (n_pumped > 0)
        pump_slice();
    EXPECT(atomic_load(&topics.n_topics) == 0);
    EXPECT(topics.subs.live == 0 && atomic_load(&topics.bytes) == 0);
    for (int i = 0; i < WSK__SHARDS; i++)
        EXPECT(topics.shards[i].n == 0 && topics.shards[i].table == NULL);
    compare();
    wsk__topics_clear(&topics);
}

static bool run(uint64_t seed)
{
    int before = checks_failed;

    begin(seed);
    for (int i = 0; i < OPS && checks_failed == before; i++) {
        step();
        compare();
    }
    if (checks_failed == before)
        end();
    if (checks_failed != before)
        printf("WSK_SEED=%llu, allocation %ld\n", (unsigned long long)seed,
               failing);
    return checks_failed == before;
}

TEST(random_programs_do_what_the_model_does)
{
    uint64_t first = number("WSK_SEED", 1);
    uint64_t n = getenv("WSK_SEED") ? 1 : number("WSK_PROGRAMS", 2000);

    for (uint64_t seed = first; seed < first + n; seed++)
        if (!run(seed))
            return;
}

TEST(an_allocation_that_fails_changes_nothing)
{
    uint64_t n = number("WSK_PROGRAMS", 2000) / 200 + 1;
    bool good = true;

    wsk__mem_set_gate(gate);
    for (uint64_t seed = 1; seed <= n && good; seed++) {
        failed_one = true;
        for (failing = 1; good && failed_one; failing++) {
            allocations = 0;
            failed_one = false;
            good = run(seed);
        }
        failing = 0;
    }
    wsk__mem_set_gate(NULL);
}
