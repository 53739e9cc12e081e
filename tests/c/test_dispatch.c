/* Dispatch: no handler may delay another connection, even if it blocks. Order
 * is compared, never time: a request that must not wait is seen to be answered
 * while the other is still held back. */
#include "harness.h"

#include "client.h"
#include "net/dispatch/lock.h"
#include "net/server/server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* A door that a handler waits at until the test opens it. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int waiting;
    bool open;
} door = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false};

static void door_set(bool open)
{
    pthread_mutex_lock(&door.lock);
    door.open = open;
    pthread_cond_broadcast(&door.moved);
    pthread_mutex_unlock(&door.lock);
}

static void wait_at_door(void)
{
    pthread_mutex_lock(&door.lock);
    door.waiting++;
    pthread_cond_broadcast(&door.moved);
    while (!door.open)
        pthread_cond_wait(&door.moved, &door.lock);
    door.waiting--;
    pthread_mutex_unlock(&door.lock);
}

static void await_waiting(int n)
{
    pthread_mutex_lock(&door.lock);
    while (door.waiting < n)
        pthread_cond_wait(&door.moved, &door.lock);
    pthread_mutex_unlock(&door.lock);
}

static atomic_bool spinning;

static void spin(void)
{
    while (atomic_load(&spinning))
        continue;
}

static void echo_blocking(wsk_request *req)
{
    wsk_message msg;
    wsk_conn *conn;

    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) != WSK_OK)
        return;
    while (wsk_conn_receive(conn, -1, &msg) == WSK_OK) {
        if (msg.len == 4 && memcmp(msg.data, "wait", 4) == 0)
            wait_at_door();
        wsk_conn_send(conn, msg.opcode, msg.data, msg.len, true);
        wsk_message_free(&msg);
    }
}

static void handler(wsk_request *req, void *user)
{
    wsk_str path = wsk_request_head(req)->path;

    (void)user;
    if (wsk_request_head(req)->websocket) {
        echo_blocking(req);
        return;
    }
    if (path.len == 5 && memcmp(path.p, "/wait", 5) == 0)
        wait_at_door();
    if (path.len == 5 && memcmp(path.p, "/spin", 5) == 0)
        spin();
    wsk_request_respond(req, 200, NULL, 0, path.p, path.len);
}

static void expect_answers(const struct served *s, int n)
{
    int fd = dial(s);
    char body[32];

    for (int i = 0; i < n; i++) {
        EXPECT(say(fd, GET("/quick")));
        EXPECT(hear_answer(fd, body, sizeof(body)) == 200);
        EXPECT(strcmp(body, "/quick") == 0);
    }
    close(fd);
}

static void expect_answers_beside_one_that_waits(const struct served *s,
                                                 int slow)
{
    char body[32];

    door_set(false);
    say(slow, GET("/wait"));
    await_waiting(1);
    expect_answers(s, 50);
    EXPECT(!hears(slow, 0));
    door_set(true);
    EXPECT(hear_answer(slow, body, sizeof(body)) == 200);
    close(slow);
}

TEST(a_handler_that_waits_delays_no_other_connection)
{
    struct served s = serve(handler, NULL, NULL);
    int slow = dial(&s);

    expect_answers_beside_one_that_waits(&s, slow);
    wsk_server_free(s.srv);
}

TEST(a_handler_that_computes_delays_no_other_connection)
{
    struct served s = serve(handler, NULL, NULL);
    int slow = dial(&s);

    atomic_store(&spinning, true);
    say(slow, GET("/spin"));
    expect_answers(&s, 50);
    EXPECT(!hears(slow, 0));
    atomic_store(&spinning, false);
    EXPECT(hear_answer(slow, NULL, 0) == 200);
    close(slow);
    wsk_server_free(s.srv);
}

TEST(a_late_handler_is_noticed_after_a_long_stretch_of_quick_ones)
{
    struct served s = serve(handler, NULL, NULL);
    struct timespec pause = {.tv_nsec = 1000000};
    int slow = dial(&s);

    /* Without a rest of 10 ms, for longer than the monitor takes to relax. */
    for (int i = 0; i < 300; i++) {
        expect_answers(&s, 1);
        nanosleep(&pause, NULL);
    }
    expect_answers_beside_one_that_waits(&s, slow);
    wsk_server_free(s.srv);
}

