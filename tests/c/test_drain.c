/* A server that leaves loses nothing that was accepted, nor what waits in its
 * queue. */
#include "harness.h"

#include "client.h"
#include "net/conn/conns.h"
#include "net/conn/drain.h"
#include "net/os/clock.h"
#include "net/os/listen.h"
#include "net/server/server.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>

enum { QUEUED = 100 };

static atomic_int inside, open_door, noticed, closed;
static uint16_t closed_code;

static void on_message(wsk_conn *conn, const wsk_message *msg, void *user)
{
    (void)user;
    wsk_conn_send(conn, msg->opcode, msg->data, msg->len, true);
}

static void on_draining(wsk_conn *conn, void *user)
{
    (void)user;
    EXPECT(wsk_conn_draining(conn));
    EXPECT(wsk_conn_can_send(conn));
    usleep(
        20000); /* the Close waits for the callback, not only for its start */
    wsk_conn_send(conn, WSK_TEXT, "farewell", 8, true);
    atomic_fetch_add(&noticed, 1);
}

static void on_close(wsk_conn *conn, const wsk_close_info *info, void *user)
{
    (void)conn;
    (void)user;
    closed_code = info->sent_code;
    atomic_fetch_add(&closed, 1);
}

static const wsk_ws_handlers EVENTS = {
    .message = on_message, .draining = on_draining, .close = on_close};

/* "/wait" waits for the door, "/late" upgrades behind it, "/events" attaches.
 */
static void handler(wsk_request *req, void *user)
{
    const wsk_head *head = wsk_request_head(req);
    bool events = head->path.len == 7;
    wsk_message msg;
    wsk_conn *conn;

    (void)user;
    if (head->path.len == 5) {
        atomic_fetch_add(&inside, 1);
        while (atomic_load(&open_door) == 0)
            usleep(1000);
    }
    if (!head->websocket) {
        wsk_request_respond(req, 200, NULL, 0, "ok", 2);
        return;
    }
    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) != WSK_OK)
        return;
    if (events) {
        wsk_conn_attach(conn, &EVENTS, NULL);
        return;
    }
    while (wsk_conn_receive(conn, -1, &msg) == WSK_OK) {
        wsk_conn_send(conn, msg.opcode, msg.data, msg.len, true);
        wsk_message_free(&msg);
    }
}

/* A server that listens, and has not started. */
static struct served prepare(const char *options)
{
    struct served s = {NULL, 0};
    wsk_server_config cfg;
    char copy[512], *save = NULL;

    atomic_store(&inside, 0);
    atomic_store(&open_door, 0);
    atomic_store(&noticed, 0);
    atomic_store(&closed, 0);
    wsk_config_init(&cfg);
    cfg.port = 0;
    cfg.log_level = "critical";
    snprintf(copy, sizeof(copy), "%s", options);
    for (char *word = strtok_r(copy, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(word, '=');

        *equals = '\0';
        EXPECT(wsk_config_set(&cfg, word, equals + 1, NULL) == WSK_OK);
    }
    s.srv = wsk_server_new(&cfg, handler, NULL, NULL);
    if (s.srv == NULL || wsk_server_listen(s.srv) != WSK_OK)
        abort();
    s.port = wsk_server_port(s.srv);
    return s;
}

static struct served start(const char *options)
{
    struct served s = prepare(options);

    if (wsk_server_start(s.srv) != WSK_OK)
        abort();
    return s;
}

/* Where a stop is at once, a handler may leave later than it waits for them. */
static void finish(struct served *s)
{
    wsk_status st = WSK_E_STATE;

    for (int ms = 0; ms < PATIENCE_MS && st == WSK_E_STATE; ms++) {
        st = wsk_server_join(s->srv, PATIENCE_MS);
        if (st == WSK_E_STATE)
            usleep(1000);
    }
    EXPECT(st == WSK_OK);
    wsk_server_free(s->srv);
}

static void leave(struct served *s, bool successor)
{
    wsk_drain how = {.ms = WSK_AUTO_MS,
                     .idle_ms = WSK_AUTO_MS,
                     .spread_ms = WSK_AUTO_MS,
                     .successor = successor};

    wsk_server_drain(s->srv, &how);
}

/* Read a head; its length, 0: none came whole. */
static size_t hear_head(int fd, char head[4096])
{
    size_t n = 0;

    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0)
        if (n + 1 >= 4096 || !hear_octets(fd, head + n++, 1))
            return 0;
    head[n] = '\0';
    return n;
}

