/* The rights of one connection: its octets stay its own, its turn comes, its
 * pings are answered, its end is told. Order is compared, never time; a test
 * that must see an event waits for it with patience. */
#include "harness.h"

#include "client.h"
#include "net/server/server.h"

#include <pthread.h>
#include <stdatomic.h>

enum { AWAY_US = 150000 }; /* the loop reads for a handler by then */

/* A door at which one handler at a time waits until the test lets it pass. */
static struct {
    atomic_int waiting, passes;
} door;

static void wait_at_door(void)
{
    atomic_fetch_add(&door.waiting, 1);
    while (atomic_load(&door.passes) == 0)
        usleep(1000);
    atomic_fetch_sub(&door.passes, 1);
    atomic_fetch_sub(&door.waiting, 1);
}

static bool someone_waits(void)
{
    return reaches(&door.waiting, 1);
}

static void let_pass(void)
{
    atomic_fetch_add(&door.passes, 1);
}

/* ----------------------------------------------------------- handlers --- */

static void pause_for(const void *user)
{
    const unsigned *us = user;

    if (us != NULL)
        usleep(*us);
}

static void echo(wsk_request *req, const void *user)
{
    wsk_message msg;
    wsk_conn *conn;

    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) != WSK_OK)
        return;
    while (wsk_conn_receive(conn, -1, &msg) == WSK_OK) {
        pause_for(user);
        wsk_conn_send(conn, msg.opcode, msg.data, msg.len, true);
        wsk_message_free(&msg);
    }
}

/* Answers with the path, or echoes; `user`: how many us each takes. */
static void plain(wsk_request *req, void *user)
{
    wsk_str path = wsk_request_head(req)->path;

    if (wsk_request_head(req)->websocket) {
        echo(req, user);
        return;
    }
    pause_for(user);
    wsk_request_respond(req, 200, NULL, 0, path.p, path.len);
}

/* Send `n` requests on `fd`; each must get its answer. */
static void expect_answers(int fd, int n)
{
    char body[32];

    for (int i = 0; i < n && checks_failed == 0; i++) {
        EXPECT(say(fd, GET("/quick")));
        EXPECT(hear_answer(fd, body, sizeof(body)) == 200);
        EXPECT(strcmp(body, "/quick") == 0);
    }
}

/* ------------------------------------------------------------ requests --- */

/* Each packet ends with the beginning of the next head, so that a head is
 * always unfinished though none is for long (408: RFC 9110 15.5.9). */
TEST(a_host_that_is_too_long_is_refused_whoever_fills_the_configuration)
{
    static const size_t LEN[] = {255, 256, 300, 5000, 100000};

    for (size_t i = 0; i < sizeof LEN / sizeof LEN[0]; i++) {
        char *host = calloc(1, LEN[i] + 1);
        wsk_server_config cfg;
        wsk_server *srv;

        wsk_config_init(&cfg);
        cfg.log_level = "critical";
        cfg.host = memset(host, 'a', LEN[i]);
        srv = wsk_server_new(&cfg, NULL, NULL, NULL);
        EXPECT(wsk_server_listen(srv) == WSK_E_SYS);
        EXPECT(strstr(wsk_server_error(srv), "cannot listen on") != NULL);
        wsk_server_free(srv);
        free(host);
    }
}

TEST(the_head_timeout_counts_for_each_head_by_itself)
{
    static const char request[] = GET("/quick");
    struct served s = serve(plain, NULL, "head_timeout=1");
    size_t len = strlen(request);
    int fd = dial(&s);
    char packet[sizeof(request)];

    memcpy(packet, request + 3, len - 3);
    memcpy(packet + len - 3, request, 3);
    say_octets(fd, request, 3);
    for (int i = 0; i < 30 && checks_failed == 0; i++) {
        usleep(50000); /* 1.5 s in all, and no head took more than this */
        EXPECT(say_octets(fd, packet, len));
        EXPECT(hear_answer(fd, NULL, 0) == 200);
    }
    close(fd);
    wsk_server_free(s.srv);
}

