/* The route by Redis: its thread and its connections, with a Redis in memory
 * behind sockets of loopback. */
#include "harness.h"
#include "memory_redis.h"

#include "net/broker/redis.h"
#include "net/os/clock.h"
#include "net/topics/join.h"
#include "net/topics/topics.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, TEXT = 64 };

/* ------------------------------------------------- a server in a thread --- */

static struct server {
    pthread_t thread;
    pthread_mutex_t lock;
    int listener, fds[MEMORY_CONNS];
    uint16_t port;
    struct memory_redis redis; /* lock */
    struct memory_conn *conn[MEMORY_CONNS];
    bool ends, dead; /* lock; dead: nobody is let in */
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void drop(int i)
{
    memory_close(server.conn[i]);
    server.conn[i] = NULL;
    close(server.fds[i]);
    server.fds[i] = -1;
}

static void let_in(void)
{
    int fd = accept(server.listener, NULL, NULL), i = 0;

    if (fd < 0)
        return;
    if (server.dead) {
        close(fd);
        return;
    }
    while (server.fds[i] >= 0)
        i++;
    server.fds[i] = fd;
    server.conn[i] = memory_open(&server.redis);
}

static void serve_one(int i)
{
    char octets[4096];
    ssize_t n = recv(server.fds[i], octets, sizeof octets, MSG_DONTWAIT);

    if (n == 0) {
        drop(i);
    } else if (n > 0) {
        memory_put(&server.conn[i]->in, octets, (size_t)n);
        memory_serve(&server.redis, server.conn[i]);
    }
}

static void send_some(int i)
{
    struct memory_conn *c = server.conn[i];
    ssize_t n;

    if (c == NULL || c->out.len == 0 || c->hung)
        return;
    n = send(server.fds[i], c->out.p, c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        memory_drop(&c->out, (size_t)n);
}

static bool turn(void)
{
    struct pollfd fds[MEMORY_CONNS + 1] = {
        {.fd = server.listener, .events = POLLIN}};
    bool ends;

    pthread_mutex_lock(&server.lock);
    for (int i = 0; i < MEMORY_CONNS; i++)
        fds[1 + i] = (struct pollfd){.fd = server.fds[i], .events = POLLIN};
    pthread_mutex_unlock(&server.lock);
    poll(fds, MEMORY_CONNS + 1, 2);
    pthread_mutex_lock(&server.lock);
    if (fds[0].revents)
        let_in();
    for (int i = 0; i < MEMORY_CONNS; i++)
        if (fds[1 + i].revents && server.fds[i] == fds[1 + i].fd)
            serve_one(i);
    for (int i = 0; i < MEMORY_CONNS; i++)
        send_some(i);
    ends = server.ends;
    pthread_mutex_unlock(&server.lock);
    return !ends;
}

static void *serve(void *unused)
{
    while (turn())
        continue;
    return unused;
}

static void begin_server(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;

    server.redis = (struct memory_redis){0};
    server.ends = server.dead = false;
    for (int i = 0; i < MEMORY_CONNS; i++)
        server.fds[i] = -1;
    server.listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server.listener, (struct sockaddr *)&sa, sizeof sa) != 0 ||
        listen(server.listener, 16) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&sa, &len) != 0)
        abort();
    fcntl(server.listener, F_SETFL, O_NONBLOCK);
    server.port = ntohs(sa.sin_port);
    pthread_create(&server.thread, NULL, serve, NULL);
}

/* End all connections, and let nobody in while `dead`. */
static void kill_server(bool dead)
{
    pthread_mutex_lock(&server.lock);
    server.dead = dead;
    for (int i = 0; i < MEMORY_CONNS && dead; i++)
        if (server.fds[i] >= 0)
            drop(i);
    pthread_mutex_unlock(&server.lock);
}

static void end_server(void)
{
    kill_server(true);
    pthread_mutex_lock(&server.lock);
    server.ends = true;
    pthread_mutex_unlock(&server.lock);
    pthread_join(server.thread, NULL);
    kill_server(true);
    close(server.listener);
}

/* ------------------------------------------------------------ a process --- */

struct process {
    wsk_topics *topics;
    struct wsk__route *route;
    atomic_int gaps, topics_of_gaps;
};