/* True if an answer comes, says that it is the last, and is. */
static bool hears_last(int fd)
{
    char head[4096], body[8] = "";

    return hear_head(fd, head) > 0 && memcmp(head + 9, "200", 3) == 0 &&
           strstr(head, "Connection: close\r\n") != NULL &&
           hear_octets(fd, body, 2) && memcmp(body, "ok", 2) == 0 &&
           hears_end(fd);
}

/* Connect to the first place that a server listens at. */
static int reach(const struct served *s)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    int to = s->srv->conns.places.at[0].fd, fd;
    struct timeval patience = {PATIENCE_MS / 1000, 0};

    if (getsockname(to, (struct sockaddr *)&sa, &len) != 0)
        abort();
    fd = socket(sa.ss_family, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&sa, len) != 0)
        abort();
    return fd;
}

/* Stop a server with 100 connections in its queue: a third has sent a request,
 * a third sends it after 3 ms, and the rest a part of it before and after. */
static void stop_with_a_queue(const char *options)
{
    static const char REQUEST[] = GET("/");
    struct served s = prepare(options);
    int fds[QUEUED], answered = 0;

    for (int i = 0; i < QUEUED; i++) {
        fds[i] = reach(&s);
        if (i % 3 == 0)
            say(fds[i], REQUEST);
        else if (i % 3 == 1)
            say_octets(fds[i], REQUEST, 5);
    }
    wsk_server_stop(s.srv, -1);
    EXPECT(wsk_server_start(s.srv) == WSK_OK);
    usleep(3000);
    for (int i = 0; i < QUEUED; i++)
        if (i % 3 != 0)
            say(fds[i], i % 3 == 1 ? REQUEST + 5 : REQUEST);
    for (int i = 0; i < QUEUED; i++) {
        answered += hears_last(fds[i]);
        close(fds[i]);
    }
    EXPECT(answered == QUEUED);
    finish(&s);
}

TEST(a_stop_answers_all_that_wait_in_the_accept_queue)
{
    stop_with_a_queue("graceful_timeout=9");
}

TEST(a_stop_answers_all_that_wait_on_ipv6)
{
    stop_with_a_queue("bind=[::1]:0");
}

TEST(a_stop_answers_all_that_wait_on_a_unix_socket)
{
    char options[200];

    snprintf(options, sizeof(options), "bind=unix:/tmp/wsk-drain-%d.sock",
             (int)getpid());
    stop_with_a_queue(options);
}

TEST(a_stop_answers_all_that_wait_on_the_poll_backend)
{
    setenv("WSK_TEST_POLLER", "poll", 1);
    stop_with_a_queue("graceful_timeout=9");
    unsetenv("WSK_TEST_POLLER");
}

TEST(a_stop_answers_all_that_wait_while_the_lead_is_taken_away)
{
    setenv("WSK_TEST_STEAL_EVERY", "2", 1);
    stop_with_a_queue("graceful_timeout=9");
    unsetenv("WSK_TEST_STEAL_EVERY");
}

static int listen_somewhere(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
        listen(fd, QUEUED) != 0)
        abort();
    return fd;
}

TEST(a_stop_answers_all_that_wait_on_an_inherited_socket)
{
    int fd = listen_somewhere();
    char options[40];

    snprintf(options, sizeof(options), "bind=fd:%d", fd);
    stop_with_a_queue(options);
}