/* Tries to upgrade with a field that no response may have (RFC 9110 5.5), then
 * answers from the request as if nothing had happened. */
static void fail_to_upgrade(wsk_request *req, void *user)
{
    static const wsk_header ILLEGAL = {{"X", 1}, {"a\nb", 3}};
    wsk_str path;
    wsk_conn *conn;

    if (wsk_request_upgrade(req, user, &ILLEGAL, 1, &conn) != WSK_E_ARG)
        return;
    path = wsk_request_head(req)->path;
    wsk_request_respond(req, 500, NULL, 0, path.p, path.len);
}

TEST(an_upgrade_that_fails_leaves_its_request_whole)
{
    static const char request[] = UPGRADE("/whole");
    struct served s = serve(fail_to_upgrade, NULL, NULL);
    int fd = dial(&s);
    char body[32];

    /* In two packets: the head lies in memory of its own. */
    say_octets(fd, request, 30);
    usleep(50000);
    say(fd, request + 30);
    EXPECT(hear_answer(fd, body, sizeof(body)) == 500);
    EXPECT(strcmp(body, "/whole") == 0);
    close(fd);
    wsk_server_free(s.srv);
}

TEST(an_upgrade_that_fails_forgets_its_protocol) /* LeakSanitizer looks on */
{
    struct served s = serve(fail_to_upgrade, "chat", NULL);
    int fd = dial(&s);

    say(fd, UPGRADE_WITH("/", "Sec-WebSocket-Protocol: chat\r\n"));
    EXPECT(hear_answer(fd, NULL, 0) == 500);
    EXPECT(hears_end(fd));
    close(fd);
    wsk_server_free(s.srv);
}

TEST(an_early_answer_reaches_a_client_that_still_sends) /* RFC 9112 9.6 */
{
    static const char body[2000];
    struct served s = serve(plain, NULL, "buffer_body=never");
    int fd = dial(&s);

    say(fd, "POST /early HTTP/1.1\r\nHost: x\r\n"
            "Content-Length: 2000000\r\n\r\n");
    EXPECT(hears(fd, PATIENCE_MS));
    for (int i = 0; i < 5; i++) {
        usleep(20000); /* a close would be through before the next */
        EXPECT(say_octets(fd, body, sizeof(body)));
    }
    EXPECT(hear_answer(fd, NULL, 0) == 200);
    EXPECT(hears_end(fd));
    close(fd);
    wsk_server_free(s.srv);
}

/* --------------------------------------------------------------- pings --- */

static void expect_pong(int ws)
{
    char data[126];
    size_t len = 0;

    say_frame(ws, 9, "still there?", 12);
    EXPECT(hears(ws, PATIENCE_MS) && hear_frame(ws, data, &len) == 10);
    EXPECT_OCTETS(data, len, "still there?");
}

/* A handler that is at the door does not read: its server does. */
static void expect_pong_from(wsk_handler *handler)
{
    struct served s = serve(handler, NULL, NULL);
    int ws = open_ws(&s, UPGRADE("/"));

    EXPECT(someone_waits());
    expect_pong(ws);
    let_pass();
    close(ws);
    wsk_server_free(s.srv);
}

static void poll_twice(wsk_request *req, void *user)
{
    wsk_message msg;
    wsk_conn *conn;

    (void)user;
    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) != WSK_OK)
        return;
    wsk_conn_receive(conn, 0, &msg);
    usleep(AWAY_US);
    wsk_conn_receive(conn, 0, &msg); /* takes the reading back */
    wait_at_door();
}

TEST(pings_are_answered_when_a_handler_polled_and_stays_away) /* 6455 5.5.2 */
{
    expect_pong_from(poll_twice);
}

static void upgrade_late(wsk_request *req, void *user)
{
    wsk_conn *conn;

    (void)user;
    usleep(AWAY_US);
    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) == WSK_OK)
        wait_at_door();
}

