/* Too many, too slow, too large: what each limit does on both of its sides. The
 * rates themselves are tests/c/test_min_rate.c, on a clock of its own. */
#include "harness.h"

#include "client.h"
#include "net/conn/conn.h"
#include "net/conn/lock.h"
#include "net/log/limits.h"
#include "net/loop/post.h"
#include "net/mailbox/served.h"
#include "net/mailbox/stall.h"
#include "net/server/server.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

static atomic_int calls, waiting, open_door;

/* "/wait" waits for the door; "/nothing" forgets its answer; others answer at
 * once. */
static void handler(wsk_request *req, void *user)
{
    wsk_str path = wsk_request_head(req)->path;

    (void)user;
    atomic_fetch_add(&calls, 1);
    if (path.len == 5 && memcmp(path.p, "/wait", 5) == 0) {
        atomic_fetch_add(&waiting, 1);
        while (atomic_load(&open_door) == 0)
            usleep(1000);
        atomic_fetch_sub(&waiting, 1);
    }
    if (path.len == 8 && memcmp(path.p, "/nothing", 8) == 0)
        return;
    wsk_request_respond(req, 200, NULL, 0, path.p, path.len);
}

static bool one_waits(void)
{
    return reaches(&waiting, 1);
}

/* One more connection than may wait is refused, at once and politely. */
TEST(past_queue_limit_a_request_is_answered_503_with_retry_after) /* 9110 15.6.4
                                                                   */
{
    struct served s = serve(handler, NULL, "threads=1 queue_limit=3");
    int holder = dial(&s), fds[4];
    char answer[512] = "";
    ssize_t n;

    atomic_store(&open_door, 0);
    say(holder, GET("/wait"));
    EXPECT(one_waits());
    for (int i = 0; i < 3; i++) {
        fds[i] = dial(&s);
        say(fds[i], GET("/"));
        EXPECT(!hears(fds[i], 20)); /* a wait is allowed */
    }
    fds[3] = dial(&s);
    say(fds[3], GET("/"));
    EXPECT(hears(fds[3], PATIENCE_MS));
    n = recv(fds[3], answer, sizeof(answer) - 1, 0);
    EXPECT(n > 0 && strncmp(answer, "HTTP/1.1 503 ", 13) == 0);
    EXPECT(strstr(answer, "\r\nRetry-After: 1\r\n") != NULL);
    EXPECT(hears_end(fds[3]));
    atomic_store(&open_door, 1);
    EXPECT(hear_answer(holder, NULL, 0) == 200);
    for (int i = 0; i < 3; i++)
        EXPECT(hear_answer(fds[i], NULL, 0) == 200);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(holder);
    wsk_server_free(s.srv);
}

TEST(a_request_that_waits_a_second_for_a_thread_is_counted)
{
    struct served s = serve(handler, NULL, "threads=1 request_timeout=60");
    int holder = dial(&s), next = dial(&s);

    atomic_store(&open_door, 0);
    say(holder, GET("/wait"));
    EXPECT(one_waits());
    say(next, GET("/"));
    EXPECT(is_hit(&s, WSK__LIMIT_SLOTS));
    EXPECT(!hears(next, 0));
    atomic_store(&open_door, 1);
    EXPECT(hear_answer(holder, NULL, 0) == 200);
    EXPECT(hear_answer(next, NULL, 0) == 200);
    close(holder);
    close(next);
    wsk_server_free(s.srv);
}

/* Ten bodies of 100 KB begin; some are refused, the others are finished, and
 * requests that hold nothing never notice. */
TEST(past_memory_limit_those_who_hold_some_are_refused_and_others_served)
{
    static char half[50000];
    struct served s = serve(handler, NULL, "memory_limit=300k");
    int fds[10], other = dial(&s), served = 0, refused = 0;

    for (int i = 0; i < 10; i++) {
        fds[i] = dial(&s);
        say(fds[i], "POST /body HTTP/1.1\r\nHost: x\r\n"
                    "Content-Length: 100000\r\n\r\n");
        say_octets(fds[i], half, sizeof(half));
    }
    for (int i = 0; i < 10; i++) {
        EXPECT(say(other, GET("/")));
        EXPECT(hear_answer(other, NULL, 0) == 200);
        say_octets(fds[i], half, sizeof(half));
    }
    for (int i = 0; i < 10; i++) {
        int status = hear_answer(fds[i], NULL, 0);

        served += status == 200;
        refused += status == 503;
        close(fds[i]);
    }
    EXPECT(served + refused == 10);
    EXPECT(served >= 2);
    EXPECT(refused >= 1);
    close(other);
    wsk_server_free(s.srv);
}