TEST(with_a_successor_the_queue_is_left_to_it)
{
    int fd = listen_somewhere(), copy = dup(fd), fds[QUEUED], answered = 0;
    char options[40];
    struct served old, new;

    snprintf(options, sizeof(options), "bind=fd:%d", fd);
    old = prepare(options);
    for (int i = 0; i < QUEUED; i++) {
        fds[i] = reach(&old);
        say(fds[i], GET("/"));
    }
    leave(&old, true);
    EXPECT(wsk_server_start(old.srv) == WSK_OK);
    finish(&old);
    snprintf(options, sizeof(options), "bind=fd:%d", copy);
    new = start(options);
    for (int i = 0; i < QUEUED; i++) {
        answered += hear_answer(fds[i], NULL, 0) == 200; /* and may stay */
        close(fds[i]);
    }
    EXPECT(answered == QUEUED);
    wsk_server_stop(new.srv, -1);
    finish(&new);
}

/* ---------------------------------------------------------- connections --- */

TEST(a_connection_that_was_just_accepted_may_still_speak)
{
    struct served s = start("graceful_timeout=9");
    int fd = dial(&s);

    for (int ms = 0; ms < PATIENCE_MS && s.srv->conns.n == 0; ms++)
        usleep(1000);
    wsk_server_stop(s.srv, -1);
    usleep(300000);
    say(fd, GET("/"));
    EXPECT(hears_last(fd));
    close(fd);
    finish(&s);
}

TEST(an_idle_connection_is_answered_once_more)
{
    struct served s = start("graceful_timeout=9");
    int fd = dial(&s);

    say(fd, GET("/"));
    EXPECT(hear_answer(fd, NULL, 0) == 200);
    wsk_server_stop(s.srv, -1);
    usleep(3000); /* what was on its way */
    say(fd, GET("/"));
    EXPECT(hears_last(fd));
    close(fd);
    finish(&s);
}

TEST(with_a_successor_an_idle_connection_has_more_time)
{
    struct served s = start("graceful_timeout=9");
    int fd = dial(&s), other = dial(&s);
    wsk_drain how = {.ms = WSK_AUTO_MS,
                     .idle_ms = WSK_AUTO_MS,
                     .spread_ms = WSK_AUTO_MS,
                     .successor = true};

    say(fd, GET("/"));
    EXPECT(hear_answer(fd, NULL, 0) == 200);
    say(other, GET("/"));
    EXPECT(hear_answer(other, NULL, 0) == 200);
    wsk_server_drain(s.srv, &how);
    usleep(500000);
    say(fd, GET("/"));
    EXPECT(hears_last(fd));
    EXPECT(!hears(other, 0));
    how.successor = false; /* the whole is stopped now */
    wsk_server_drain(s.srv, &how);
    EXPECT(hears_end(other));
    close(fd);
    close(other);
    finish(&s);
}