TEST(pings_are_answered_when_a_handler_upgraded_late_and_stays_away)
{
    expect_pong_from(upgrade_late);
}

enum {
    LARGE = 12 << 20,
    PIECE = 200 << 10,
    SLOWLY = 30 * PIECE, /* the rest is more than the kernel can hold */
};

/* Answers the first message with a large one, the others with themselves. */
static void send_large(wsk_request *req, void *user)
{
    static const char large[LARGE];
    wsk_message msg;
    wsk_conn *conn;

    (void)user;
    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) != WSK_OK)
        return;
    if (wsk_conn_receive(conn, -1, &msg) == WSK_OK) {
        wsk_conn_send(conn, WSK_BINARY, large, sizeof(large), true);
        wsk_message_free(&msg);
    }
    while (wsk_conn_receive(conn, -1, &msg) == WSK_OK) {
        wsk_conn_send(conn, msg.opcode, msg.data, msg.len, true);
        wsk_message_free(&msg);
    }
}

/* The server's pings wait behind the message, so a reader that takes longer
 * than their timeout cannot answer them in time; but it reads, so it lives. */
TEST(a_slow_reader_gets_its_large_message_whole_while_pings_go_on)
{
    struct served s =
        serve(send_large, NULL, "ws_ping_interval=0.1 ws_ping_timeout=0.8");
    int ws = open_ws(&s, UPGRADE("/")), little = 65536, opcode;
    char *message = malloc(LARGE), data[126];
    unsigned char head[10];
    size_t len = 0;

    setsockopt(ws, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
    say_frame(ws, 1, "go", 2);
    EXPECT(hear_octets(ws, head, sizeof(head)));
    EXPECT(memcmp(head, "\x82\x7f\0\0\0\0\0\xc0\0\0", 10) == 0);
    for (int at = 0; at < SLOWLY; at += PIECE) {
        EXPECT(hear_octets(ws, message + at, PIECE));
        usleep(50000); /* 1.5 s in all */
    }
    EXPECT(hear_octets(ws, message + SLOWLY, LARGE - SLOWLY));
    EXPECT(hear_frame(ws, data, &len) == 9);
    say_frame(ws, 10, data, len);
    say_frame(ws, 1, "alive", 5);
    while ((opcode = hear_frame(ws, data, &len)) == 9)
        say_frame(ws, 10, data, len);
    EXPECT(opcode == 1);
    EXPECT_OCTETS(data, len, "alive");
    free(message);
    close(ws);
    wsk_server_free(s.srv);
}

/* -------------------------------------------------------------- events --- */

static struct {
    _Atomic(wsk_conn *) conn;
    atomic_int connects, closes, code;
} heard;

static void on_connect(wsk_conn *conn, void *user)
{
    (void)user;
    atomic_store(&heard.conn, wsk_conn_ref(conn));
    atomic_fetch_add(&heard.connects, 1);
}

static void on_close(wsk_conn *conn, const wsk_close_info *info, void *user)
{
    (void)conn;
    (void)user;
    atomic_store(&heard.code, info->code);
    atomic_fetch_add(&heard.closes, 1);
}

static void attach(wsk_request *req, const wsk_ws_handlers *events)
{
    wsk_conn *conn;

    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) == WSK_OK)
        wsk_conn_attach(conn, events, NULL);
}

static void attach_listener(wsk_request *req, void *user)
{
    static const wsk_ws_handlers EVENTS = {.connect = on_connect,
                                           .close = on_close};

    (void)user;
    attach(req, &EVENTS);
}

/* A peer that reads nothing is given up when too much waits for it; only the
 * sender can see that, and there are no pings. */
