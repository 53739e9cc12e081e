/* Topics of a server: publications reach WebSockets. */
#include "harness.h"

#include "client.h"

#include <pthread.h>
#include <stdatomic.h>

static wsk_topics *topics;
static atomic_int closes;

static wsk_str str(const char *text)
{
    return (wsk_str){text, strlen(text)};
}

static wsk_status publish(const char *topic, const char *text,
                          const wsk_conn *except)
{
    wsk_str name = str(topic);

    return wsk_topics_publish(topics, &name, 1, WSK_TEXT, text, strlen(text), 0,
                              except);
}

/* Do what a message says, one line after the other: +TOPIC subscribes,
 * -TOPIC unsubscribes, !TOPIC=TEXT publishes, ~TOPIC=TEXT to all others,
 * &TOPIC,TOPIC=TEXT to two, =TEXT sends, <TEXT begins a message and >TEXT ends
 * it, x closes. */
static void obey(wsk_conn *conn, char *line)
{
    char *text = strchr(line, '='), *other;
    wsk_str both[2];

    if (text != NULL)
        *text++ = '\0';
    switch (*line) {
    case '+':
        EXPECT(wsk_conn_subscribe(conn, line + 1, strlen(line + 1),
                                  WSK_TOPIC_USUAL) == WSK_OK);
        break;
    case '-':
        EXPECT(wsk_conn_unsubscribe(conn, line + 1, strlen(line + 1)));
        break;
    case '!':
        EXPECT(publish(line + 1, text, NULL) == WSK_OK);
        break;
    case '~':
        EXPECT(publish(line + 1, text, conn) == WSK_OK);
        break;
    case '&':
        other = strchr(line, ',');
        *other++ = '\0';
        both[0] = str(line + 1);
        both[1] = str(other);
        EXPECT(wsk_topics_publish(topics, both, 2, WSK_TEXT, text, strlen(text),
                                  0, NULL) == WSK_OK);
        break;
    case '\0':
        EXPECT(wsk_conn_send(conn, WSK_TEXT, text, strlen(text), true) ==
               WSK_OK);
        break;
    case '<':
        EXPECT(wsk_conn_send_first(conn, WSK_TEXT, line + 1, strlen(line + 1),
                                   0) == WSK_OK);
        break;
    case '>':
        EXPECT(wsk_conn_send_frame(conn, WSK_CONTINUATION, true, line + 1,
                                   strlen(line + 1)) == WSK_OK);
        break;
    case 'x':
        EXPECT(wsk_conn_close(conn, 1000, NULL, 0) == WSK_OK);
        EXPECT(wsk_conn_subscribe(conn, "late", 4, WSK_TOPIC_USUAL) ==
               WSK_E_CLOSED);
        break;
    }
}

static void on_message(wsk_conn *conn, const wsk_message *msg, void *user)
{
    char text[200], *save = NULL;

    (void)user;
    snprintf(text, sizeof(text), "%.*s", (int)msg->len,
             (const char *)msg->data);
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save))
        obey(conn, line);
}

static void on_close(wsk_conn *conn, const wsk_close_info *info, void *user)
{
    char *names;
    size_t n;

    (void)info;
    (void)user;
    /* Out of all topics before its close event. */
    EXPECT(wsk_conn_topics(conn, &names, &n) == WSK_OK && n == 0);
    atomic_fetch_add(&closes, 1);
}

static const wsk_ws_handlers EVENTS = {.message = on_message,
                                       .close = on_close};

static void handler(wsk_request *req, void *user)
{
    wsk_str path = wsk_request_head(req)->path;
    bool events = path.len == 1;
    wsk_message msg;
    wsk_conn *conn;

    (void)user;
    if (path.len == 6) /* /first */
        wsk_request_subscribe(req, path.p + 1, 5, WSK_TOPIC_USUAL);
    if (path.len == 4) /* /bad */
        wsk_request_subscribe(req, "\n", 1, WSK_TOPIC_USUAL);
    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) != WSK_OK)
        return;
    if (events) {
        wsk_conn_attach(conn, &EVENTS, NULL);
        return;
    }
    while (wsk_conn_receive(conn, -1, &msg) == WSK_OK) {
        on_message(conn, &msg, NULL);
        wsk_message_free(&msg);
    }
}

