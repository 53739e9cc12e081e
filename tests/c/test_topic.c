#include "base/hash.h"
#include "harness.h"
#include "topic/publish.h"
#include "topic/pull.h"

#include <pthread.h>
#include <stdint.h>

static const uint64_t KEY[2] = {3, 4};

static wsk_str str(const char *text)
{
    return (wsk_str){text, strlen(text)};
}

TEST(names_are_text_without_control_characters)
{
    char long_one[WSK__TOPIC_NAME_MAX + 1];

    memset(long_one, 'x', sizeof(long_one));
    EXPECT(wsk__topic_name_is_valid("orders", 6));
    EXPECT(wsk__topic_name_is_valid("user:42/\xc3\xa4 *", 12));
    EXPECT(wsk__topic_name_is_valid(long_one, WSK__TOPIC_NAME_MAX));
    EXPECT(!wsk__topic_name_is_valid(long_one, WSK__TOPIC_NAME_MAX + 1));
    EXPECT(!wsk__topic_name_is_valid("", 0));
    EXPECT(!wsk__topic_name_is_valid("a\0b", 3));
    EXPECT(!wsk__topic_name_is_valid("a\n", 2));
    EXPECT(!wsk__topic_name_is_valid("a\x7f", 2));
    EXPECT(!wsk__topic_name_is_valid("\xc2\x85", 2));
    EXPECT(!wsk__topic_name_is_valid("\xff", 1));
}

/* The vector of the authors' reference, for SipHash-1-3 of 00 01 02 ... under
 * the key 00 ... 0f: the first and the fifteenth. */
TEST(the_hash_of_names_is_siphash)
{
    uint64_t key[2] = {UINT64_C(0x0706050403020100),
                       UINT64_C(0x0f0e0d0c0b0a0908)};

    EXPECT(wsk__hash_keyed(key, "", 0) == UINT64_C(0xabac0158050fc4dc));
}

/* ------------------------------------------------ one socket at a time --- */

struct sink {
    struct wsk__subscriber s; /* first */
    pthread_mutex_t lock;
    unsigned long got[64], n, next[8];
    bool keeps, bad;
};

static void hold(struct wsk__subscriber *s)
{
    (void)s;
}

static const struct wsk__subscriber_ops HOLDS = {.hold = hold};

static void sink_init(struct sink *k)
{
    memset(k, 0, sizeof(*k));
    k->s.ops = &HOLDS;
    k->s.owner = k;
    pthread_mutex_init(&k->lock, NULL);
}

/* A payload is the publisher's number and its count. */
static void sink_pull_locked(struct wsk__topics *t, struct sink *k)
{
    struct wsk__pull pull;

    while (wsk__pull_is_due(t, &k->s)) {
        EXPECT(wsk__pull(t, &k->s, &pull, WSK__PULL_MAX));
        for (size_t i = 0; i < pull.n; i++) {
            unsigned long word[2];

            memcpy(word, pull.some[i]->octets, sizeof(word));
            k->bad |= k->keeps && word[1] != k->next[word[0]];
            k->bad |= word[1] < k->next[word[0]];
            k->next[word[0]] = word[1] + 1;
            k->got[k->n % 64] = word[1];
            k->n++;
        }
        wsk__pulled(t, &k->s, &pull, pull.n);
    }
}

static void sink_pull(struct wsk__topics *t, struct sink *k)
{
    pthread_mutex_lock(&k->lock);
    sink_pull_locked(t, k);
    pthread_mutex_unlock(&k->lock);
}

static void say(struct wsk__topics *t, const wsk_str *names, size_t n,
                unsigned long who, unsigned long what)
{
    struct wsk__publication *p = wsk__publication_new(2 * sizeof(what));
    struct wsk__topic *found[4];
    struct wsk__subscriber *some[WSK__PASS_MAX];
    size_t n_found;
    unsigned long word[2] = {who, what};

    memcpy(p->octets, word, sizeof(word));
    EXPECT(wsk__topic_publish(t, names, n, p, found, &n_found) == WSK_OK);
    wsk__publication_unref(p);
    for (size_t i = 0; i < n_found; i++) {
        struct wsk__pass pass;

        wsk__pass_begin(t, found[i], &pass);
        while ((n = wsk__pass_next(t, &pass, some, WSK__PASS_MAX)) > 0)
            for (size_t j = 0; j < n; j++)
                sink_pull(t, (struct sink *)(void *)some[j]);
        wsk__pass_end(t, &pass);
    }
}