TEST(a_close_event_comes_after_1013_without_pings)
{
    static const char much[1 << 20];
    struct served s = serve(attach_listener, NULL, "ws_ping_interval=0");
    int ws = open_ws(&s, UPGRADE("/"));
    wsk_status st = WSK_OK;

    EXPECT(reaches(&heard.connects, 1));
    for (int i = 0; i < 100 && st == WSK_OK; i++)
        st = wsk_conn_send(heard.conn, WSK_BINARY, much, sizeof(much), true);
    EXPECT(st == WSK_E_CLOSED);
    EXPECT(reaches(&heard.closes, 1));
    EXPECT(heard.code == 1006); /* the peer has sent no Close: 6455 7.1.5 */
    wsk_conn_unref(heard.conn);
    close(ws);
    wsk_server_free(s.srv);
    EXPECT(heard.closes == 1);
}

/* The length of the payload that comes next, and *first; at most 16 bits. */
static size_t hear_length(int ws, unsigned char *first)
{
    unsigned char head[4] = {0};

    EXPECT(hear_octets(ws, head, 2));
    *first = head[0];
    if (head[1] < 126)
        return head[1];
    EXPECT(head[1] == 126 && hear_octets(ws, head + 2, 2));
    return (size_t)(head[2] << 8 | head[3]);
}

/* The peer will read no more of it, but a frame that has begun, and how it
 * ended. */
TEST(what_waits_for_a_peer_that_is_given_up_is_freed_at_once)
{
    static char some[50000];
    struct served s = serve(attach_listener, NULL,
                            "memory_limit=1g ws_send_max=8m "
                            "ws_compression=off ws_ping_interval=0");
    int ws;
    wsk_status st = WSK_OK;
    unsigned char first = 0;
    size_t len;

    atomic_store(&heard.connects, 0);
    ws = open_ws(&s, UPGRADE("/"));
    EXPECT(reaches(&heard.connects, 1));
    for (int i = 0; i < 10000 && st == WSK_OK; i++) {
        len = i % 2 == 0 ? sizeof(some) : 100;
        st = wsk_conn_send(heard.conn, WSK_BINARY, some, len, true);
    }
    EXPECT(st == WSK_E_CLOSED);
    EXPECT(atomic_load(&s.srv->conns.counted) < 4 * sizeof(some));
    while ((len = hear_length(ws, &first)) > 0 && first == 0x82)
        EXPECT(hear_octets(ws, some, len));
    EXPECT(first == 0x88 && hear_octets(ws, some, 2));
    EXPECT_OCTETS(some, 2, "\x03\xf5"); /* 1013 */
    wsk_conn_unref(heard.conn);
    close(ws);
    wsk_server_free(s.srv);
}

static void echo_or_wait(wsk_conn *conn, const wsk_message *msg, void *user)
{
    (void)user;
    if (msg->len == 4 && memcmp(msg->data, "wait", 4) == 0)
        wait_at_door();
    wsk_conn_send(conn, msg->opcode, msg->data, msg->len, true);
}

static void wait_or_attach(wsk_request *req, void *user)
{
    static const wsk_ws_handlers EVENTS = {.message = echo_or_wait};

    (void)user;
    if (wsk_request_head(req)->websocket) {
        attach(req, &EVENTS);
        return;
    }
    wait_at_door();
    wsk_request_respond(req, 200, NULL, 0, NULL, 0);
}

/* In one packet, so that both are delivered in one go. */
static void say_hi_and_wait(int ws)
{
    say_octets(ws, "\x81\x82\0\0\0\0hi\x81\x84\0\0\0\0wait", 18);
}

/* Messages that callbacks send may leave together, but must not wait for a
 * callback that blocks. */
static void expect_hi_then_wait(int ws)
{
    char data[126];
    size_t len = 0;

    EXPECT(someone_waits());
    EXPECT(hear_frame(ws, data, &len) == 1);
    EXPECT_OCTETS(data, len, "hi");
    EXPECT(!hears(ws, 0));
    let_pass();
    EXPECT(hear_frame(ws, data, &len) == 1);
    EXPECT_OCTETS(data, len, "wait");
}

TEST(the_echo_of_one_event_leaves_while_the_next_callback_blocks)
{
    struct served s = serve(wait_or_attach, NULL, NULL);
    int ws = open_ws(&s, UPGRADE("/"));

    say_hi_and_wait(ws);
    expect_hi_then_wait(ws);
    close(ws);
    wsk_server_free(s.srv);
}