TEST(below_memory_limit_nobody_is)
{
    static char body[100000];
    struct served s = serve(handler, NULL, "memory_limit=3m");
    int fds[10];

    for (int i = 0; i < 10; i++) {
        fds[i] = dial(&s);
        say(fds[i], "POST /body HTTP/1.1\r\nHost: x\r\n"
                    "Content-Length: 100000\r\n\r\n");
        say_octets(fds[i], body, sizeof(body));
    }
    for (int i = 0; i < 10; i++) {
        EXPECT(hear_answer(fds[i], NULL, 0) == 200);
        close(fds[i]);
    }
    wsk_server_free(s.srv);
}

/* The block that a busy server lends to the head of a request is not the
 * request's: here its connection waits, and another is served meanwhile. */
TEST(a_request_that_waits_for_memory_is_the_same_afterwards)
{
    struct served s = serve(handler, NULL, "memory_limit=1m");
    char body[64] = "";
    int status = 503; /* a busy machine may take longer than its patience */

    for (int tries = 0; tries < 20 && status == 503; tries++) {
        int fd = dial(&s), other = dial(&s);

        atomic_fetch_add(&s.srv->conns.counted, 2 << 20);
        say(fd, GET("/first") "POST /second HTTP/1.1\r\nHost: x\r\n"
                              "Content-Length: 2\r\n\r\nb");
        EXPECT(hear_answer(fd, body, sizeof(body)) == 200);
        say(other, GET("/other"));
        EXPECT(hear_answer(other, body, sizeof(body)) == 200);
        atomic_fetch_sub(&s.srv->conns.counted, 2 << 20);
        say(fd, "b");
        status = hear_answer(fd, body, sizeof(body));
        close(fd);
        close(other);
    }
    EXPECT(status == 200);
    EXPECT(strcmp(body, "/second") == 0);
    wsk_server_free(s.srv);
}

/* ---------------------------------------------------------- WebSockets --- */

static void echo_event(wsk_conn *conn, const wsk_message *msg, void *user)
{
    (void)user;
    wsk_conn_send(conn, msg->opcode, msg->data, msg->len, true);
}

static void echo_blocking(wsk_conn *conn)
{
    wsk_message msg;

    while (wsk_conn_receive(conn, -1, &msg) == WSK_OK) {
        wsk_conn_send(conn, msg.opcode, msg.data, msg.len, true);
        if (wsk_conn_is_full(conn))
            wsk_conn_drain(conn, -1);
        wsk_message_free(&msg);
    }
}

/* "/wait" waits for the door, and then sends all back; "/" echoes at once, in a
 * handler or, if `user` says so, in events. */
static void echo(wsk_request *req, void *user)
{
    static const wsk_ws_handlers on = {.message = echo_event};
    wsk_str path = wsk_request_head(req)->path;
    bool waits = path.len > 1;
    wsk_conn *conn;

    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) != WSK_OK)
        return;
    if (user != NULL && !waits) {
        wsk_conn_attach(conn, &on, NULL);
        return;
    }
    while (waits && atomic_load(&open_door) == 0)
        usleep(1000);
    echo_blocking(conn);
}

enum { MESSAGE = 100000, BEGUN = 60000 };

/* The header of a masked frame of `len` octets, 126..65535 or more, and `n` of
 * them; the mask is zero. */
static void say_some(int fd, size_t len, size_t n)
{
    static const char octets[MESSAGE];
    unsigned char head[14] = {0x82, 0xff};

    for (int i = 0; i < 8; i++)
        head[2 + i] = (unsigned char)(len >> (56 - 8 * i));
    if (len > 65535) {
        say_octets(fd, head, 14);
    } else {
        unsigned char shorter[8] = {0x82, 0xfe, head[8], head[9]};

        say_octets(fd, shorter, 8);
    }
    say_octets(fd, octets, n);
}

/* Messages of `len` come back whole: n of them. */
static bool hears_messages(int fd, int n, size_t len)
{
    static char octets[MESSAGE];
    unsigned char head[10];

    for (; n > 0; n--)
        if (!hear_octets(fd, head, len > 65535 ? 10 : 4) || head[0] != 0x82 ||
            !hear_octets(fd, octets, len))
            return false;
    return true;
}