static struct served begin(const char *options)
{
    struct served s = serve(handler, NULL, options);

    topics = wsk_server_topics(s.srv);
    atomic_store(&closes, 0);
    return s;
}

/* All copies are accounted for, and no topic is left. */
static void finish(struct served *s)
{
    wsk_topic_stats n;

    wsk_topics_ref(topics);
    wsk_server_free(s->srv);
    wsk_topics_stats(topics, &n);
    EXPECT(n.topics == 0);
    EXPECT(n.owed == n.passed + n.dropped + n.unread);
    wsk_topics_unref(topics);
}

static int join(const struct served *s, const char *request,
                const char *commands)
{
    int fd = open_ws(s, request);

    say_frame(fd, 1, commands, strlen(commands));
    return fd;
}

static bool hears_text(int fd, const char *text)
{
    char data[126] = "";
    size_t len = 0;
    int opcode = hear_frame(fd, data, &len);

    if (opcode == 1 && strcmp(data, text) == 0)
        return true;
    printf("%d: \"%s\", not \"%s\"\n", opcode, data, text);
    return false;
}

static bool has(const char *topic, size_t n)
{
    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        if (wsk_topics_count(topics, topic, strlen(topic)) == n)
            return true;
        usleep(1000);
    }
    return false;
}

static const char *const KINDS[] = {UPGRADE("/"), UPGRADE("/blocking")};

TEST(publications_come_once_and_in_order)
{
    for (int kind = 0; kind < 2; kind++) {
        struct served s = begin(NULL);
        int a = join(&s, KINDS[kind], "+news\n+other");
        int b = join(&s, KINDS[kind], "+news\n+news");
        char text[16];

        EXPECT(has("news", 2) && has("other", 1));
        for (int i = 0; i < 100; i++) {
            snprintf(text, sizeof(text), "%d", i);
            EXPECT(publish(i % 3 ? "news" : "other", text, NULL) == WSK_OK);
        }
        for (int i = 0; i < 100; i++) {
            snprintf(text, sizeof(text), "%d", i);
            EXPECT(hears_text(a, text));
            EXPECT(i % 3 == 0 || hears_text(b, text));
        }
        EXPECT(publish("nobody", "x", NULL) == WSK_OK);
        close(a);
        close(b);
        finish(&s);
    }
}

TEST(who_has_seen_the_101_hears_what_is_published_from_then_on)
{
    struct served s = begin(NULL);
    char text[16];
    int fd;

    for (int i = 0; i < 200; i++) {
        fd = open_ws(&s, UPGRADE("/first"));
        snprintf(text, sizeof(text), "%d", i);
        EXPECT(publish("first", text, NULL) == WSK_OK);
        EXPECT(hears_text(fd, text));
        close(fd);
    }
    EXPECT(has("first", 0));
    fd = join(&s, UPGRADE("/bad"), "=open");
    EXPECT(hears_text(fd, "open"));
    close(fd);
    finish(&s);
}

TEST(what_one_thread_does_to_a_websocket_is_seen_in_that_order)
{
    for (int kind = 0; kind < 2; kind++) {
        struct served s = begin(NULL);
        int fd = join(&s, KINDS[kind],
                      "!a=early\n=0\n+a\n!a=1\n=2\n!a=3\n=4\n-a\n!a=late\n=5\n"
                      "+a\n!a=6\nx");
        char data[126];
        size_t len;

        for (int i = 0; i < 7; i++) {
            char text[2] = {(char)('0' + i), '\0'};

            EXPECT(hears_text(fd, text));
        }
        EXPECT(hear_frame(fd, data, &len) == 8 && len == 2 &&
               memcmp(data, "\x03\xe8", 2) == 0);
        EXPECT(has("a", 0));
        close(fd);
        finish(&s);
    }
}