TEST(what_was_read_in_one_batch_with_a_slow_request_is_answered)
{
    struct served s = serve(handler, NULL, NULL);
    int fds[40];
    char body[32];

    door_set(false);
    for (int i = 0; i < 40; i++)
        fds[i] = dial(&s);
    for (int i = 0; i < 40; i++)
        say(fds[i], i % 10 == 0 ? GET("/wait") : GET("/quick"));
    for (int i = 0; i < 40; i++)
        if (i % 10 != 0)
            EXPECT(hear_answer(fds[i], body, sizeof(body)) == 200);
    await_waiting(4);
    door_set(true);
    for (int i = 0; i < 40; i++) {
        if (i % 10 == 0)
            EXPECT(hear_answer(fds[i], body, sizeof(body)) == 200);
        close(fds[i]);
    }
    wsk_server_free(s.srv);
}

TEST(one_thread_is_enough_beside_open_websockets)
{
    struct served s = serve(handler, NULL, "threads=1");
    int ws[5];
    char data[126];
    size_t len = 0;

    for (int i = 0; i < 5; i++)
        EXPECT((ws[i] = open_ws(&s, UPGRADE("/"))) >= 0);
    expect_answers(&s, 20);
    for (int i = 0; i < 5; i++) {
        say_frame(ws[i], 1, "hi", 2);
        EXPECT(hear_frame(ws[i], data, &len) == 1);
        EXPECT(strcmp(data, "hi") == 0);
        close(ws[i]);
    }
    wsk_server_free(s.srv);
}

TEST(no_more_than_threads_handlers_run_at_once)
{
    struct served s = serve(handler, NULL, "threads=2");
    int fd[3];

    door_set(false);
    for (int i = 0; i < 3; i++) {
        fd[i] = dial(&s);
        say(fd[i], GET("/wait"));
    }
    await_waiting(2);
    EXPECT(!hears(fd[0], 50) && !hears(fd[1], 0) && !hears(fd[2], 0));
    EXPECT(door.waiting == 2);
    door_set(true);
    for (int i = 0; i < 3; i++) {
        EXPECT(hear_answer(fd[i], NULL, 0) == 200);
        close(fd[i]);
    }
    wsk_server_free(s.srv);
}

TEST(pings_are_answered_while_every_handler_is_away) /* RFC 6455 5.5.2 */
{
    struct served s = serve(handler, NULL, "threads=2");
    int ws[2];
    char data[126];
    size_t len = 0;

    door_set(false);
    for (int i = 0; i < 2; i++) {
        EXPECT((ws[i] = open_ws(&s, UPGRADE("/"))) >= 0);
        say_frame(ws[i], 1, "wait", 4);
    }
    await_waiting(2);
    for (int i = 0; i < 2; i++) {
        say_frame(ws[i], 9, "still there?", 12);
        EXPECT(hear_frame(ws[i], data, &len) == 10);
        EXPECT(strcmp(data, "still there?") == 0);
    }
    door_set(true);
    for (int i = 0; i < 2; i++) {
        EXPECT(hear_frame(ws[i], data, &len) == 1);
        close(ws[i]);
    }
    wsk_server_free(s.srv);
}

TEST(messages_that_come_while_the_handler_is_away_wait_in_order)
{
    struct served s = serve(handler, NULL, NULL);
    int ws = open_ws(&s, UPGRADE("/"));
    char data[126], want[16];
    size_t len = 0;

    door_set(false);
    say_frame(ws, 1, "wait", 4);
    await_waiting(1);
    for (int i = 0; i < 100; i++) {
        snprintf(want, sizeof(want), "%d", i);
        say_frame(ws, 1, want, strlen(want));
    }
    usleep(100000); /* long enough for the loop to read on its behalf */
    door_set(true);
    EXPECT(hear_frame(ws, data, &len) == 1);
    for (int i = 0; i < 100; i++) {
        snprintf(want, sizeof(want), "%d", i);
        EXPECT(hear_frame(ws, data, &len) == 1 && strcmp(data, want) == 0);
    }
    close(ws);
    wsk_server_free(s.srv);
}

/* Tells the client, letter by letter, what is received how: in upper case what
 * stood there whole, '.' where nothing did, '+' where more has come. */
