/* The ways of publications to other processes, with one made for tests. */
#include "harness.h"

#include "net/topics/join.h"
#include "net/topics/topics.h"

/* A route that notes what it is told. */
static struct {
    struct wsk__route route; /* first */
    char log[512];
    struct wsk__bus_message last; /* its octets are gone */
    bool refuses;
} fake;

static void note(const char *what, wsk_str topic)
{
    size_t n = strlen(fake.log);

    snprintf(fake.log + n, sizeof(fake.log) - n, "%s%.*s ", what,
             (int)topic.len, topic.p);
}

static void start(struct wsk__route *route)
{
    (void)route;
    note("start", (wsk_str){"", 0});
}

static wsk_status publish(struct wsk__route *route,
                          const struct wsk__bus_message *m)
{
    note("!", m->topics[0]);
    fake.last = *m;
    if (fake.refuses)
        return WSK_E_AGAIN;
    return route->ops->returns ? route->events->message(route->user, m)
                               : WSK_OK;
}

static wsk_status disconnect(struct wsk__route *route, wsk_str topic,
                             uint16_t code, wsk_str reason)
{
    (void)route;
    (void)reason;
    EXPECT(code == 4001);
    note("x", topic);
    return WSK_OK;
}

static void want(struct wsk__route *route, wsk_str topic)
{
    (void)route;
    note("+", topic);
}

static void unwant(struct wsk__route *route, wsk_str topic)
{
    (void)route;
    note("-", topic);
}

static void confirm(struct wsk__route *route, wsk_str topic)
{
    (void)route;
    note("?", topic);
}

static void look(struct wsk__route *route, struct wsk__route_state *out)
{
    (void)route;
    *out = (struct wsk__route_state){
        .up = true, .outages = 2, .peers = 3, .bytes = 4};
}

static void stop(struct wsk__route *route)
{
    (void)route;
    note("stop", (wsk_str){"", 0});
}

static const struct wsk__route_ops DIRECT = {.start = start,
                                             .publish = publish,
                                             .disconnect = disconnect,
                                             .want = want,
                                             .unwant = unwant,
                                             .confirm = confirm,
                                             .look = look,
                                             .stop = stop};
static const struct wsk__route_ops RETURNS = {.returns = true,
                                              .start = start,
                                              .publish = publish,
                                              .want = want,
                                              .unwant = unwant,
                                              .confirm = confirm,
                                              .look = look,
                                              .stop = stop};

static struct wsk__route *make(const struct wsk__route_ops *ops)
{
    memset(&fake, 0, sizeof(fake));
    fake.route.ops = ops;
    return &fake.route;
}

/* A message of another process, to one topic. */
static struct wsk__bus_message text(const wsk_str *name, const char *data)
{
    return (struct wsk__bus_message){.topics = name,
                                     .n_topics = 1,
                                     .opcode = WSK_TEXT,
                                     .data = (const uint8_t *)data,
                                     .len = strlen(data)};
}

static wsk_listener *listen(wsk_topics *topics, const char *name)
{
    wsk_str topic = {name, strlen(name)};
    wsk_listener *listener;

    EXPECT(wsk_topics_listen(topics, &topic, 1, &listener) == WSK_OK);
    return listener;
}

static bool hears(wsk_listener *listener, const char *text)
{
    wsk_message msg;
    bool same;

    if (wsk_listener_next(listener, 0, &msg) != WSK_OK)
        return false;
    same = msg.len == strlen(text) && memcmp(msg.data, text, msg.len) == 0;
    wsk_message_free(&msg);
    return same;
}

static wsk_status say(wsk_topics *topics, const char *name, const char *text)
{
    wsk_str topic = {name, strlen(name)};

    return wsk_topics_publish(topics, &topic, 1, WSK_TEXT, text, strlen(text),
                              0, NULL);
}

TEST(a_topic_is_wanted_from_its_first_subscription_to_the_end_of_its_last)
{
    wsk_topics *topics = wsk_topics_new();
    wsk_listener *a, *b;

    a = listen(topics, "old");
    wsk__topics_set_bus(topics, make(&DIRECT));
    EXPECT(strcmp(fake.log, "start +old ") == 0);
    b = listen(topics, "old");
    wsk_listener_free(a);
    a = listen(topics, "new");
    wsk_listener_free(a);
    wsk_listener_free(b);
    EXPECT(strcmp(fake.log, "start +old ?old +new ?new -new -old ") == 0);
    wsk_topics_unref(topics);
    EXPECT(strstr(fake.log, "stop") != NULL);
}