TEST(a_body_that_comes_and_a_handler_that_runs_are_finished)
{
    struct served s = start("graceful_timeout=9");
    int body = dial(&s), slow = dial(&s);

    say(body, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab");
    say(slow, GET("/wait"));
    EXPECT(comes_to(&inside, 1));
    wsk_server_stop(s.srv, -1);
    usleep(300000);
    say(body, "cd");
    EXPECT(hears_last(body));
    atomic_store(&open_door, 1);
    EXPECT(hears_last(slow));
    close(body);
    close(slow);
    finish(&s);
}

TEST(what_waits_for_room_is_answered_as_well)
{
    enum { MORE = 10 };
    struct served s = start("max_connections=2");
    int busy[2], fds[MORE];

    for (int i = 0; i < 2; i++) {
        busy[i] = dial(&s);
        say(busy[i], GET("/wait"));
    }
    EXPECT(comes_to(&inside, 2));
    for (int i = 0; i < MORE; i++)
        fds[i] = dial(&s);
    wsk_server_stop(s.srv, -1);
    usleep(300000);
    atomic_store(&open_door, 1);
    for (int i = 0; i < 2; i++) {
        EXPECT(hears_last(busy[i]));
        close(busy[i]);
    }
    for (int i = 0; i < MORE; i++) {
        say(fds[i], GET("/"));
        EXPECT(hears_last(fds[i]));
        close(fds[i]);
    }
    finish(&s);
}

TEST(a_connection_behind_a_proxy_may_still_begin)
{
    struct served s = start("proxy_protocol=on");
    int begun = dial(&s), silent = dial(&s), idle = dial(&s);

    say(begun, "PROXY TCP4 10.1.2.3 ");
    for (int ms = 0; ms < PATIENCE_MS && s.srv->conns.n < 3; ms++)
        usleep(1000);
    wsk_server_stop(s.srv, -1);
    usleep(300000);
    say(begun, "10.0.0.1 1 2\r\n" GET("/"));
    EXPECT(hears_last(begun));
    say(silent, "PROXY TCP4 10.1.2.3 10.0.0.1 1 2\r\n" GET("/"));
    EXPECT(hears_last(silent));
    EXPECT(hears_end(idle));
    EXPECT(limit_count(&s, WSK__LIMIT_PROXY) == 0);
    close(begun);
    close(silent);
    close(idle);
    finish(&s);
}

TEST(requests_of_a_pipeline_are_all_answered)
{
    struct served s = start("graceful_timeout=9");
    int fd = dial(&s);

    say(fd, GET("/wait"));
    EXPECT(comes_to(&inside, 1));
    wsk_server_stop(s.srv, -1);
    for (int ms = 0; ms < PATIENCE_MS && !s.srv->conns.draining; ms++)
        usleep(1000);
    say(fd, GET("/") GET("/") GET("/"));
    atomic_store(&open_door, 1);
    for (int i = 0; i < 3; i++)
        EXPECT(hear_answer(fd, NULL, 0) == 200);
    EXPECT(hears_last(fd));
    close(fd);
    finish(&s);
}

TEST(a_stop_that_is_delayed_serves_on_with_connection_close)
{
    struct served s = start("graceful_timeout=9");
    wsk_drain how = {.ms = WSK_AUTO_MS,
                     .idle_ms = WSK_AUTO_MS,
                     .spread_ms = WSK_AUTO_MS,
                     .delay_ms = 60000};
    char data[126];
    size_t len = 0;
    int fd;

    wsk_server_drain(s.srv, &how);
    for (int ms = 0; ms < PATIENCE_MS && !s.srv->conns.last_answers; ms++)
        usleep(1000);
    for (int i = 0; i < 3; i++) {
        fd = dial(&s);
        say(fd, GET("/"));
        EXPECT(hears_last(fd));
        close(fd);
    }
    EXPECT(!s.srv->conns.draining);
    fd = open_ws(&s, UPGRADE("/"));
    EXPECT(fd >= 0);
    wsk_server_stop(s.srv, PATIENCE_MS);
    EXPECT(hear_frame(fd, data, &len) == 8);
    close(fd);
    finish(&s);
}

TEST(the_delay_ends_in_a_stop)
{
    struct served s = start("stop_delay=0.1");
    wsk_drain how = {.ms = WSK_AUTO_MS,
                     .idle_ms = WSK_AUTO_MS,
                     .spread_ms = WSK_AUTO_MS,
                     .delay_ms = WSK_AUTO_MS};

    wsk_server_drain(s.srv, &how);
    finish(&s);
}

/* -------------------------------------------------------------- listeners - */

/* Begin to connect: 1 connected, 0 under way, -1 refused. */
static int try_to_reach(int fd, const struct sockaddr_storage *sa,
                        socklen_t len, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof(error);

    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (connect(fd, (const struct sockaddr *)sa, len) == 0)
        return 1;
    if (errno != EINPROGRESS)
        return -1;
    if (poll(&p, 1, ms) <= 0)
        return 0;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 ? 1 : -1;
}

static void refuse_new_ones(const char *options)
{
    struct served s = prepare(options);
    struct wsk__places *places = &s.srv->conns.places;
    int listener = places->at[0].fd, early = reach(&s), taken, late;
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    char echo[4] = "";

    getsockname(listener, (struct sockaddr *)&sa, &len);
    wsk__place_refuse_new(places, 0);
    late = socket(sa.ss_family, SOCK_STREAM, 0);
    EXPECT(try_to_reach(late, &sa, len, 50) <= 0);
    taken = accept(listener, NULL, NULL);
    EXPECT(taken >= 0);
    say(early, "to");
    EXPECT(hear_octets(taken, echo, 2) && strcmp(echo, "to") == 0);
    say(taken, "fro");
    EXPECT(hear_octets(early, echo, 3) && memcmp(echo, "fro", 3) == 0);
    EXPECT(accept(listener, NULL, NULL) < 0 && errno == EAGAIN);
    wsk_server_free(s.srv); /* closes the listener */
    EXPECT(!hears(early, 0));
    close(late);
    late = socket(sa.ss_family, SOCK_STREAM, 0);
    EXPECT(try_to_reach(late, &sa, len, PATIENCE_MS) == -1);
    close(early);
    close(taken);
    close(late);
}

TEST(new_clients_are_held_off_while_those_in_the_queue_are_accepted)
{
    char options[200];

    refuse_new_ones("host=127.0.0.1");
    refuse_new_ones("bind=[::1]:0");
    snprintf(options, sizeof(options), "bind=unix:/tmp/wsk-drain-%d.sock",
             (int)getpid());
    refuse_new_ones(options);
}

TEST(an_inherited_listener_of_no_other_process_loses_no_client)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    int fd = listen_somewhere(), copy = dup(fd), late;
    wsk_drain how = {.ms = WSK_AUTO_MS, .alone = true};
    char options[40];
    struct served s;

    getsockname(fd, (struct sockaddr *)&sa, &len);
    snprintf(options, sizeof(options), "bind=fd:%d", fd);
    s = start(options);
    wsk_server_drain(s.srv, &how);
    finish(&s);
    late = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT(try_to_reach(late, &sa, len, 50) == 0); /* held off by the filter */
    close(late);
    close(copy);
}