static const struct wsk__subscribing USUAL = {
    .policy = WSK__TOPIC_CLOSE, .backlog = 1 << 20, .max = 128};

static void join(struct wsk__topics *t, struct sink *k, const char *name)
{
    pthread_mutex_lock(&k->lock);
    EXPECT(wsk__topic_subscribe(t, &k->s, str(name), &USUAL) == WSK_OK);
    pthread_mutex_unlock(&k->lock);
}

static void leave(struct wsk__topics *t, struct sink *k)
{
    pthread_mutex_lock(&k->lock);
    wsk__topic_leave(t, &k->s);
    pthread_mutex_unlock(&k->lock);
}

TEST(two_topics_are_one_copy)
{
    static struct wsk__topics t;
    struct sink k;
    wsk_str both[3] = {str("a"), str("b"), str("a")};

    wsk__topics_init(&t, KEY);
    sink_init(&k);
    join(&t, &k, "a");
    join(&t, &k, "b");
    say(&t, both, 3, 0, 0);
    say(&t, both + 1, 1, 0, 1);
    EXPECT(k.n == 2 && !k.bad && k.got[0] == 0 && k.got[1] == 1);
    EXPECT(atomic_load(&t.counts.owed) == 3);
    EXPECT(atomic_load(&t.counts.passed) == 3);
    EXPECT(atomic_load(&t.counts.sent) == 2);
    leave(&t, &k);
    wsk__topics_clear(&t);
}

TEST(visiting_twice_sends_once)
{
    static struct wsk__topics t;
    struct sink k;
    wsk_str a = str("a");

    wsk__topics_init(&t, KEY);
    sink_init(&k);
    say(&t, &a, 1, 0, 7); /* nobody gets what was said before */
    join(&t, &k, "a");
    join(&t, &k, "a");
    sink_pull(&t, &k);
    EXPECT(k.n == 0);
    say(&t, &a, 1, 0, 8);
    sink_pull(&t, &k);
    EXPECT(k.n == 1 && k.got[0] == 8);
    EXPECT(wsk__topic_count(&t, a) == 1);
    leave(&t, &k);
    EXPECT(wsk__topic_count(&t, a) == 0);
    wsk__topics_clear(&t);
}

TEST(many_topics_and_many_subscriptions_come_and_go)
{
    enum { MANY = 5000 };
    static struct wsk__topics t;
    static struct sink sinks[MANY];
    char name[16];

    wsk__topics_init(&t, KEY);
    for (unsigned i = 0; i < MANY; i++) {
        sink_init(&sinks[i]);
        snprintf(name, sizeof(name), "t%u", i);
        join(&t, &sinks[i], name);
        join(&t, &sinks[i], "all");
    }
    EXPECT(wsk__topic_count(&t, str("all")) == MANY);
    for (unsigned i = 0; i < MANY; i++) {
        wsk_str one = {name, 0};

        one.len = (size_t)snprintf(name, sizeof(name), "t%u", i);
        EXPECT(wsk__topic_count(&t, one) == 1);
    }
    say(&t, (wsk_str[]){str("all")}, 1, 0, 0);
    for (unsigned i = 0; i < MANY; i++) {
        EXPECT(sinks[i].n == 1);
        leave(&t, &sinks[(i * 7919) % MANY]);
    }
    EXPECT(atomic_load(&t.n_topics) == 0);
    wsk__topics_clear(&t);
}