TEST(the_excluded_gets_no_copy_and_two_topics_are_one)
{
    struct served s = begin(NULL);
    int a = join(&s, KINDS[0], "+a\n+b"), b = join(&s, KINDS[1], "+a");

    EXPECT(has("a", 2) && has("b", 1));
    say_frame(a, 1, "~a=1\n&a,b=2\n&b,a=3", 18);
    EXPECT(hears_text(b, "1") && hears_text(b, "2") && hears_text(b, "3"));
    EXPECT(hears_text(a, "2") && hears_text(a, "3"));
    EXPECT(publish("a", "4", NULL) == WSK_OK);
    EXPECT(hears_text(a, "4") && hears_text(b, "4"));
    close(a);
    close(b);
    finish(&s);
}

TEST(topics_wait_for_a_message_in_pieces)
{
    struct served s = begin(NULL);
    int fd = join(&s, KINDS[1], "+a\n<one");
    unsigned char got[16];

    EXPECT(has("a", 1));
    EXPECT(hear_octets(fd, got, 5) && memcmp(got, "\x01\x03one", 5) == 0);
    EXPECT(publish("a", "two", NULL) == WSK_OK);
    EXPECT(!hears(fd, 20));
    say_frame(fd, 9, "p", 1); /* a ping passes */
    EXPECT(hear_octets(fd, got, 3) && memcmp(got, "\x8a\x01p", 3) == 0);
    say_frame(fd, 1, ">end", 4);
    EXPECT(hear_octets(fd, got, 10) && memcmp(got,
                                              "\x80\x03"
                                              "end\x81\x03two",
                                              10) == 0);
    close(fd);
    finish(&s);
}

TEST(misuse_is_refused_and_changes_nothing)
{
    struct served s = begin("topics_max=2 topic_message_max=10");
    wsk_str bad = {"a\nb", 3};

    EXPECT(publish("a", "12345678901", NULL) == WSK_E_ARG);
    EXPECT(publish("", "x", NULL) == WSK_E_ARG);
    EXPECT(publish("a", "\xff", NULL) == WSK_E_ARG);
    EXPECT(wsk_topics_publish(topics, &bad, 1, WSK_TEXT, "x", 1, 0, NULL) ==
           WSK_E_ARG);
    EXPECT(wsk_topics_publish(topics, &bad, 0, WSK_PING, "x", 1, 0, NULL) ==
           WSK_E_ARG);
    EXPECT(wsk_topics_disconnect(topics, "a", 1, 1005, "", 0) == WSK_E_ARG);
    EXPECT(wsk_topics_disconnect(topics, "a", 1, 1000, "", 0) == WSK_OK);
    EXPECT(wsk_server_set_topics(s.srv, topics) == WSK_E_STATE);
    finish(&s);
}

TEST(a_topic_is_disconnected)
{
    struct served s = begin(NULL);
    int a = join(&s, KINDS[0], "+user"), b = join(&s, KINDS[1], "+user\n+b"),
        c = join(&s, KINDS[0], "+b");
    char data[126];
    size_t len;

    EXPECT(has("user", 2) && has("b", 2));
    EXPECT(publish("user", "last", NULL) == WSK_OK);
    EXPECT(wsk_topics_disconnect(topics, "user", 4, 4000, "gone", 4) == WSK_OK);
    EXPECT(has("user", 0) && has("b", 1));
    EXPECT(hears_text(a, "last") && hears_text(b, "last"));
    EXPECT(hear_frame(a, data, &len) == 8 && len == 6 &&
           memcmp(data, "\x0f\xa0gone", 6) == 0);
    EXPECT(hear_frame(b, data, &len) == 8 && len == 6);
    close(a);
    close(b);
    EXPECT(publish("b", "on", NULL) == WSK_OK && hears_text(c, "on"));
    close(c);
    finish(&s);
}

/* ------------------------------------------------------- slow readers --- */

enum { SIZE = 3000 };

static void fill(char text[SIZE + 1], int n)
{
    char number[16];
    int len = snprintf(number, sizeof(number), "%d ", n);

    memset(text, 'x', SIZE);
    text[SIZE] = '\0';
    memcpy(text, number, (size_t)len);
}