static int close_code(int fd)
{
    char data[126] = "";
    size_t len = 0;

    if (hear_frame(fd, data, &len) != 8 || len < 2)
        return -1;
    return (unsigned char)data[0] << 8 | (unsigned char)data[1];
}

/* True if a Close comes next. */
static bool hears_close(int fd)
{
    unsigned char first = 0;

    return hears(fd, PATIENCE_MS) && recv(fd, &first, 1, MSG_PEEK) == 1 &&
           first == 0x88;
}

static void await_held(const struct served *s, size_t octets)
{
    for (int ms = 0;
         ms < PATIENCE_MS && atomic_load(&s->srv->conns.counted) < octets; ms++)
        usleep(1000);
}

static bool nothing_is_held(const struct served *s)
{
    for (int ms = 0;
         ms < PATIENCE_MS && atomic_load(&s->srv->conns.counted) != 0; ms++)
        usleep(1000);
    return atomic_load(&s->srv->conns.counted) == 0;
}

/* Ten messages of 100 KB begin and do not go on; some are refused, the others
 * become whole, and short messages never notice. */
static void begin_messages(void *user)
{
    struct served s = serve(echo, user, "memory_limit=500k");
    int fds[10], other = open_ws(&s, UPGRADE("/")), whole = 0, refused = 0;
    char data[126];
    size_t len = 0;

    for (int i = 0; i < 10; i++)
        fds[i] = open_ws(&s, UPGRADE("/"));
    for (int i = 0; i < 10; i++)
        say_some(fds[i], MESSAGE, BEGUN);
    while (!hears(fds[0], 0) && atomic_load(&s.srv->conns.counted) > 500000) {
        say_frame(other, 1, "short", 5);
        EXPECT(hear_frame(other, data, &len) == 1);
        usleep(10000);
    }
    for (int i = 0; i < 10; i++) {
        if (!hears(fds[i], 200))
            say_octets(fds[i], (const char[MESSAGE]){0}, MESSAGE - BEGUN);
        /* The messages of the others may have been too much for this one. */
        if (hears_close(fds[i])) {
            EXPECT(close_code(fds[i]) == 1013);
            refused++;
        } else {
            whole += hears_messages(fds[i], 1, MESSAGE);
        }
        close(fds[i]);
    }
    EXPECT(whole + refused == 10);
    EXPECT(whole >= 2);
    EXPECT(refused >= 1);
    EXPECT(nothing_is_held(&s));
    close(other);
    wsk_server_free(s.srv);
}

TEST(past_memory_limit_messages_that_do_not_become_whole_end_with_1013)
{
    begin_messages(&open_door); /* in events */
}

TEST(past_memory_limit_the_same_goes_for_handlers_that_wait)
{
    begin_messages(NULL);
}

TEST(below_memory_limit_every_message_becomes_whole)
{
    struct served s = serve(echo, &open_door, "memory_limit=10m");
    int fds[10];

    for (int i = 0; i < 10; i++) {
        fds[i] = open_ws(&s, UPGRADE("/"));
        say_some(fds[i], MESSAGE, BEGUN);
    }
    EXPECT(!hears(fds[0], 700));
    for (int i = 0; i < 10; i++) {
        say_octets(fds[i], (const char[MESSAGE]){0}, MESSAGE - BEGUN);
        EXPECT(hears_messages(fds[i], 1, MESSAGE));
        close(fds[i]);
    }
    EXPECT(nothing_is_held(&s));
    wsk_server_free(s.srv);
}

static void *say_many(void *fd)
{
    for (int i = 0; i < 200; i++)
        say_some(*(int *)fd, 50000, 50000);
    return NULL;
}

/* Messages wait for a handler that is away: reading pauses, and no peer is
 * closed, for it is not the peer's fault. */
TEST(past_memory_limit_a_full_mailbox_is_read_no_further_and_nothing_is_lost)
{
    struct served s = serve(echo, NULL, "memory_limit=300k ws_max_queue=1000");
    pthread_t client;
    int fd;

    atomic_store(&open_door, 0);
    fd = open_ws(&s, UPGRADE("/wait"));
    pthread_create(&client, NULL, say_many, &fd);
    await_held(&s, 300000);
    EXPECT(!hears(fd, 1000)); /* longer than what a peer is given */
    EXPECT(atomic_load(&s.srv->conns.counted) < 700000);
    atomic_store(&open_door, 1);
    EXPECT(hears_messages(fd, 200, 50000));
    pthread_join(client, NULL);
    EXPECT(nothing_is_held(&s));
    close(fd);
    wsk_server_free(s.srv);
}