TEST(the_echo_of_a_queued_event_leaves_while_the_next_callback_blocks)
{
    struct served s = serve(wait_or_attach, NULL, "threads=1");
    int ws = open_ws(&s, UPGRADE("/")), fd = dial(&s);

    say(fd, GET("/"));
    EXPECT(someone_waits());
    say_hi_and_wait(ws);
    usleep(50000); /* long enough to be queued behind the only thread */
    let_pass();
    EXPECT(hear_answer(fd, NULL, 0) == 200);
    expect_hi_then_wait(ws);
    close(fd);
    close(ws);
    wsk_server_free(s.srv);
}

/* --------------------------------------------------------------- turns --- */

TEST(max_parked_holds_for_a_burst_and_http_goes_on)
{
    enum { BURST = 60, ROOM = 2 };
    struct served s = serve(plain, NULL, "threads=4 max_parked=2");
    int fd[BURST], upgraded = 0, refused = 0, quick = dial(&s);

    for (int i = 0; i < BURST; i++)
        fd[i] = dial(&s);
    for (int i = 0; i < BURST; i++)
        say(fd[i], UPGRADE("/"));
    for (int i = 0, status = 1; i < BURST && status != 0; i++) {
        status = hear_answer(fd[i], NULL, 0);
        upgraded += status == 101;
        refused += status == 503;
    }
    EXPECT(upgraded == ROOM && refused == BURST - ROOM);
    expect_answers(quick, 1);
    for (int i = 0; i < BURST; i++)
        close(fd[i]);
    close(quick);
    wsk_server_free(s.srv);
}

static atomic_bool flooding;

static void *say_without_end(void *fd)
{
    char block[100 * (sizeof(GET("/f")) - 1)];

    for (size_t at = 0; at < sizeof(block); at += sizeof(GET("/f")) - 1)
        memcpy(block + at, GET("/f"), sizeof(GET("/f")) - 1);
    while (flooding && say_octets(*(int *)fd, block, sizeof(block)))
        continue;
    return NULL;
}

static void *hear_without_end(void *fd)
{
    char trash[65536];

    while (flooding && recv(*(int *)fd, trash, sizeof(trash), 0) > 0)
        continue;
    return NULL;
}

/* Keeps eight messages on their way, so that there is always a next one. */
static void *chat_without_end(void *fd)
{
    char data[126];
    size_t len;

    for (int i = 0; i < 8; i++)
        say_frame(*(int *)fd, 1, "hi", 2);
    while (flooding && hear_frame(*(int *)fd, data, &len) == 1)
        say_frame(*(int *)fd, 1, "hi", 2);
    return NULL;
}

/* A quick request is answered again and again while each `fd` is flooded. */
static void expect_answers_beside(const struct served *s, int *fd, int n,
                                  void *(*const *flood)(void *), int floods)
{
    int quick = dial(s), threads = 0;
    pthread_t thread[32];

    expect_answers(quick, 1);
    flooding = true;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < floods; k++)
            pthread_create(&thread[threads++], NULL, flood[k], &fd[i]);
    usleep(200000); /* let them come to full strength */
    expect_answers(quick, 10);
    flooding = false;
    for (int i = 0; i < n; i++)
        shutdown(fd[i], SHUT_RDWR);
    while (threads > 0)
        pthread_join(thread[--threads], NULL);
    for (int i = 0; i < n; i++)
        close(fd[i]);
    close(quick);
}

TEST(a_client_that_pipelines_without_end_starves_nobody)
{
    static void *(*const FLOOD[])(void *) = {say_without_end, hear_without_end};
    static unsigned us = 100; /* a handler may outlast the test */
    struct served s = serve(plain, &us, NULL);
    int fd[2] = {dial(&s), dial(&s)};

    expect_answers_beside(&s, fd, 2, FLOOD, 2);
    wsk_server_free(s.srv);
}