TEST(an_inherited_listener_is_left_as_it_is)
{
    int fd = listen_somewhere(), copy = dup(fd), client;
    char options[40];
    struct served s;

    snprintf(options, sizeof(options), "bind=fd:%d", fd);
    s = start(options);
    client = reach(&s);
    wsk_server_stop(s.srv, -1);
    close(client);
    finish(&s);
    snprintf(options, sizeof(options), "bind=fd:%d", copy);
    s = start(options);
    client = reach(&s);
    say(client, GET("/"));
    EXPECT(hear_answer(client, NULL, 0) == 200);
    close(client);
    wsk_server_stop(s.srv, 0);
    finish(&s);
}

/* Connect, ask, and read the answer, again and again, until refused. */
struct asker {
    pthread_t thread;
    struct sockaddr_storage sa;
    socklen_t len;
    int pause_us, lost;
    atomic_int answered;
};

static void *keep_asking(void *user)
{
    struct asker *a = user;
    struct timeval patience = {PATIENCE_MS / 1000, 0};
    bool refused = false;

    for (int i = 0; i < 100000 && !refused; i++) {
        int fd = socket(a->sa.ss_family, SOCK_STREAM, 0);

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        if (connect(fd, (struct sockaddr *)&a->sa, a->len) != 0) {
            refused = true;
        } else {
            if (a->pause_us > 0)
                usleep((useconds_t)a->pause_us);
            if (say(fd, GET("/")) && hear_answer(fd, NULL, 0) == 200)
                atomic_fetch_add(&a->answered, 1);
            else
                a->lost++;
        }
        close(fd);
    }
    return NULL;
}

static void stop_under_load(const char *options)
{
    enum { ASKERS = 6 };
    struct served s = start(options);
    struct asker askers[ASKERS] = {0};

    for (int i = 0; i < ASKERS; i++) {
        askers[i].pause_us = i % 2 ? 3000 : 0;
        askers[i].len = sizeof(askers[i].sa);
        getsockname(s.srv->conns.places.at[0].fd,
                    (struct sockaddr *)&askers[i].sa, &askers[i].len);
        pthread_create(&askers[i].thread, NULL, keep_asking, &askers[i]);
    }
    for (int i = 0; i < ASKERS; i++)
        EXPECT(reaches(&askers[i].answered, 5));
    wsk_server_stop(s.srv, -1);
    for (int i = 0; i < ASKERS; i++) {
        pthread_join(askers[i].thread, NULL);
        EXPECT(askers[i].lost == 0);
    }
    finish(&s);
}