/* Both the queue of a slow reader and what its handler holds are given back. */
TEST(what_a_slow_reader_has_read_is_held_no_longer)
{
    struct served s = serve(echo, NULL, "memory_limit=100m");
    int fd = open_ws(&s, UPGRADE("/"));
    pthread_t client;

    pthread_create(&client, NULL, say_many, &fd);
    await_held(&s, 1048576);
    EXPECT(atomic_load(&s.srv->conns.counted) >= 1048576); /* ws_send_limit */
    EXPECT(hears_messages(fd, 200, 50000));
    pthread_join(client, NULL);
    EXPECT(nothing_is_held(&s));
    close(fd);
    wsk_server_free(s.srv);
}

/* Asks for more than it reads, until it is read no further and given up; others
 * are not. */
TEST(past_memory_limit_who_does_not_read_is_closed_with_1013)
{
    struct served s =
        serve(echo, &open_door, "memory_limit=200k ws_send_limit=100m");
    int fd = open_ws(&s, UPGRADE("/")), other = open_ws(&s, UPGRADE("/"));
    unsigned char head[4];
    char data[126];
    int got = 0;
    size_t len = 0, at = 0;

    fcntl(fd, F_SETFL, O_NONBLOCK);
    /* The echo of what it has read already may be too much by itself. */
    while (atomic_load(&s.srv->conns.counted) <= 200000 &&
           limit_count(&s, WSK__LIMIT_WS_MEMORY) == 0) {
        static const char one[8 + 50000] = {(char)0x82, (char)0xfe, (char)0xc3,
                                            0x50};
        ssize_t n = send(fd, one + at, sizeof(one) - at, MSG_NOSIGNAL);

        if (n > 0)
            at = (at + (size_t)n) % sizeof(one);
        else
            usleep(1000);
    }
    EXPECT(atomic_load(&s.srv->conns.counted) < 700000);
    say_frame(other, 1, "short", 5);
    EXPECT(hear_frame(other, data, &len) == 1);
    usleep(1500000); /* more than it is given */
    fcntl(fd, F_SETFL, 0);
    while (hear_octets(fd, head, 4) && head[0] == 0x82) {
        static char octets[50000];

        EXPECT(hear_octets(fd, octets, sizeof(octets)));
        got++;
    }
    EXPECT(got > 0);
    EXPECT(head[0] == 0x88 && (head[2] << 8 | head[3]) == 1013);
    EXPECT(nothing_is_held(&s));
    close(fd);
    close(other);
    wsk_server_free(s.srv);
}

/* A handshake is not the peer's fault, so that others have the same patience to
 * give memory back; but what takes more is not begun. */
TEST(past_memory_limit_a_handshake_is_answered_503_with_retry_after)
{
    struct served s = serve(echo, NULL, "memory_limit=1m");
    int fd = dial(&s), other;
    char answer[512] = "";

    atomic_fetch_add(&s.srv->conns.counted, 2 << 20);
    say(fd, UPGRADE("/"));
    EXPECT(hears(fd, PATIENCE_MS));
    EXPECT(recv(fd, answer, sizeof(answer) - 1, 0) > 0);
    EXPECT(strncmp(answer, "HTTP/1.1 503 ", 13) == 0);
    EXPECT(strstr(answer, "\r\nRetry-After: 1\r\n") != NULL);
    EXPECT(hears_end(fd));
    atomic_fetch_sub(&s.srv->conns.counted, 2 << 20);
    other = open_ws(&s, UPGRADE("/"));
    EXPECT(other >= 0);
    EXPECT(nothing_is_held(&s));
    close(fd);
    close(other);
    wsk_server_free(s.srv);
}

/* Memory that WebSockets keep for good: they may have a half, and others the
 * rest. */