TEST(a_publication_is_delivered_here_and_sent_to_the_bus)
{
    wsk_topics *topics = wsk_topics_new();
    wsk_listener *a = listen(topics, "t");

    wsk__topics_set_bus(topics, make(&DIRECT));
    EXPECT(say(topics, "t", "hello") == WSK_OK);
    EXPECT(strstr(fake.log, "!t") != NULL && fake.last.len == 5);
    EXPECT(hears(a, "hello") && !hears(a, "hello"));
    EXPECT(wsk_topics_disconnect(topics, "t", 1, 4001, "", 0) == WSK_OK);
    EXPECT(strstr(fake.log, "xt") != NULL);
    wsk_listener_free(a);
    wsk_topics_unref(topics);
}

TEST(with_a_broker_a_publication_arrives_once_by_its_way_back)
{
    wsk_topics *topics = wsk_topics_new();
    wsk_listener *a = listen(topics, "t");

    wsk__topics_set_broker(topics, make(&RETURNS));
    EXPECT(say(topics, "t", "hello") == WSK_OK);
    EXPECT(hears(a, "hello") && !hears(a, "hello"));
    wsk_listener_free(a);
    wsk_topics_unref(topics);
}

static void set_broker(struct wsk__route *route, bool takes)
{
    (void)route;
    note(takes ? "up" : "down", (wsk_str){"", 0});
}

TEST(a_bus_is_told_of_the_broker_whichever_comes_first)
{
    static const struct wsk__route_ops BUS = {
        .start = start, .set_broker = set_broker, .stop = stop};

    for (int bus_first = 0; bus_first < 2; bus_first++) {
        struct wsk__route bus = {.ops = &BUS}, *broker = make(&RETURNS);
        wsk_topics *topics = wsk_topics_new();

        if (bus_first)
            wsk__topics_set_bus(topics, &bus);
        wsk__topics_set_broker(topics, broker);
        if (!bus_first)
            wsk__topics_set_bus(topics, &bus);
        EXPECT(strcmp(fake.log, "start start down ") == 0);
        broker->events->takes(topics, true);
        broker->events->takes(topics, false);
        EXPECT(strcmp(fake.log, "start start down up down ") == 0);
        wsk_topics_unref(topics);
    }
}

TEST(what_is_to_be_relayed_goes_to_the_broker_and_comes_back_once)
{
    wsk_topics *topics = wsk_topics_new();
    wsk_listener *a = listen(topics, "t");
    wsk_str name = {"t", 1};
    struct wsk__bus_message m = text(&name, "x");
    const struct wsk__route_events *in;
    wsk_topic_stats n;

    m.relay = true;
    wsk__topics_set_broker(topics, make(&RETURNS));
    in = fake.route.events;
    EXPECT(in->message(topics, &m) == WSK_OK);
    EXPECT(strstr(fake.log, "!t") != NULL && !fake.last.relay);
    EXPECT(fake.last.node == topics->node);
    EXPECT(hears(a, "x") && !hears(a, "x"));
    fake.refuses = true;
    EXPECT(in->message(topics, &m) == WSK_E_AGAIN);
    fake.refuses = false;
    atomic_store(&topics->message_max, 0);
    EXPECT(in->message(topics, &m) == WSK_OK);
    EXPECT(!hears(a, "x"));
    wsk_topics_stats(topics, &n);
    EXPECT(n.failed == 2);
    wsk_listener_free(a);
    wsk_topics_unref(topics);
}

TEST(a_disconnect_that_is_to_be_relayed_goes_to_the_broker)
{
    wsk_topics *topics = wsk_topics_new();
    struct wsk__route_ops ops = RETURNS;

    ops.disconnect = disconnect;
    wsk__topics_set_broker(topics, make(&ops));
    EXPECT(fake.route.events->disconnect(topics, (wsk_str){"t", 1}, 4001,
                                         (wsk_str){"", 0}, true) == WSK_OK);
    EXPECT(strstr(fake.log, "xt") != NULL);
    wsk_topics_unref(topics);
}