static void on_gap(wsk_topics *topics, const wsk_str *names, size_t n,
                   void *user)
{
    struct process *p = user;

    (void)topics;
    (void)names;
    atomic_fetch_add(&p->topics_of_gaps, (int)n);
    atomic_fetch_add(&p->gaps, 1);
}

static bool begin(struct process *p, bool fails_down, char why[WSK__REDIS_WHY])
{
    char url[64];
    struct wsk__redis_config cfg = {.url = url,
                                    .prefix = "wsocket",
                                    .probe_ms = 300,
                                    .timeout_ms = 3000,
                                    .message_max = 1 << 20,
                                    .fails_down = fails_down};

    snprintf(url, sizeof url, "redis://127.0.0.1:%u", server.port);
    *p = (struct process){.topics = wsk_topics_new()};
    p->route = wsk__redis_new(&cfg, why);
    if (p->route == NULL)
        return false;
    wsk_topics_on_gap(p->topics, on_gap, p);
    wsk__topics_set_broker(p->topics, p->route);
    return wsk__redis_await(p->route, why);
}

static wsk_status say(struct process *p, const char *topic, const char *text)
{
    wsk_str name = {topic, strlen(topic)};

    return wsk_topics_publish(p->topics, &name, 1, WSK_TEXT, text, strlen(text),
                              0, NULL);
}

static wsk_listener *listen_to(struct process *p, const char *topic)
{
    wsk_str name = {topic, strlen(topic)};
    wsk_listener *listener = NULL;

    EXPECT(wsk_topics_listen(p->topics, &name, 1, &listener) == WSK_OK);
    return listener;
}

static bool hears(wsk_listener *listener, const char *text)
{
    wsk_message msg;
    bool same;

    if (wsk_listener_next(listener, PATIENCE_MS, &msg) != WSK_OK)
        return false;
    same = msg.len == strlen(text) && memcmp(msg.data, text, msg.len) == 0;
    if (!same)
        printf("%.*s is not %s\n", (int)msg.len, (const char *)msg.data, text);
    wsk_message_free(&msg);
    return same;
}

static void nap(void)
{
    usleep(2000);
}

/* Publish until it is on its way. */
static bool say_at_last(struct process *p, const char *topic, const char *text)
{
    uint64_t until_ms = wsk__now_ms() + PATIENCE_MS;

    while (say(p, topic, text) != WSK_OK) {
        if (wsk__now_ms() > until_ms)
            return false;
        nap();
    }
    return true;
}

static bool has_gaps(struct process *p, int n)
{
    uint64_t until_ms = wsk__now_ms() + PATIENCE_MS;

    while (atomic_load(&p->gaps) < n && wsk__now_ms() < until_ms)
        nap();
    return atomic_load(&p->gaps) == n;
}

/* -------------------------------------------------------------- tests --- */

TEST(two_processes_reach_each_other)
{
    char why[WSK__REDIS_WHY];
    struct process a, b;
    wsk_listener *ear_a, *ear_b;

    begin_server();
    EXPECT(begin(&a, false, why) && begin(&b, false, why));
    ear_a = listen_to(&a, "t");
    ear_b = listen_to(&b, "t");
    for (int i = 0; i < 200; i++) {
        char text[TEXT];

        snprintf(text, sizeof text, "%d", i);
        EXPECT(say(i % 2 ? &a : &b, "t", text) == WSK_OK);
        EXPECT(hears(ear_a, text) && hears(ear_b, text));
    }
    wsk_listener_free(ear_a);
    wsk_listener_free(ear_b);
    EXPECT(atomic_load(&a.gaps) == 0 && atomic_load(&b.gaps) == 0);
    wsk_topics_unref(a.topics);
    wsk_topics_unref(b.topics);
    end_server();
}