TEST(the_heads_of_websockets_count_and_leave_a_half_to_others)
{
    static char fat[60000];
    struct served s = serve(echo, &open_door, "memory_limit=1m");
    int fds[20], n = 0, other, status = 101;

    memset(fat, 'b', sizeof(fat) - 1);
    while (n < 20 && status == 101) {
        fds[n] = dial(&s);
        say(fds[n], "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-A: ");
        say(fds[n], fat);
        say(fds[n], "\r\n\r\n");
        status = hear_answer(fds[n++], NULL, 0);
    }
    EXPECT(status == 503);
    EXPECT(n - 1 == 9); /* 512 KiB of them, and the one that passed that */
    EXPECT(nothing_is_held(&s));
    other = dial(&s);
    say(other, "POST /plain HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nb");
    usleep(20000);
    say(other, "b");
    EXPECT(hear_answer(other, NULL, 0) > 0); /* any answer will do */
    EXPECT(limit_count(&s, WSK__LIMIT_MEMORY) == 1);
    close(other);
    for (int i = 0; i < n; i++)
        close(fds[i]);
    for (int ms = 0; ms < PATIENCE_MS && atomic_load(&s.srv->conns.heads) != 0;
         ms++)
        usleep(1000);
    EXPECT(atomic_load(&s.srv->conns.heads) == 0);
    other = open_ws(&s, UPGRADE("/"));
    EXPECT(other >= 0);
    close(other);
    wsk_server_free(s.srv);
}

/* The table of docs/internals/websocket.md. */
TEST(an_idle_websocket_is_no_larger_than_documented)
{
    if (sizeof(void *) != 8)
        return;
    EXPECT(sizeof(struct wsk__conn) <= 168);
    EXPECT(sizeof(struct wsk__served) <= 352);
    EXPECT(sizeof(struct wsk_ws) <= 144);
}

/* The first look has found a message that is not whole. */
static bool is_arriving(const struct served *s)
{
    struct wsk__conn *conn = s->srv->conns.resting.oldest;
    bool arriving = false;

    for (int ms = 0; ms < PATIENCE_MS && !arriving; ms++) {
        usleep(1000);
        wsk__conn_lock(conn);
        if (conn->ws != NULL && wsk__ws_in_message(&conn->ws->engine) &&
            conn->ws->paused_ms == 0) {
            wsk__ws_arrival_due_locked(conn, true);
            arriving = conn->ws->arriving;
        }
        wsk__conn_unlock(conn);
    }
    return arriving;
}

/* As if the grace and some more had passed. */
static void let_time_pass(const struct served *s)
{
    struct wsk__conn *conn = s->srv->conns.resting.oldest;

    wsk__conn_lock(conn);
    conn->ws->arrival.due_us = 1;
    wsk__conn_post(conn, WSK__POST_LOOK);
    wsk__conn_unlock(conn);
}

/* Two fragments that do not end, and a ping, which is answered and counts for
 * nothing. */
static void trickle(void *user, const char *options)
{
    struct served s = serve(echo, user, options);
    int fd = open_ws(&s, UPGRADE("/"));
    char data[126] = "";
    size_t len = 0;

    say_octets(fd, "\x01\x82\0\0\0\0ab", 8);
    EXPECT(is_arriving(&s));
    say_octets(fd, "\x00\x81\0\0\0\0c", 7);
    say_frame(fd, 9, "ping", 4);
    EXPECT(hear_frame(fd, data, &len) == 10);
    EXPECT(!hears(fd, 20));
    let_time_pass(&s);
    EXPECT(close_code(fd) == 1008);
    EXPECT(limit_count(&s, WSK__LIMIT_WS_RATE) == 1);
    EXPECT(nothing_is_held(&s));
    close(fd);
    wsk_server_free(s.srv);
}

TEST(a_message_that_trickles_ends_with_1008)
{
    trickle(&open_door, "");
    trickle(&open_door, "ws_ping_interval=0");
}

TEST(a_handler_that_waits_for_it_is_told_so)
{
    trickle(NULL, "");
    trickle(NULL, "ws_ping_interval=0");
}

TEST(the_leader_is_told_of_a_message_where_no_ping_makes_it_look)
{
    struct served s = serve(echo, NULL, "ws_ping_interval=0");
    struct wsk__conn *conn;
    int fd = open_ws(&s, UPGRADE("/"));
    bool armed = false;

    conn = s.srv->conns.resting.oldest;
    say_octets(fd, "\x01\x82\0\0\0\0ab", 8);
    for (int ms = 0; ms < PATIENCE_MS && !armed; ms++) {
        usleep(1000);
        wsk__conn_lock(conn);
        armed = conn->ws != NULL && conn->ws->arriving;
        wsk__conn_unlock(conn);
    }
    EXPECT(armed);
    close(fd);
    wsk_server_free(s.srv);
}