TEST(bad_messages_of_others_reach_no_subscriber)
{
    wsk_topics *topics = wsk_topics_new();
    wsk_listener *a = listen(topics, "t");
    wsk_str name = {"t", 1};
    struct wsk__bus_message m = text(&name, "\xff");
    const struct wsk__route_events *in;

    wsk__topics_set_bus(topics, make(&DIRECT));
    in = fake.route.events;
    EXPECT(in->message(topics, &m) == WSK_E_ARG);
    m.opcode = WSK_PING;
    EXPECT(in->message(topics, &m) == WSK_E_ARG);
    m.opcode = WSK_BINARY;
    name.p = "\n";
    EXPECT(in->message(topics, &m) == WSK_E_ARG);
    name.p = "t";
    EXPECT(in->message(topics, &m) == WSK_OK);
    EXPECT(hears(a, "\xff"));
    EXPECT(in->disconnect(topics, name, 1, (wsk_str){"", 0}, false) ==
           WSK_E_ARG);
    wsk_listener_free(a);
    wsk_topics_unref(topics);
}

TEST(what_goes_out_and_comes_in_is_counted)
{
    wsk_topics *topics = wsk_topics_new();
    wsk_listener *a = listen(topics, "t"), *b = listen(topics, "u");
    wsk_str name = {"t", 1};
    struct wsk__bus_message m = text(&name, "x");
    wsk_topic_stats n;

    wsk__topics_set_bus(topics, make(&DIRECT));
    EXPECT(say(topics, "t", "hello") == WSK_OK);
    EXPECT(say(topics, "nobody", "hello") == WSK_OK);
    EXPECT(say(topics, "\n", "hello") == WSK_E_ARG);
    EXPECT(fake.route.events->message(topics, &m) == WSK_OK);
    fake.route.events->gap(topics, NULL, 0);
    wsk_topics_stats(topics, &n);
    EXPECT(n.topics == 2 && n.subscriptions == 2 && n.queued == 0);
    EXPECT(n.own == 2 && n.failed == 0 && n.others == 1 && n.gaps == 1);
    EXPECT(n.published == 2 && n.owed == 2 && n.bytes > 0);
    EXPECT(n.bus_peers == 3 && n.bus_bytes == 4);
    EXPECT(n.broker_up == 0 && n.broker_down == 0);
    wsk_listener_free(a);
    wsk_listener_free(b);
    wsk_topics_stats(topics, &n);
    EXPECT(n.topics == 0 && n.subscriptions == 0 && n.bytes == 0);
    wsk_topics_unref(topics);
}

TEST(what_a_broker_refuses_is_counted_and_what_comes_back_is_no_other_s)
{
    wsk_topics *topics = wsk_topics_new();
    wsk_listener *a = listen(topics, "t");
    wsk_topic_stats n;

    wsk__topics_set_broker(topics, make(&RETURNS));
    EXPECT(say(topics, "t", "hello") == WSK_OK);
    fake.refuses = true;
    EXPECT(say(topics, "t", "hello") == WSK_E_AGAIN);
    wsk_topics_stats(topics, &n);
    EXPECT(n.own == 1 && n.failed == 1 && n.others == 0);
    EXPECT(n.broker_up == 1 && n.broker_down == 0);
    EXPECT(n.broker_bytes == 4 && n.broker_outages == 2);
    EXPECT(n.bus_peers == 0 && n.bus_bytes == 0);
    wsk_listener_free(a);
    wsk_topics_unref(topics);
}

TEST(what_a_bus_refuses_is_counted_and_delivered_here)
{
    wsk_topics *topics = wsk_topics_new();
    wsk_listener *a = listen(topics, "t");
    wsk_topic_stats n;

    wsk__topics_set_bus(topics, make(&DIRECT));
    fake.refuses = true;
    EXPECT(say(topics, "t", "hello") == WSK_E_AGAIN);
    EXPECT(hears(a, "hello"));
    wsk_topics_stats(topics, &n);
    EXPECT(n.own == 0 && n.failed == 1);
    wsk_listener_free(a);
    wsk_topics_unref(topics);
}

static int gaps;

static void on_gap(wsk_topics *topics, const wsk_str *names, size_t n,
                   void *user)
{
    (void)topics;
    gaps += *(int *)user;
    EXPECT(n == 1 && names[0].len == 3 && memcmp(names[0].p, "old", 3) == 0);
}

TEST(a_gap_is_told)
{
    wsk_topics *topics = wsk_topics_new();
    int one = 1;

    wsk_topics_on_gap(topics, on_gap, &one);
    wsk__topics_set_bus(topics, make(&DIRECT));
    fake.route.events->gap(topics, &(wsk_str){"old", 3}, 1);
    EXPECT(gaps == 1);
    wsk_topics_unref(topics);
}