TEST(an_outage_is_told_once_and_then_everything_arrives)
{
    char why[WSK__REDIS_WHY], text[TEXT];
    struct process a, b;
    wsk_listener *ear_a, *ear_b;

    begin_server();
    EXPECT(begin(&a, false, why) && begin(&b, true, why));
    ear_a = listen_to(&a, "t");
    ear_b = listen_to(&b, "t");
    for (int round = 1; round <= 5; round++) {
        kill_server(true);
        while (say(&a, "t", "here only") == WSK_OK)
            nap();
        EXPECT(hears(ear_a, "here only"));
        kill_server(false);
        /* An outage of moments may be told to b once more, by a. */
        EXPECT(has_gaps(&a, round));
        EXPECT(say_at_last(&b, "other", "b is up"));
        snprintf(text, sizeof text, "back %d", round);
        EXPECT(say_at_last(&a, "t", text));
        EXPECT(hears(ear_a, text) && hears(ear_b, text));
    }
    EXPECT(atomic_load(&a.topics_of_gaps) == 5);
    EXPECT(atomic_load(&b.gaps) >= 5);
    wsk_listener_free(ear_a);
    wsk_listener_free(ear_b);
    wsk_topics_unref(a.topics);
    wsk_topics_unref(b.topics);
    end_server();
}

TEST(a_redis_that_hangs_is_left_by_the_second_probe)
{
    char why[WSK__REDIS_WHY];
    struct process a;
    wsk_listener *ear;

    begin_server();
    EXPECT(begin(&a, false, why));
    ear = listen_to(&a, "t");
    pthread_mutex_lock(&server.lock);
    for (int i = 0; i < MEMORY_CONNS; i++)
        if (server.conn[i] != NULL)
            server.conn[i]->hung = true;
    pthread_mutex_unlock(&server.lock);
    EXPECT(has_gaps(&a, 1));
    EXPECT(say_at_last(&a, "t", "back") && hears(ear, "back"));
    wsk_listener_free(ear);
    wsk_topics_unref(a.topics);
    end_server();
}

TEST(a_refusal_ends_the_start_and_an_absent_redis_does_not)
{
    char why[WSK__REDIS_WHY];
    struct process a;

    begin_server();
    pthread_mutex_lock(&server.lock);
    server.redis.password = "secret";
    pthread_mutex_unlock(&server.lock);
    EXPECT(!begin(&a, false, why) && strstr(why, "NOAUTH") != NULL);
    wsk_topics_unref(a.topics);
    end_server();
    EXPECT(begin(&a, false, why)); /* nobody listens there any more */
    EXPECT(say(&a, "t", "x") == WSK_E_AGAIN);
    wsk_topics_unref(a.topics);
}

static void *publish_many(void *user)
{
    struct process *p = user;
    char text[TEXT];

    for (int i = 0; i < 2000; i++) {
        snprintf(text, sizeof text, "%d", i);
        EXPECT(say(p, "many", text) == WSK_OK);
    }
    return NULL;
}

static void *come_and_go(void *user)
{
    for (int i = 0; i < 200; i++)
        wsk_listener_free(listen_to(user, i % 2 ? "many" : "few"));
    return NULL;
}

TEST(threads_publish_and_come_and_go_and_each_order_is_kept)
{
    char why[WSK__REDIS_WHY], text[TEXT];
    struct process a, b;
    pthread_t threads[3];
    wsk_listener *ear;

    begin_server();
    EXPECT(begin(&a, false, why) && begin(&b, false, why));
    ear = listen_to(&b, "many");
    pthread_create(&threads[0], NULL, publish_many, &a);
    pthread_create(&threads[1], NULL, come_and_go, &a);
    pthread_create(&threads[2], NULL, come_and_go, &b);
    for (int i = 0; i < 2000; i++) {
        snprintf(text, sizeof text, "%d", i);
        EXPECT(hears(ear, text));
        if (checks_failed > 0)
            break;
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    wsk_listener_free(ear);
    wsk_topics_unref(a.topics);
    wsk_topics_unref(b.topics);
    end_server();
}

TEST(what_was_published_before_the_end_is_sent)
{
    char why[WSK__REDIS_WHY], text[TEXT];
    struct process a, b;
    wsk_listener *ear;

    begin_server();
    EXPECT(begin(&a, false, why) && begin(&b, false, why));
    ear = listen_to(&b, "t");
    for (int i = 0; i < 500; i++) {
        snprintf(text, sizeof text, "%d", i);
        EXPECT(say(&a, "t", text) == WSK_OK);
    }
    wsk_topics_unref(a.topics);
    for (int i = 0; i < 500; i++) {
        snprintf(text, sizeof text, "%d", i);
        EXPECT(hears(ear, text));
    }
    wsk_listener_free(ear);
    wsk_topics_unref(b.topics);
    end_server();
}