static void tell_what_is_ready(wsk_request *req, void *user)
{
    char said[32];
    size_t n = 0;
    bool whole = true, pieces = false;
    wsk_message msg;
    wsk_conn *conn;

    (void)user;
    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) != WSK_OK)
        return;
    while (n + 3 <= sizeof(said) && (n == 0 || said[n - 1] != 'z')) {
        wsk_status st = wsk_conn_receive_ready(conn, &msg);

        whole = st == WSK_OK;
        if (!whole) {
            said[n++] = '.';
            st = pieces ? wsk_conn_receive_piece(conn, -1, &msg)
                        : wsk_conn_receive_masked(conn, -1, &msg);
        }
        if (st != WSK_OK)
            break;
        said[n++] = (char)(*(const char *)msg.data - (whole ? 'a' - 'A' : 0));
        if (wsk_conn_has_more(conn))
            said[n++] = '+';
        pieces = msg.more || *(const char *)msg.data == 'p';
        wsk_message_free(&msg);
    }
    wsk_conn_send(conn, WSK_TEXT, said, n, true);
}

TEST(a_message_that_stands_whole_is_there_without_waiting)
{
    static const char FRAMES[] = "\x81\x81\0\0\0\0a\x81\x81\0\0\0\0b"
                                 "\x81\x81\0\0\0\0p\x01\x81\0\0\0\0c"
                                 "\x80\x81\0\0\0\0d\x81\x81\0\0\0\0e"
                                 "\x89\x80\0\0\0\0\x81\x81\0\0\0\0z";
    struct served s = serve(tell_what_is_ready, NULL, NULL);
    int ws = open_ws(&s, UPGRADE("/"));
    char data[126];
    size_t len = 0;

    say_octets(ws, FRAMES, sizeof(FRAMES) - 1);
    EXPECT(hear_frame(ws, data, &len) == 10); /* the ping's */
    EXPECT(hear_frame(ws, data, &len) == 1);
    EXPECT(strcmp(data, ".a+B+P+.c+.d+E+.z") == 0);
    close(ws);
    wsk_server_free(s.srv);
}

/* ------------------------------------------------------------- events --- */

struct story {
    atomic_int connects, messages, closes, wrong;
};

static void on_connect(wsk_conn *conn, void *user)
{
    struct story *story = user;

    (void)conn;
    if (atomic_fetch_add(&story->connects, 1) != 0)
        atomic_fetch_add(&story->wrong, 1);
}

static void on_message(wsk_conn *conn, const wsk_message *msg, void *user)
{
    struct story *story = user;
    char want[16];
    int i = atomic_fetch_add(&story->messages, 1);

    snprintf(want, sizeof(want), "%d", i);
    if (msg->len != strlen(want) || memcmp(msg->data, want, msg->len) != 0)
        atomic_fetch_add(&story->wrong, 1);
    if (i % 50 == 7)
        usleep(3000); /* late: the lead goes to another thread */
    wsk_conn_send(conn, msg->opcode, msg->data, msg->len, true);
}

static void on_close(wsk_conn *conn, const wsk_close_info *info, void *user)
{
    struct story *story = user;

    (void)conn;
    if (info->code != 1000 || !info->clean)
        atomic_fetch_add(&story->wrong, 1);
    atomic_fetch_add(&story->closes, 1);
}

static const wsk_ws_handlers EVENTS = {
    .connect = on_connect, .message = on_message, .close = on_close};

static void attach(wsk_request *req, void *user)
{
    wsk_conn *conn;

    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) == WSK_OK)
        wsk_conn_attach(conn, &EVENTS, user);
}

static void tell_story(void)
{
    struct story story = {0};
    struct served s = serve(attach, &story, NULL);
    int ws = open_ws(&s, UPGRADE("/"));
    char data[126], text[16];
    size_t len = 0;

    for (int i = 0; i < 500; i++) {
        snprintf(text, sizeof(text), "%d", i);
        say_frame(ws, 1, text, strlen(text));
    }
    for (int i = 0; i < 500; i++) {
        snprintf(text, sizeof(text), "%d", i);
        EXPECT(hear_frame(ws, data, &len) == 1 && strcmp(data, text) == 0);
    }
    say_frame(ws, 8, "\x03\xe8", 2);
    EXPECT(hear_frame(ws, data, &len) == 8);
    EXPECT(hears_end(ws));
    close(ws);
    wsk_server_free(s.srv);
    EXPECT(story.connects == 1 && story.messages == 500 && story.closes == 1);
    EXPECT(story.wrong == 0);
}