/* Read numbered messages of SIZE octets until a Close or `last`; returns how
 * many came. *code is that of the Close, or 0; *newest the last number; *holes
 * those that are missing. */
static int read_numbers(int fd, int last, int *code, atomic_int *newest,
                        int *holes)
{
    int n = 0;

    *code = *holes = 0;
    *newest = -1;
    while (*newest < last) {
        unsigned char head[4];
        char text[SIZE + 1] = "";
        int number;

        if (!hear_octets(fd, head, 4))
            break;
        if (head[0] == 0x88) {
            *code = head[2] << 8 | head[3];
            break;
        }
        EXPECT(head[0] == 0x81 && head[1] == 126 &&
               (head[2] << 8 | head[3]) == SIZE);
        if (!hear_octets(fd, text, SIZE))
            break;
        number = atoi(text);
        EXPECT(number > *newest);
        *holes += number - *newest - 1;
        *newest = number;
        n++;
    }
    return n;
}

struct reader {
    pthread_t thread;
    int fd, last, code, holes, n;
    atomic_int newest;
};

static void *read_all(void *arg)
{
    struct reader *r = arg;

    r->n = read_numbers(r->fd, r->last, &r->code, &r->newest, &r->holes);
    return NULL;
}

/* Wait, ten seconds at most, until a reader has got number `n`. */
static void wait_read(struct reader *r, int n)
{
    for (int i = 0; i < 100000 && atomic_load(&r->newest) < n; i++)
        usleep(100);
}

/* One reads, one does not, while `n` are published. */
static void lag(const char *kind, const char *options, int n,
                struct reader *slow)
{
    struct served s = begin(options);
    struct reader quick = {.last = n - 1};
    char text[SIZE + 1];

    slow->fd = join(&s, kind, "+a");
    quick.fd = join(&s, KINDS[0], "+a");
    EXPECT(has("a", 2));
    pthread_create(&quick.thread, NULL, read_all, &quick);
    for (int i = 0; i < n; i++) {
        fill(text, i);
        EXPECT(publish("a", text, NULL) == WSK_OK);
        if (i % 20 == 19)
            wait_read(&quick, i - 20); /* it must not lag */
    }
    pthread_join(quick.thread, NULL);
    EXPECT(quick.newest == n - 1 && quick.code == 0);
    EXPECT(quick.holes == 0 || strstr(options, "latest") != NULL);
    slow->last = n - 1;
    read_all(slow);
    close(quick.fd);
    close(slow->fd);
    finish(&s);
}

/* Enough for the buffers of the kernel, and for the backlog. */
enum { FLOOD = 3000 };
#define LITTLE "topic_backlog=200k ws_ping_interval=0"

TEST(a_slow_subscriber_is_closed_and_has_no_hole)
{
    for (int kind = 0; kind < 2; kind++) {
        struct reader slow = {0};

        lag(KINDS[kind], LITTLE, FLOOD, &slow);
        EXPECT(slow.code == 1013 && slow.holes == 0);
        EXPECT(slow.n > 0 && slow.newest < FLOOD - 1);
    }
}

/* Read a frame of text to its end, all of it `fill`. False: it is another. */
static bool hears_long(int fd, char fill)
{
    unsigned char head[10];
    uint64_t len = 0;
    char c = fill;

    if (!hear_octets(fd, head, 2) || head[0] != 0x81 || head[1] != 127 ||
        !hear_octets(fd, head + 2, 8))
        return false;
    for (int i = 2; i < 10; i++)
        len = len << 8 | head[i];
    while (len > 0 && c == fill && hear_octets(fd, &c, 1))
        len--;
    return len == 0;
}