/* Without a pass over them, which would make them pull. */
static void say_unheard(struct wsk__topics *t, wsk_str name)
{
    struct wsk__publication *p = wsk__publication_new(936);
    struct wsk__topic *found;
    struct wsk__pass pass;
    size_t n;

    memset(p->octets, 0, 936);
    EXPECT(wsk__topic_publish(t, &name, 1, p, &found, &n) == WSK_OK);
    wsk__publication_unref(p);
    wsk__pass_begin(t, found, &pass);
    pass.at = 0; /* offered, and nobody takes it */
    wsk__pass_end(t, &pass);
}

TEST(all_logs_together_are_bounded)
{
    static struct wsk__topics t;
    static struct sink sinks[20];
    char name[8];

    wsk__topics_init(&t, KEY);
    atomic_store(&t.bytes_max, 50000);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "t%u", i);
        sink_init(&sinks[i]);
        join(&t, &sinks[i], name);
    }
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "t%u", i % 20);
        say_unheard(&t, str(name));
        EXPECT(atomic_load(&t.bytes) <= 50000 + 2000);
    }
    EXPECT(atomic_load(&t.bytes) > 40000);
    say_unheard(&t, str("t0"));
    while (!wsk__topics_are_full(&t))
        say_unheard(&t, str("t1"));
    EXPECT(wsk__topic_subscribe(&t, &sinks[0].s, str("more"), &USUAL) ==
           WSK_E_NOMEM);
    for (unsigned i = 0; i < 20; i++)
        leave(&t, &sinks[i]);
    EXPECT(atomic_load(&t.bytes) == 0);
    wsk__topics_clear(&t);
}

/* -------------------------------------------------------- many threads --- */

enum { SINKS = 24, ROOMS = 5, PUBLISHERS = 4, EACH = 1500 };

static struct wsk__topics shared;
static struct sink sinks[SINKS];
static const char *const ROOM[ROOMS] = {"r0", "r1", "r2", "r3", "r4"};
static atomic_bool over;

/* All of a publisher's go to a room that the steady sinks have joined. */
static void *publisher(void *arg)
{
    unsigned long who = (unsigned long)(uintptr_t)arg;

    for (unsigned long i = 0; i < EACH; i++) {
        wsk_str names[2] = {str(ROOM[(who + i) % ROOMS]),
                            str(ROOM[i * 3 % ROOMS])};

        say(&shared, names, 1 + i % 2, who, i);
    }
    return NULL;
}

/* The upper half of the sinks come and go. */
static void *churn(void *arg)
{
    unsigned i = 0;

    (void)arg;
    while (!atomic_load(&over)) {
        struct sink *k = &sinks[SINKS / 2 + i++ % (SINKS / 2)];

        join(&shared, k, ROOM[i % ROOMS]);
        if (i % 5 == 0)
            leave(&shared, k);
    }
    return NULL;
}

TEST(each_gets_each_once_and_in_order_while_others_come_and_go)
{
    pthread_t threads[PUBLISHERS + 1];

    wsk__topics_init(&shared, KEY);
    for (int i = 0; i < SINKS; i++) {
        sink_init(&sinks[i]);
        sinks[i].keeps = i < SINKS / 2;
        for (int j = 0; j < ROOMS && sinks[i].keeps; j++)
            join(&shared, &sinks[i], ROOM[j]);
    }
    pthread_create(&threads[PUBLISHERS], NULL, churn, NULL);
    for (int i = 0; i < PUBLISHERS; i++)
        pthread_create(&threads[i], NULL, publisher, (void *)(uintptr_t)i);
    for (int i = 0; i < PUBLISHERS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&over, true);
    pthread_join(threads[PUBLISHERS], NULL);
    for (int i = 0; i < SINKS; i++) {
        EXPECT(!sinks[i].bad);
        EXPECT(!sinks[i].keeps || sinks[i].n == PUBLISHERS * EACH);
        leave(&shared, &sinks[i]);
    }
    EXPECT(atomic_load(&shared.counts.owed) ==
           atomic_load(&shared.counts.passed) +
               atomic_load(&shared.counts.unread));
    EXPECT(atomic_load(&shared.n_topics) == 0);
    wsk__topics_clear(&shared);
}