TEST(events_come_in_order_and_close_exactly_once)
{
    tell_story();
}

TEST(events_keep_their_order_when_the_lead_is_taken_at_random)
{
    setenv("WSK_TEST_STEAL_EVERY", "3", 1);
    tell_story();
    unsetenv("WSK_TEST_STEAL_EVERY");
}

TEST(events_keep_their_order_on_the_poll_backend)
{
    setenv("WSK_TEST_POLLER", "poll", 1);
    tell_story();
    unsetenv("WSK_TEST_POLLER");
}

/* The two go on in this order, but nothing else that TSan heeds: what both
 * touch meanwhile it sees. */
static struct {
    _Atomic(wsk_conn *) conn;
    atomic_int closes, sent;
} beside;

static void wait_for(atomic_int *count)
{
    while (atomic_load_explicit(count, memory_order_relaxed) == 0)
        usleep(1000);
}

static void lend_beside(wsk_conn *conn, void *user)
{
    (void)user;
    atomic_store(&beside.conn, wsk_conn_ref(conn));
}

static void close_beside(wsk_conn *conn, const wsk_close_info *info, void *user)
{
    (void)conn, (void)user;
    EXPECT(info->code == 1000);
    atomic_store_explicit(&beside.closes, 1, memory_order_relaxed);
    wait_for(&beside.sent);
}

static void handle_beside(wsk_request *req, void *user)
{
    static const wsk_ws_handlers on = {.connect = lend_beside,
                                       .close = close_beside};
    wsk_conn *conn;

    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) == WSK_OK)
        wsk_conn_attach(conn, &on, user);
}

TEST(a_thread_may_send_while_the_close_is_told)
{
    struct served s = serve(handle_beside, NULL, NULL);
    int ws = open_ws(&s, UPGRADE("/"));
    wsk_conn *conn;

    while ((conn = atomic_load(&beside.conn)) == NULL)
        usleep(1000);
    say_frame(ws, 8, "\x03\xe8", 2);
    wait_for(&beside.closes);
    EXPECT(wsk_conn_send(conn, WSK_TEXT, "x", 1, true) == WSK_E_CLOSED);
    atomic_store_explicit(&beside.sent, 1, memory_order_relaxed);
    EXPECT(hears_end(ws));
    wsk_conn_unref(conn);
    close(ws);
    wsk_server_free(s.srv);
}

/* ----------------------------------------------------- random hand-off --- */

static void *pipeline(void *arg)
{
    int fd = dial(arg);
    char body[32];
    long wrong = 0;

    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 10; i++)
            say(fd, GET("/a") GET("/bb"));
        for (int i = 0; i < 20; i++)
            wrong += hear_answer(fd, body, sizeof(body)) != 200 ||
                     strcmp(body, i % 2 ? "/bb" : "/a") != 0;
    }
    close(fd);
    return (void *)wrong;
}

static void pipeline_from_many(void)
{
    struct served s = serve(handler, NULL, NULL);
    pthread_t clients[8];
    void *wrong;

    for (int i = 0; i < 8; i++)
        pthread_create(&clients[i], NULL, pipeline, &s);
    for (int i = 0; i < 8; i++) {
        pthread_join(clients[i], &wrong);
        EXPECT(wrong == NULL);
    }
    wsk_server_free(s.srv);
}

TEST(pipelined_requests_keep_their_order)
{
    pipeline_from_many();
}

TEST(pipelined_requests_keep_their_order_when_the_lead_is_taken_at_random)
{
    setenv("WSK_TEST_STEAL_EVERY", "2", 1);
    pipeline_from_many();
    unsetenv("WSK_TEST_STEAL_EVERY");
}

TEST(pipelined_requests_keep_their_order_on_the_poll_backend)
{
    setenv("WSK_TEST_POLLER", "poll", 1);
    pipeline_from_many();
    unsetenv("WSK_TEST_POLLER");
}

/* ---------------------------------------------------------------- stop --- */