TEST(a_frame_that_has_begun_and_a_close_reach_a_peer_that_lags)
{
    enum { LONG = 1000000 };

    for (int kind = 0; kind < 2; kind++) {
        struct served s = begin("topic_backlog=1m ws_ping_interval=0");
        int fd = join(&s, KINDS[kind], "+a"), n = 0;
        char *text = malloc(LONG + 1), code[4];

        EXPECT(has("a", 1));
        memset(text, 'x', LONG);
        text[LONG] = '\0';
        for (int i = 0; i < 20; i++)
            EXPECT(publish("a", text, NULL) == WSK_OK);
        EXPECT(has("a", 0));
        while (n < 20 && hears_long(fd, 'x'))
            n++;
        EXPECT(n > 0 && n < 20);
        EXPECT(hear_octets(fd, code, 2)); /* behind its head */
        EXPECT(memcmp(code, "\x03\xf5", 2) == 0);
        free(text);
        close(fd);
        finish(&s);
    }
}

TEST(a_slow_subscriber_misses_messages_where_the_policy_says_so)
{
    struct reader slow = {0};

    lag(KINDS[1], LITTLE " topic_policy=drop", FLOOD, &slow);
    EXPECT(slow.code == 0 && slow.holes > 0 && slow.newest == FLOOD - 1);
    EXPECT(slow.n > 50);
}

TEST(a_slow_subscriber_only_gets_the_newest_where_the_policy_says_so)
{
    struct reader slow = {0};

    lag(KINDS[0], "topics=a\tpolicy=latest", FLOOD, &slow);
    EXPECT(slow.code == 0 && slow.holes > 0 && slow.newest == FLOOD - 1);
}

TEST(a_poller_without_edges_sends_what_lags)
{
    struct reader slow = {0};

    setenv("WSK_TEST_POLLER", "poll", 1);
    lag(KINDS[0], "topic_backlog=64m", FLOOD, &slow);
    unsetenv("WSK_TEST_POLLER");
    EXPECT(slow.code == 0 && slow.holes == 0 && slow.n == FLOOD);
}

TEST(what_lags_comes_before_a_message_that_is_sent_later)
{
    struct served s = begin("topic_backlog=64m");
    struct reader slow = {.last = FLOOD - 1};
    char text[SIZE + 1];

    slow.fd = join(&s, KINDS[1], "+a");
    EXPECT(has("a", 1));
    for (int i = 0; i < FLOOD; i++) {
        fill(text, i);
        EXPECT(publish("a", text, NULL) == WSK_OK);
    }
    say_frame(slow.fd, 1, "=behind", 7);
    usleep(50000);
    read_all(&slow);
    EXPECT(slow.n == FLOOD && slow.holes == 0);
    EXPECT(hears_text(slow.fd, "behind"));
    close(slow.fd);
    finish(&s);
}

/* ------------------------------------------------------------- crowds --- */

enum { CROWD = 150, SPEAKERS = 4, EACH = 200 };

static void *speak(void *arg)
{
    int who = (int)(intptr_t)arg;
    char text[32];

    for (int i = 0; i < EACH; i++) {
        snprintf(text, sizeof(text), "%d %d", who, i);
        EXPECT(publish("all", text, NULL) == WSK_OK);
    }
    return NULL;
}

static atomic_bool stop;

/* Come and go meanwhile. */
static void *churn(void *arg)
{
    const struct served *s = arg;

    while (!atomic_load(&stop)) {
        int fd = join(s, KINDS[0], "+all");

        usleep(500);
        close(fd);
    }
    return NULL;
}

/* More than one thread passes over at once. */
TEST(a_crowd_gets_each_publication_once_and_in_order)
{
    struct served s = begin(NULL);
    int fd[CROWD];
    pthread_t speakers[SPEAKERS], comer;

    for (int i = 0; i < CROWD; i++)
        fd[i] = join(&s, KINDS[0], "+all");
    EXPECT(has("all", CROWD));
    atomic_store(&stop, false);
    pthread_create(&comer, NULL, churn, &s);
    for (int i = 0; i < SPEAKERS; i++)
        pthread_create(&speakers[i], NULL, speak, (void *)(intptr_t)i);
    for (int i = 0; i < CROWD; i++) {
        int next[SPEAKERS] = {0};

        for (int n = 0; n < SPEAKERS * EACH; n++) {
            char data[126];
            size_t len;
            int who = 0, number = 0;

            EXPECT(hear_frame(fd[i], data, &len) == 1);
            EXPECT(sscanf(data, "%d %d", &who, &number) == 2);
            EXPECT(who < SPEAKERS && number == next[who]++);
            if (checks_failed > 0)
                break;
        }
    }
    for (int i = 0; i < SPEAKERS; i++)
        pthread_join(speakers[i], NULL);
    atomic_store(&stop, true);
    pthread_join(comer, NULL);
    for (int i = 0; i < CROWD; i++)
        close(fd[i]);
    finish(&s);
}