TEST(a_message_that_becomes_whole_is_late_no_more)
{
    struct served s = serve(echo, &open_door, "");
    int fd = open_ws(&s, UPGRADE("/"));
    char data[126] = "";
    size_t len = 0;

    for (int i = 0; i < 3; i++) {
        say_octets(fd, "\x01\x82\0\0\0\0ab", 8);
        EXPECT(is_arriving(&s));
        say_octets(fd, "\x80\x81\0\0\0\0c", 7);
        EXPECT(hear_frame(fd, data, &len) == 1 && len == 3);
        let_time_pass(&s);
        EXPECT(!hears(fd, 20));
    }
    close(fd);
    wsk_server_free(s.srv);
}

TEST(without_a_least_rate_a_message_comes_as_it_likes)
{
    struct served s = serve(echo, &open_door, "body_rate=0");
    int fd = open_ws(&s, UPGRADE("/"));
    char data[126] = "";
    size_t len = 0;

    say_octets(fd, "\x01\x82\0\0\0\0ab", 8);
    EXPECT(is_arriving(&s));
    let_time_pass(&s);
    EXPECT(!hears(fd, 20));
    say_octets(fd, "\x80\x81\0\0\0\0c", 7);
    EXPECT(hear_frame(fd, data, &len) == 1 && len == 3);
    close(fd);
    wsk_server_free(s.srv);
}

/* A peer that is not read from is not late: that time is given back. */
TEST(time_in_which_nobody_reads_a_message_is_not_its_peers)
{
    struct served s = serve(echo, &open_door, "");
    struct wsk__conn *conn;
    int fd = open_ws(&s, UPGRADE("/"));
    uint64_t due, later;

    conn = s.srv->conns.resting.oldest;
    say_octets(fd, "\x01\x82\0\0\0\0ab", 8);
    EXPECT(is_arriving(&s));
    wsk__conn_lock(conn);
    due = wsk__ws_arrival_due_locked(conn, true);
    EXPECT(wsk__ws_arrival_due_locked(conn, false) == UINT64_MAX);
    usleep(30000);
    later = wsk__ws_arrival_due_locked(conn, true);
    wsk__conn_unlock(conn);
    EXPECT(later > due && later < due + 10000); /* the clock has ticks */
    close(fd);
    wsk_server_free(s.srv);
}

TEST(memory_has_a_bound_by_default)
{
    struct served s = serve(handler, NULL, NULL);
    wsk_server_config cfg;
    char error[160];

    EXPECT(s.srv->cfg.memory_limit >= 1 << 20);
    EXPECT(s.srv->cfg.memory_limit != WSK_AUTO);
    wsk_server_free(s.srv);
    wsk_config_init(&cfg);
    EXPECT(cfg.memory_limit == WSK_AUTO);
    EXPECT(wsk_config_set(&cfg, "memory_limit", "0", error) == WSK_OK);
    EXPECT(cfg.memory_limit == 0);
    EXPECT(wsk_config_set(&cfg, "memory_limit", "auto", error) == WSK_OK);
    EXPECT(cfg.memory_limit == WSK_AUTO);
    EXPECT(wsk_config_set(&cfg, "max_body", "auto", error) == WSK_E_ARG);
    EXPECT(wsk_config_set(&cfg, "memory_limit", "a", error) == WSK_E_ARG);
    EXPECT(strcmp(error, "memory_limit takes auto or octets, such as 65536, "
                         "64k, 1m or 2g, not 'a'") == 0);
}

TEST(a_handshake_that_waits_for_memory_is_a_websocket_once_there_is_some)
{
    struct served s = serve(echo, &open_door, "memory_limit=1m");
    char data[126] = "";
    size_t len = 0;
    int status = 503; /* a busy machine may take longer than its patience */

    for (int tries = 0; tries < 20 && status == 503; tries++) {
        int fd = dial(&s);

        atomic_fetch_add(&s.srv->conns.counted, 2 << 20);
        say(fd, UPGRADE("/"));
        say_frame(fd, 1, "early", 5);
        hears(fd, 50);
        atomic_fetch_sub(&s.srv->conns.counted, 2 << 20);
        status = hear_answer(fd, NULL, 0);
        EXPECT(status == 503 || hear_frame(fd, data, &len) == 1);
        close(fd);
    }
    EXPECT(status == 101);
    EXPECT(strcmp(data, "early") == 0);
    wsk_server_free(s.srv);
}