TEST(a_stop_lets_a_running_answer_finish_and_sends_1001)
{
    struct served s = serve(handler, NULL, NULL);
    int slow = dial(&s), idle = dial(&s), ws = open_ws(&s, UPGRADE("/"));
    char data[126];
    size_t len = 0;

    door_set(false);
    say(slow, GET("/wait"));
    await_waiting(1);
    wsk_server_stop(s.srv, -1);
    EXPECT(hear_frame(ws, data, &len) == 8);
    EXPECT_OCTETS(data, len, "\x03\xe9stop");
    say_frame(ws, 8, "\x03\xe9", 2);
    EXPECT(hears_end(ws) && hears_end(idle));
    EXPECT(wsk_server_join(s.srv, 0) == WSK_E_TIMEOUT);
    door_set(true);
    EXPECT(hear_answer(slow, NULL, 0) == 200);
    EXPECT(hears_end(slow));
    EXPECT(wsk_server_join(s.srv, PATIENCE_MS) == WSK_OK);
    wsk_server_free(s.srv);
    close(slow);
    close(idle);
    close(ws);
}

TEST(a_stop_abandons_a_stuck_handler_when_its_time_is_up)
{
    struct served s = serve(handler, NULL, "graceful_timeout=0.1");
    int slow = dial(&s);

    door_set(false);
    say(slow, GET("/wait"));
    await_waiting(1);
    wsk_server_stop(s.srv, -1);
    EXPECT(wsk_server_join(s.srv, PATIENCE_MS) == WSK_E_STATE);
    EXPECT(hears_end(slow));
    wsk_server_free(s.srv);
    door_set(true); /* the abandoned thread frees what it used */
    close(slow);
    usleep(50000);
}

TEST(a_stop_wakes_a_handler_that_waits_in_receive)
{
    struct served s = serve(handler, NULL, "ws_close_timeout=0.1");
    int ws = open_ws(&s, UPGRADE("/"));
    char data[126];
    size_t len = 0;

    wsk_server_stop(s.srv, -1);
    EXPECT(hear_frame(ws, data, &len) == 8);
    /* No Close from here: the server gives up waiting for it. */
    EXPECT(wsk_server_join(s.srv, PATIENCE_MS) == WSK_OK);
    wsk_server_free(s.srv);
    close(ws);
}

static void stop_now(wsk_request *req, void *user)
{
    (void)user;
    wsk_server_stop(wsk_request_server(req), -1);
    wsk_request_respond(req, 200, NULL, 0, "bye", 3);
}

TEST(a_handler_may_stop_its_own_server)
{
    struct served s = serve(stop_now, NULL, NULL);
    int fd = dial(&s);
    char body[8];

    say(fd, GET("/"));
    EXPECT(hear_answer(fd, body, sizeof(body)) == 200);
    EXPECT(strcmp(body, "bye") == 0);
    EXPECT(hears_end(fd));
    EXPECT(wsk_server_join(s.srv, PATIENCE_MS) == WSK_OK);
    wsk_server_free(s.srv);
    close(fd);
}

/* ------------------------------------------------------------ drain --- */

enum { STREAM = 32 << 20, PIECE = 65536 };

static atomic_size_t streamed, most_waited;
static atomic_int drains, closes;

/* Sends until the connection is full. */
static void stream(wsk_conn *conn, void *user)
{
    static const char piece[PIECE];

    (void)user;
    atomic_fetch_add(&drains, 1);
    while (atomic_load(&streamed) < STREAM && !wsk_conn_is_full(conn)) {
        size_t waits;

        wsk_conn_send(conn, WSK_BINARY, piece, PIECE, true);
        atomic_fetch_add(&streamed, PIECE);
        waits = wsk_conn_buffered(conn);
        if (waits > atomic_load(&most_waited))
            atomic_store(&most_waited, waits);
    }
    EXPECT(atomic_load(&closes) == 0);
}

static void begin_stream(wsk_conn *conn, const wsk_message *msg, void *user)
{
    (void)msg;
    atomic_store(&streamed, 0);
    atomic_store(&most_waited, 0);
    atomic_store(&drains, -1);
    stream(conn, user);
}

static void end_stream(wsk_conn *conn, const wsk_close_info *info, void *user)
{
    (void)conn, (void)info, (void)user;
    atomic_fetch_add(&closes, 1);
}

static void streamer(wsk_request *req, void *user)
{
    static const wsk_ws_handlers on = {
        .message = begin_stream, .drain = stream, .close = end_stream};
    wsk_conn *conn;

    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) == WSK_OK)
        wsk_conn_attach(conn, &on, user);
}