TEST(a_stop_under_load_loses_no_client)
{
    char options[200];

    for (int i = 0; i < 4; i++) {
        stop_under_load("graceful_timeout=9");
        stop_under_load("bind=[::1]:0");
        snprintf(options, sizeof(options), "bind=unix:/tmp/wsk-drain-%d.sock",
                 (int)getpid());
        stop_under_load(options);
    }
}

/* ------------------------------------------------------------- WebSockets - */

static bool hears_close(int fd, unsigned code, const char *reason)
{
    char data[126];
    size_t len = 0;

    return hear_frame(fd, data, &len) == 8 && len == 2 + strlen(reason) &&
           ((unsigned char)data[0] << 8 | (unsigned char)data[1]) ==
               (int)code &&
           memcmp(data + 2, reason, strlen(reason)) == 0;
}

TEST(the_code_says_whether_there_is_a_successor)
{
    struct served s = start("ws_close_timeout=0.1");
    int fd = open_ws(&s, UPGRADE("/"));

    wsk_server_stop(s.srv, -1);
    EXPECT(hears_close(fd, 1001, "stop"));
    close(fd);
    finish(&s);
    s = start("ws_close_timeout=0.1");
    fd = open_ws(&s, UPGRADE("/"));
    leave(&s, true);
    EXPECT(hears_close(fd, 1012, "restart"));
    close(fd);
    finish(&s);
    s = start("ws_close_timeout=0.1 ws_stop_code=4001");
    fd = open_ws(&s, UPGRADE("/"));
    leave(&s, false);
    EXPECT(hears_close(fd, 4001, "stop"));
    close(fd);
    finish(&s);
}

TEST(a_code_that_no_close_may_have_is_not_taken)
{
    struct served s = start("ws_close_timeout=0.1");
    int fd = open_ws(&s, UPGRADE("/"));
    wsk_drain how = {.ms = WSK_AUTO_MS, .code = 1005};

    wsk_server_drain(s.srv, &how);
    EXPECT(hears_close(fd, 1001, "stop"));
    close(fd);
    finish(&s);
}

TEST(events_are_told_before_the_close)
{
    struct served s = start("graceful_timeout=9");
    int fd = open_ws(&s, UPGRADE("/events"));
    char data[126];
    size_t len = 0;

    say_frame(fd, 1, "hello", 5);
    EXPECT(hear_frame(fd, data, &len) == 1);
    wsk_server_stop(s.srv, -1);
    EXPECT(hear_frame(fd, data, &len) == 1 && strcmp(data, "farewell") == 0);
    EXPECT(hears_close(fd, 1001, "stop"));
    say_frame(fd, 8, "\x03\xe9", 2);
    EXPECT(hears_end(fd));
    finish(&s);
    EXPECT(noticed == 1 && closed == 1 && closed_code == 1001);
    close(fd);
}

TEST(an_application_without_a_thread_for_the_event_delays_the_close_a_while)
{
    struct served s = start("threads=1");
    int fd = open_ws(&s, UPGRADE("/events")), slow = dial(&s);

    say(slow, GET("/wait"));
    EXPECT(comes_to(&inside, 1));
    wsk_server_stop(s.srv, -1);
    EXPECT(hears_close(fd, 1001, "stop"));
    EXPECT(noticed == 0);
    atomic_store(&open_door, 1);
    EXPECT(hears_last(slow));
    close(fd);
    close(slow);
    finish(&s);
    EXPECT(noticed == 0 && closed == 1);
}

TEST(at_the_end_a_websocket_gets_a_close_in_any_case)
{
    struct served s = start("graceful_timeout=9");
    int fd = open_ws(&s, UPGRADE("/")), other = open_ws(&s, UPGRADE("/events"));
    wsk_drain how = {.ms = 9000, .spread_ms = 9000, .parts = 2, .part = 1};

    wsk_server_drain(s.srv, &how);
    EXPECT(comes_to(&noticed, 1));
    wsk_server_stop(s.srv, -1); /* the second: at once */
    EXPECT(hears_close(fd, 1001, "stop"));
    EXPECT(hears_end(fd));
    close(fd);
    close(other);
    finish(&s);
    EXPECT(closed == 1);
}