TEST(past_max_parked_a_handshake_is_answered_503_with_retry_after)
{
    struct served s = serve(echo, NULL, "max_parked=1");
    int fd = open_ws(&s, UPGRADE("/")), other = dial(&s);
    char answer[512] = "";

    say(other, UPGRADE("/"));
    EXPECT(hears(other, PATIENCE_MS));
    EXPECT(recv(other, answer, sizeof(answer) - 1, 0) > 0);
    EXPECT(strncmp(answer, "HTTP/1.1 503 ", 13) == 0);
    EXPECT(strstr(answer, "\r\nRetry-After: 1\r\n") != NULL);
    close(fd);
    close(other);
    wsk_server_free(s.srv);
}

TEST(a_handler_that_takes_too_long_does_not_keep_its_client)
{
    struct served s = serve(handler, NULL, "request_timeout=0.2");
    int fd = dial(&s), quick = dial(&s);

    atomic_store(&open_door, 0);
    say(fd, GET("/wait"));
    EXPECT(one_waits());
    EXPECT(hear_answer(fd, NULL, 0) == 503);
    EXPECT(hears_end(fd));
    EXPECT(say(quick, GET("/")));
    EXPECT(hear_answer(quick, NULL, 0) == 200);
    atomic_store(&open_door, 1);
    close(fd);
    close(quick);
    wsk_server_free(s.srv);
}

TEST(a_head_that_takes_too_long_is_told_so_without_a_body) /* 9110 9.3.2 */
{
    struct served s = serve(handler, NULL, "request_timeout=0.2");
    int fd = dial(&s);
    char answer[512] = "";
    size_t n;

    atomic_store(&open_door, 0);
    say(fd, "HEAD /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL) > 0);
    n = strlen(answer);
    EXPECT(strncmp(answer, "HTTP/1.1 503 ", 13) == 0);
    EXPECT(n > 4 && strcmp(answer + n - 4, "\r\n\r\n") == 0);
    atomic_store(&open_door, 1);
    close(fd);
    wsk_server_free(s.srv);
}

/* Begins an answer of 10 octets, and waits with the rest. */
static void begin_and_wait(wsk_request *req, void *user)
{
    (void)user;
    wsk_request_start(req, 200, NULL, NULL, 0, 10);
    wsk_request_write(req, "12345", 5);
    wsk_request_flush(req);
    atomic_fetch_add(&waiting, 1);
    while (atomic_load(&open_door) == 0)
        usleep(1000);
    atomic_fetch_sub(&waiting, 1);
    wsk_request_write(req, "67890", 5);
}

/* The client was told; no one is left for whom to do the work. */
TEST(a_request_that_timed_out_in_the_queue_is_not_called_any_more)
{
    struct served s = serve(handler, NULL, "threads=1 request_timeout=0.2");
    int holder = dial(&s), queued = dial(&s), after = dial(&s);

    atomic_store(&open_door, 0);
    atomic_store(&calls, 0);
    say(holder, GET("/wait"));
    EXPECT(one_waits());
    say(queued, GET("/queued"));
    EXPECT(hear_answer(queued, NULL, 0) == 503);
    EXPECT(hears_end(queued));
    atomic_store(&open_door, 1);
    EXPECT(hear_answer(holder, NULL, 0) == 503);
    EXPECT(say(after, GET("/after"))); /* the queue keeps its order */
    EXPECT(hear_answer(after, NULL, 0) == 200);
    EXPECT(atomic_load(&calls) == 2);
    close(holder);
    close(queued);
    close(after);
    wsk_server_free(s.srv);
}

/* The leader has seen what happened before. */
static void let_the_leader_look(const struct served *s)
{
    int fd = dial(s);

    EXPECT(say(fd, "nonsense\r\n\r\n"));
    EXPECT(hear_answer(fd, NULL, 0) == 400); /* needs no thread */
    close(fd);
}

TEST(a_request_whose_client_resets_while_it_waits_is_not_called)
{
    static const struct linger RESET = {.l_onoff = 1};
    struct served s = serve(handler, NULL, "threads=1");
    int holder = dial(&s), queued = dial(&s), after = dial(&s);

    atomic_store(&open_door, 0);
    atomic_store(&calls, 0);
    say(holder, GET("/wait"));
    EXPECT(one_waits());
    say(queued, GET("/queued") GET("/pipelined"));
    let_the_leader_look(&s);
    setsockopt(queued, SOL_SOCKET, SO_LINGER, &RESET, sizeof(RESET));
    close(queued);
    let_the_leader_look(&s);
    EXPECT(say(after, GET("/after")));
    atomic_store(&open_door, 1);
    EXPECT(hear_answer(holder, NULL, 0) == 200);
    EXPECT(hear_answer(after, NULL, 0) == 200);
    EXPECT(atomic_load(&calls) == 2);
    close(holder);
    close(after);
    wsk_server_free(s.srv);
}

TEST(one_that_only_says_it_sends_no_more_is) /* 9112 9.6 */
{
    struct served s = serve(handler, NULL, "threads=1");
    int holder = dial(&s), queued = dial(&s);

    atomic_store(&open_door, 0);
    say(holder, GET("/wait"));
    EXPECT(one_waits());
    say(queued, GET("/queued"));
    shutdown(queued, SHUT_WR);
    let_the_leader_look(&s);
    atomic_store(&open_door, 1);
    EXPECT(hear_answer(holder, NULL, 0) == 200);
    EXPECT(hear_answer(queued, NULL, 0) == 200);
    close(holder);
    close(queued);
    wsk_server_free(s.srv);
}

TEST(a_handler_without_an_answer_is_a_500_that_closes)
{
    struct served s = serve(handler, NULL, NULL);
    char answer[512] = "";
    int fd = dial(&s);

    say(fd, GET("/nothing"));
    EXPECT(recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL) > 0);
    EXPECT(strncmp(answer, "HTTP/1.1 500 ", 13) == 0);
    EXPECT(strstr(answer, "\r\nDate: ") != NULL);
    EXPECT(strstr(answer, "\r\nContent-Length: 22\r\n") != NULL);
    EXPECT(strstr(answer, "\r\nConnection: close\r\n") != NULL);
    EXPECT(strstr(answer, "\r\n\r\nInternal Server Error\n") != NULL);
    close(fd);
    wsk_server_free(s.srv);
}