/* A publisher that is faster than the pump waits for it. */
TEST(nobody_is_lapped_because_the_pump_is_behind)
{
    struct served s = begin("topic_backlog=4k");
    struct reader readers[CROWD];
    char text[SIZE + 1];

    for (int i = 0; i < CROWD; i++) {
        readers[i] = (struct reader){.last = 29};
        readers[i].fd = join(&s, KINDS[0], "+all");
    }
    EXPECT(has("all", CROWD));
    for (int i = 0; i < 30; i++) { /* less than the kernel's buffers hold */
        fill(text, i);
        EXPECT(publish("all", text, NULL) == WSK_OK);
    }
    for (int i = 0; i < CROWD; i++) {
        read_all(&readers[i]);
        EXPECT(readers[i].n == 30 && readers[i].holes == 0);
        close(readers[i].fd);
    }
    finish(&s);
}

/* ----------------------------------------------------------- listeners --- */

static void *close_later(void *listener)
{
    usleep(10000);
    wsk_listener_close(listener);
    return NULL;
}

TEST(a_listener_hears_what_is_published)
{
    struct served s = begin(NULL);
    wsk_str names[2] = {str("a"), str("b")};
    wsk_listener *l;
    wsk_message msg;
    pthread_t thread;

    EXPECT(wsk_topics_listen(topics, names, 2, &l) == WSK_OK);
    EXPECT(wsk_topics_count(topics, "a", 1) == 1);
    EXPECT(wsk_listener_next(l, 0, &msg) == WSK_E_TIMEOUT);
    EXPECT(wsk_listener_next(l, 1, &msg) == WSK_E_TIMEOUT);
    EXPECT(publish("a", "one", NULL) == WSK_OK);
    EXPECT(publish("b", "", NULL) == WSK_OK);
    EXPECT(wsk_listener_next(l, -1, &msg) == WSK_OK);
    EXPECT(msg.opcode == WSK_TEXT && msg.len == 3 &&
           memcmp(msg.data, "one", 3) == 0);
    wsk_message_free(&msg);
    EXPECT(wsk_listener_next(l, -1, &msg) == WSK_OK && msg.len == 0);
    wsk_message_free(&msg);
    pthread_create(&thread, NULL, close_later, l);
    EXPECT(wsk_listener_next(l, -1, &msg) == WSK_E_CLOSED);
    pthread_join(thread, NULL);
    wsk_listener_free(l);
    EXPECT(wsk_topics_count(topics, "a", 1) == 0);
    finish(&s);
}

TEST(a_listener_that_lags_is_told_once)
{
    struct served s = begin("topic_backlog=4k");
    wsk_str name = str("a");
    wsk_listener *l;
    wsk_message msg;
    char text[SIZE + 1];

    EXPECT(wsk_topics_listen(topics, &name, 1, &l) == WSK_OK);
    for (int i = 0; i < 10; i++) {
        fill(text, i);
        EXPECT(publish("a", text, NULL) == WSK_OK);
    }
    EXPECT(wsk_listener_next(l, -1, &msg) == WSK_E_AGAIN);
    EXPECT(wsk_listener_next(l, -1, &msg) == WSK_OK);
    EXPECT(memcmp(msg.data, "9 ", 2) == 0);
    wsk_message_free(&msg);
    EXPECT(wsk_listener_next(l, 0, &msg) == WSK_E_TIMEOUT);
    wsk_listener_free(l);
    finish(&s);
}