TEST(websockets_that_always_have_a_message_leave_http_its_turn)
{
    static void *(*const FLOOD[])(void *) = {chat_without_end};
    static unsigned us = 1000; /* a handler may outlast the test */
    struct served s = serve(plain, &us, "threads=1");
    int fd[16];

    for (int i = 0; i < 16; i++)
        EXPECT((fd[i] = open_ws(&s, UPGRADE("/"))) >= 0);
    expect_answers_beside(&s, fd, 16, FLOOD, 1);
    wsk_server_free(s.srv);
}

/* ------------------------------------------------------- own octets only ---
 */

static atomic_int smuggled;

static void on_late_message(wsk_conn *conn, const wsk_message *msg, void *user)
{
    (void)conn;
    (void)msg;
    (void)user;
    usleep(200);
}

static void watch_for_smuggled(wsk_request *req, void *user)
{
    static const wsk_ws_handlers EVENTS = {.message = on_late_message};
    wsk_str path = wsk_request_head(req)->path;

    (void)user;
    if (wsk_request_head(req)->websocket) {
        attach(req, &EVENTS);
        return;
    }
    if (path.len == 9 && memcmp(path.p, "/smuggled", 9) == 0)
        atomic_fetch_add(&smuggled, 1);
    wsk_request_respond(req, 200, NULL, 0, path.p, path.len);
}

/* No chunk begins with a Z: what follows is refused unread (RFC 9112 7.1). */
static void *smuggle(void *served)
{
    while (flooding) {
        int fd = dial(served);

        say(fd, "POST /a HTTP/1.1\r\nHost: x\r\n"
                "Transfer-Encoding: chunked\r\n\r\n"
                "Z" GET("/smuggled"));
        hears_end(fd);
        close(fd);
    }
    return NULL;
}

static void *chat(void *served)
{
    int ws = open_ws(served, UPGRADE("/"));

    while (flooding && say_frame(ws, 1, "hi", 2))
        usleep(300);
    close(ws);
    return NULL;
}

static void *ask(void *served)
{
    int fd = dial(served);
    char body[32];
    long wrong = 0;

    for (int i = 0; i < 200 && wrong == 0; i++)
        wrong = !say(fd, GET("/b")) ||
                hear_answer(fd, body, sizeof(body)) != 200 ||
                strcmp(body, "/b") != 0;
    close(fd);
    return (void *)wrong;
}

/* Threads change hands all the time, and with them the buffers they read into:
 * octets that one connection left there must reach no other. */
TEST(octets_of_a_refused_request_reach_no_other_connection)
{
    enum { ASKING = 6, OTHERS = 8 };
    struct served s;
    pthread_t asking[ASKING], others[OTHERS];
    void *wrong;

    setenv("WSK_TEST_STEAL_EVERY", "3", 1);
    s = serve(watch_for_smuggled, NULL, "threads=3");
    unsetenv("WSK_TEST_STEAL_EVERY");
    flooding = true;
    for (int i = 0; i < OTHERS; i++)
        pthread_create(&others[i], NULL, i < 3 ? smuggle : chat, &s);
    for (int i = 0; i < ASKING; i++)
        pthread_create(&asking[i], NULL, ask, &s);
    for (int i = 0; i < ASKING; i++) {
        pthread_join(asking[i], &wrong);
        EXPECT(wrong == NULL);
    }
    flooding = false;
    for (int i = 0; i < OTHERS; i++)
        pthread_join(others[i], NULL);
    wsk_server_free(s.srv);
    EXPECT(smuggled == 0);
}

/* ------------------------------------------------- a refusal that waits --- */

#ifndef OVER_TLS /* where the buffers are the tunnel's */

static atomic_int answered;

static void answer_little(wsk_request *req, void *user)
{
    static const char TEXT[300];

    (void)user;
    wsk_request_respond(req, 200, NULL, 0, TEXT, sizeof(TEXT));
    atomic_fetch_add(&answered, 1);
}