TEST(an_upgrade_is_refused_when_the_server_stops)
{
    struct served s = prepare("graceful_timeout=9");
    int fds[20];
    bool seen[6] = {false};
    char head[4096];

    for (int i = 0; i < 20; i++) {
        fds[i] = reach(&s);
        say(fds[i], UPGRADE("/"));
    }
    wsk_server_stop(s.srv, -1);
    EXPECT(wsk_server_start(s.srv) == WSK_OK);
    for (int i = 0; i < 20; i++) {
        const char *field;

        EXPECT(hear_head(fds[i], head) > 0 && memcmp(head + 9, "503", 3) == 0);
        field = strstr(head, "Retry-After: ");
        EXPECT(field != NULL && field[13] >= '1' && field[13] <= '5' &&
               field[14] == '\r');
        if (field != NULL)
            seen[(field[13] - '0') % 6] = true;
        EXPECT(strstr(head, "Connection: close") != NULL);
        close(fds[i]);
    }
    EXPECT(seen[1] + seen[2] + seen[3] + seen[4] + seen[5] > 1);
    finish(&s);
}

TEST(an_upgrade_that_a_handler_has_taken_is_opened_and_closed)
{
    struct served s = start("graceful_timeout=9");
    int fd = dial(&s);

    say(fd, UPGRADE("/late"));
    EXPECT(comes_to(&inside, 1));
    wsk_server_stop(s.srv, -1);
    for (int ms = 0; ms < PATIENCE_MS && !s.srv->conns.draining; ms++)
        usleep(1000);
    atomic_store(&open_door, 1);
    EXPECT(hear_answer(fd, NULL, 0) == 101);
    EXPECT(hears_close(fd, 1001, "stop"));
    say_frame(fd, 8, "\x03\xe9", 2);
    EXPECT(hears_end(fd));
    close(fd);
    finish(&s);
}

TEST(with_a_successor_an_upgrade_is_opened_and_closed)
{
    struct served s = start("graceful_timeout=9");
    int fd = dial(&s);

    say(fd, GET("/"));
    EXPECT(hear_answer(fd, NULL, 0) == 200);
    leave(&s, true);
    for (int ms = 0; ms < PATIENCE_MS && !s.srv->conns.draining; ms++)
        usleep(1000);
    say(fd, UPGRADE("/events"));
    EXPECT(hear_answer(fd, NULL, 0) == 101);
    say_frame(fd, 8, "\x03\xe8", 2);
    for (char trash; hear_octets(fd, &trash, 1);)
        continue;
    close(fd);
    finish(&s);
    EXPECT(closed == 1 && noticed <= 1);
}

/* ------------------------------------------------------------ arithmetic -- */

static void drain_with(struct wsk__conns *conns, wsk_drain how)
{
    wsk__drain_begin(conns, &how);
}

TEST(each_part_closes_in_its_share_of_the_window)
{
    struct wsk__conns *conns = calloc(1, sizeof(*conns));
    struct wsk__conn *conn = calloc(1000, sizeof(*conn));
    wsk_server_config cfg;

    wsk_config_init(&cfg);
    conns->cfg = &cfg;
    for (uint32_t part = 0; part < 4; part++) {
        int tenths[10] = {0};
        uint64_t began;

        drain_with(conns, (wsk_drain){.ms = 30000,
                                      .spread_ms = 20000,
                                      .part = part,
                                      .parts = 4});
        began = conns->drain.began_ms;
        for (int i = 0; i < 1000; i++) {
            uint64_t due, late;

            conn[i].conns = conns;
            due = wsk__drain_close_due(&conn[i], 0) - began;
            late = wsk__drain_close_due(&conn[i], began + 1) - began;
            EXPECT(due >= 5000 * part && due < 5000 * (part + 1));
            EXPECT(late >= 18000 && late <= 20000);
            tenths[(due - 5000 * part) / 500 % 10]++;
        }
        for (int i = 0; i < 10; i++)
            EXPECT(tenths[i] > 50 && tenths[i] < 150);
    }
    free(conn);
    free(conns);
}