TEST(an_answer_that_has_begun_by_then_is_cut)
{
    struct served s = serve(begin_and_wait, NULL, "request_timeout=0.2");
    int fd = dial(&s);
    char body[16] = "";

    atomic_store(&open_door, 0);
    say(fd, GET("/"));
    EXPECT(hear_answer(fd, body, sizeof(body)) == 0); /* ends too early */
    EXPECT(strcmp(body, "12345") == 0);
    atomic_store(&open_door, 1);
    close(fd);
    wsk_server_free(s.srv);
}

TEST(without_a_least_rate_a_body_comes_as_it_likes)
{
    struct served s = serve(handler, NULL, "body_rate=0 write_rate=0");
    int fd = dial(&s);

    say(fd, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        usleep(50000);
        say(fd, "b");
    }
    EXPECT(hear_answer(fd, NULL, 0) == 200);
    close(fd);
    wsk_server_free(s.srv);
}

enum { LARGE = 32 << 20 };

static void send_much(wsk_request *req, void *user)
{
    static const char piece[65536];

    if (wsk_request_head(req)->has_length) {
        handler(req, user);
        return;
    }
    wsk_request_start(req, 200, NULL, NULL, 0, LARGE);
    for (int i = 0; i < LARGE / 65536; i++)
        if (wsk_request_write(req, piece, sizeof(piece)) != WSK_OK)
            return;
}

/* RFC 9110 15.5.9. Both at once, since each takes the grace of ten seconds; and
 * a third, who is as slow but fast enough. */
TEST(a_body_that_does_not_come_is_408_and_a_reader_who_does_not_read_is_left)
{
    static const char post[] =
        "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n";
    struct served s = serve(send_much, NULL, "threads=1 write_rate=1g");
    int slow = dial(&s), reader = dial(&s), fair = dial(&s);
    char trash[65536] = "";
    size_t got = 0;
    ssize_t n;

    say(reader, GET("/"));
    say(slow, post);
    say(fair, post);
    for (int i = 0; i < 300 && !hears(slow, 50); i++)
        say_octets(fair, trash, 240);
    EXPECT(hear_answer(slow, NULL, 0) == 408);
    EXPECT(hears_end(slow));
    EXPECT(!hears(fair, 0));
    sleep(3); /* the reader's deadline is as near, for a busy machine too */
    while ((n = recv(reader, trash, sizeof(trash), 0)) > 0)
        got += (size_t)n;
    EXPECT(got > 0 && got < LARGE);
    close(slow);
    close(reader);
    close(fair);
    wsk_server_free(s.srv);
}