/* The server's end of a connection, which stands in this process, too. */
static int other_end(int fd)
{
    struct sockaddr_in ours, peer;
    socklen_t len = sizeof(ours);

    getsockname(fd, (struct sockaddr *)&ours, &len);
    for (int i = 0; i < 64; i++) {
        len = sizeof(peer);
        if (i != fd && getpeername(i, (struct sockaddr *)&peer, &len) == 0 &&
            peer.sin_family == AF_INET && peer.sin_port == ours.sin_port)
            return i;
    }
    return -1;
}

/* A client that reads nothing, and whose kernels hold little for it. */
static int dial_small(const struct served *s)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(s->port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), small = 2048, on = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        abort();
    small = 4608;
    EXPECT(say(fd, GET("/")) && hear_answer(fd, NULL, 0) == 200);
    setsockopt(other_end(fd), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    return fd;
}

/* How many of at most n requests are answered before the answers wait. */
static int ask_in_turn(int fd, int n)
{
    for (int i = 0; i < n; i++) {
        int before = atomic_load(&answered);

        say(fd, GET("/"));
        for (int ms = 0; atomic_load(&answered) == before; ms++) {
            if (ms == 200)
                return i;
            usleep(1000);
        }
        usleep(200); /* its thread leaves, too */
    }
    return n;
}

/* The refusal stays for longer than the turn that found it, in which its head
 * was where the thread has the next one. */
TEST(a_refusal_that_waits_for_its_reader_keeps_its_own_head)
{
    struct served s = serve(answer_little, NULL, NULL);
    int first = dial_small(&s), most = ask_in_turn(first, 5000);

    EXPECT(most > 1 && most < 5000);
    /* The last of `most` waits, so a refusal in its place does. */
    for (int less = 0; less < 3 && less < most; less++) {
        int fd = dial_small(&s), other = dial(&s);

        ask_in_turn(fd, most - 1 - less);
        say(fd, "POST / HTTP/1.1\r\nHost: x\r\n"
                "Transfer-Encoding: chunked\r\n\r\nno\r\n");
        usleep(20000);
        say(other, "GET / HTTP/1.1\r\nHost:");
        usleep(20000);
        say(other, " x\r\n\r\n");
        EXPECT(hear_answer(other, NULL, 0) == 200);
        say(fd, "more"); /* a look, while it still waits */
        EXPECT(say(other, GET("/")) && hear_answer(other, NULL, 0) == 200);
        close(other);
        close(fd);
    }
    close(first);
    wsk_server_free(s.srv);
}

#endif

static wsk_server *unstarted(void)
{
    wsk_server_config cfg;

    wsk_config_init(&cfg);
    cfg.port = 0;
    cfg.access_logfile = "none";
    return wsk_server_new(&cfg, plain, NULL, NULL);
}

TEST(a_stop_before_the_start_is_remembered)
{
    for (int listens = 0; listens < 2; listens++) {
        wsk_server *srv = unstarted();

        if (listens)
            EXPECT(wsk_server_listen(srv) == WSK_OK);
        wsk_server_stop(srv, listens ? 0 : -1);
        EXPECT(wsk_server_run(srv) == WSK_OK);
        wsk_server_free(srv);
    }
}

TEST(a_server_that_can_start_has_not_begun_to_listen)
{
    wsk_server *srv = unstarted();

    EXPECT(wsk_server_can_start(srv) == WSK_OK);
    EXPECT(wsk_server_url(srv, 0) == NULL);
    EXPECT(wsk_server_port(srv) == 0);
    EXPECT(wsk_server_listen(srv) == WSK_OK);
    EXPECT(wsk_server_can_start(srv) == WSK_E_STATE);
    EXPECT(strncmp(wsk_server_address(srv, 0), "127.0.0.1:", 10) == 0);
    EXPECT(wsk_server_address(srv, 1) == NULL);
    EXPECT(wsk_server_fd(srv, 0) >= 0 && wsk_server_fd(srv, 1) == -1);
    wsk_server_free(srv);
}