TEST(the_window_grows_with_the_websockets_up_to_half_of_the_time)
{
    struct wsk__conns *conns = calloc(1, sizeof(*conns));
    wsk_drain how = {.ms = WSK_AUTO_MS, .spread_ms = WSK_AUTO_MS};
    wsk_server_config cfg;

    wsk_config_init(&cfg);
    conns->cfg = &cfg;
    conns->n_websockets = 500;
    drain_with(conns, how);
    EXPECT(conns->drain.spread_ms == 2000);
    conns->n_websockets = 1000000;
    drain_with(conns, how);
    EXPECT(conns->drain.spread_ms == 15000);
    how.ms = 4000;
    drain_with(conns, how);
    EXPECT(conns->drain.spread_ms == 2000);
    cfg.ws_drain_ms = 3000;
    drain_with(conns, how);
    EXPECT(conns->drain.spread_ms == 3000);
    cfg.ws_drain_ms = 30000; /* the end comes before */
    drain_with(conns, how);
    EXPECT(conns->drain.spread_ms == 4000);
    how.spread_ms = 0;
    drain_with(conns, how);
    EXPECT(conns->drain.spread_ms == 0);
    free(conns);
}

TEST(how_long_a_connection_may_be_idle)
{
    struct wsk__conns *conns = calloc(1, sizeof(*conns));
    wsk_drain how = {.idle_ms = WSK_AUTO_MS};
    wsk_server_config cfg;
    uint64_t now;

    wsk_config_init(&cfg);
    conns->cfg = &cfg;
    drain_with(conns, how);
    now = conns->drain.began_ms;
    EXPECT(wsk__drain_idle_due(conns, now - 5000, true) == now + 100);
    EXPECT(wsk__drain_idle_due(conns, now - 5000, false) == now + 100);
    EXPECT(wsk__drain_idle_due(conns, now - 300, false) == now + 1200);
    EXPECT(wsk__drain_idle_due(conns, now + 50, true) == now + 150);
    EXPECT(wsk__drain_idle_due(conns, now + 50, false) == now + 1550);
    how.successor = true;
    drain_with(conns, how);
    now = conns->drain.began_ms;
    EXPECT(wsk__drain_idle_due(conns, now - 5000, true) == now + 5000);
    EXPECT(wsk__drain_idle_due(conns, now - 5000, false) == now + 5000);
    free(conns);
}

TEST(options_that_contradict_each_other_are_refused)
{
    wsk_server_config cfg;
    char error[160] = "";

    wsk_config_init(&cfg);
    EXPECT(wsk_config_check(&cfg, error) == WSK_OK);
    cfg.ws_drain_ms = 30000;
    EXPECT(wsk_config_check(&cfg, error) == WSK_OK);
    cfg.graceful_timeout_ms = 29500;
    EXPECT(wsk_config_check(&cfg, error) == WSK_E_ARG);
    EXPECT(strcmp(error,
                  "ws_drain (30 s) is above graceful_timeout (29.5 s), at "
                  "which WebSockets are cut off") == 0);
    EXPECT(wsk_server_new(&cfg, handler, NULL, NULL) == NULL &&
           errno == EINVAL);
    EXPECT(wsk_config_set(&cfg, "ws_stop_code", "1005", error) == WSK_E_ARG);
    EXPECT(strcmp(error, "ws_stop_code takes a close code such as 1001, 1012 "
                         "or 4000, not '1005'") == 0);
    EXPECT(wsk_config_set(&cfg, "ws_drain", "auto", error) == WSK_OK);
    EXPECT(cfg.ws_drain_ms == WSK_AUTO_MS);
    EXPECT(wsk_config_set(&cfg, "keep_alive", "auto", error) == WSK_E_ARG);
    EXPECT(wsk_config_set(&cfg, "ws_drain", "x", error) == WSK_E_ARG);
    EXPECT(strcmp(error, "ws_drain takes auto or seconds, such as 10 or 0.5, "
                         "not 'x'") == 0);
}