TEST(an_event_handler_paces_a_stream_by_drain)
{
    struct served s = serve(streamer, NULL, "ws_send_limit=256k");
    static char piece[PIECE];
    unsigned char head[10];
    int fd, got = 0;

    atomic_store(&closes, 0);
    fd = open_ws(&s, UPGRADE("/"));
    say_frame(fd, 1, "go", 2);
    EXPECT(hears(fd, PATIENCE_MS));
    for (int ms = 0; /* a slow reader */
         ms < PATIENCE_MS && atomic_load(&most_waited) <= 256 << 10; ms++)
        usleep(1000);
    while (got < STREAM / PIECE && hear_octets(fd, head, 10) &&
           hear_octets(fd, piece, PIECE))
        got++;
    EXPECT(got == STREAM / PIECE);
    EXPECT(atomic_load(&drains) > 0);
    EXPECT(atomic_load(&most_waited) <= (256 << 10) + PIECE + 10);
    say_frame(fd, 1, "go", 2); /* and one that leaves in the middle */
    EXPECT(hears(fd, PATIENCE_MS));
    close(fd);
    for (int ms = 0; ms < PATIENCE_MS && atomic_load(&closes) == 0; ms++)
        usleep(1000);
    EXPECT(atomic_load(&closes) == 1);
    wsk_server_free(s.srv);
}

/* ------------------------------------------- a system without more threads */

static struct {
    wsk_server *srv;
    atomic_int left; /* threads that it will give */
} scarce;

static void *scarce_work(void *srv)
{
    wsk_server_work(srv, NULL);
    return NULL;
}

static void scarce_spawn(void *user)
{
    pthread_t thread;

    (void)user;
    if (atomic_fetch_sub(&scarce.left, 1) <= 0)
        wsk_server_no_thread(scarce.srv);
    else if (pthread_create(&thread, NULL, scarce_work, scarce.srv) == 0)
        pthread_detach(thread);
}

static void echo_or_respond(wsk_request *req, void *user)
{
    (void)user;
    if (wsk_request_head(req)->websocket)
        echo_blocking(req);
    else
        wsk_request_respond(req, 200, NULL, 0, "ok", 2);
}

static void await_threads(wsk_server *srv, unsigned spares, unsigned parked)
{
    bool come = false;

    for (int ms = 0; ms < PATIENCE_MS && !come; ms++) {
        usleep(1000);
        wsk__dispatch_lock(&srv->dispatch);
        come = srv->dispatch.n_spares == spares &&
               srv->dispatch.n_parked == parked;
        wsk__dispatch_unlock(&srv->dispatch);
    }
    EXPECT(come);
}

/* All threads but the leader wait in receive(): a request that no thread can
 * answer is refused, and they go on. */
TEST(without_threads_for_the_queue_websockets_go_on_and_requests_get_503)
{
    const wsk_hooks hooks = {.spawn = scarce_spawn};
    struct served s;
    wsk_server_config cfg;
    char data[126];
    size_t len;
    int one, two, fd;

    wsk_config_init(&cfg);
    cfg.port = 0;
    cfg.log_level = "critical";
    atomic_store(&scarce.left, 3);
    s.srv = scarce.srv = wsk_server_new(&cfg, echo_or_respond, NULL, &hooks);
    if (prepare_server != NULL)
        prepare_server(s.srv);
    EXPECT(wsk_server_start(s.srv) == WSK_OK);
    s.port = wsk_server_port(s.srv);
    await_threads(s.srv, 2, 0);
    one = open_ws(&s, UPGRADE("/"));
    await_threads(s.srv, 1, 1);
    two = open_ws(&s, UPGRADE("/"));
    await_threads(s.srv, 0, 2);
    fd = dial(&s);
    say(fd, GET("/"));
    EXPECT(hear_answer(fd, NULL, 0) == 503);
    for (int i = 0; i < 5; i++) {
        EXPECT(say_frame(one, 2, "one", 3) && hear_frame(one, data, &len) == 2);
        EXPECT(say_frame(two, 2, "two", 3) && hear_frame(two, data, &len) == 2);
    }
    close(one);
    close(two);
    close(fd);
    wsk_server_free(s.srv);
}
