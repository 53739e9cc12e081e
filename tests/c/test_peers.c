/* Slow peers: a handler that waits for one gives its slot to another. */
#include "harness.h"

#include "client.h"
#include "net/log/limits.h"
#include "net/server/server.h"

#include <stdatomic.h>

enum { PEERS = 6, PIECE = 65536, PIECES = 200, BODY = 100000 };

static char piece[PIECE];
static atomic_int reading, sending;

static void read_body(wsk_request *req)
{
    size_t got = 1, total = 0;
    char text[32];
    wsk_status st;

    atomic_fetch_add(&reading, 1);
    do {
        static _Thread_local char data[4096];

        st = wsk_request_read(req, data, sizeof(data), &got);
        total += got;
        if (st == WSK_E_AGAIN)
            st = wsk_request_wait(req);
        else if (got == 0)
            break;
    } while (st == WSK_OK);
    atomic_fetch_sub(&reading, 1);
    snprintf(text, sizeof(text), "%zu", total);
    wsk_request_respond(req, 200, NULL, 0, text, strlen(text));
}

static void stream(wsk_request *req)
{
    wsk_status st = WSK_OK;

    atomic_fetch_add(&sending, 1);
    wsk_request_start(req, 200, NULL, NULL, 0, (uint64_t)PIECE * PIECES);
    for (int i = 0; i < PIECES && st == WSK_OK; i++) {
        st = wsk_request_write(req, piece, PIECE);
        if (st == WSK_OK)
            st = wsk_request_flush(req);
        if (st == WSK_E_AGAIN)
            st = wsk_request_drain(req);
    }
    atomic_fetch_sub(&sending, 1);
}

static void send_messages(wsk_request *req)
{
    wsk_conn *conn;

    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) != WSK_OK)
        return;
    atomic_fetch_add(&sending, 1);
    while (wsk_conn_send(conn, WSK_BINARY, piece, PIECE, true) == WSK_OK &&
           (!wsk_conn_is_full(conn) || wsk_conn_drain(conn, -1) == WSK_OK))
        continue;
    atomic_fetch_sub(&sending, 1);
}

static void handler(wsk_request *req, void *user)
{
    const wsk_head *head = wsk_request_head(req);

    (void)user;
    if (head->websocket)
        send_messages(req);
    else if (head->content_length > 0)
        read_body(req);
    else if (head->path.len > 1)
        stream(req);
    else
        wsk_request_respond(req, 200, NULL, 0, "ok", 2);
}

static int dial_and_say(const struct served *s, const char *request)
{
    int fd = dial(s);

    say(fd, request);
    return fd;
}

static int status_of_another(const struct served *s)
{
    int fd = dial_and_say(s, GET("/")), status = hear_answer(fd, NULL, 0);

    close(fd);
    return status;
}

/* More slow peers than slots, all at once; then they leave. */
static void beside_slow_peers(const char *options, const char *request,
                              atomic_int *count)
{
    struct served s = serve(handler, NULL, options);
    int fds[PEERS];

    for (int i = 0; i < PEERS; i++)
        fds[i] = dial_and_say(&s, request);
    EXPECT(comes_to(count, PEERS));
    for (int i = 0; i < 20; i++)
        EXPECT(status_of_another(&s) == 200);
    EXPECT(atomic_load(count) == PEERS);
    for (int i = 0; i < PEERS; i++)
        close(fds[i]);
    EXPECT(comes_to(count, 0));
    EXPECT(status_of_another(&s) == 200);
    wsk_server_free(s.srv);
}

#define POST(more)                                                             \
    "POST / HTTP/1.1\r\nHost: x\r\n" more "Content-Length: 100000\r\n\r\n"
#define EXPECT_100 "Expect: 100-continue\r\n"

TEST(handlers_that_wait_for_bodies_hold_no_slot)
{
    beside_slow_peers("threads=2 buffer_body=never", POST(""), &reading);
    beside_slow_peers("threads=2 buffer_body=never", POST(EXPECT_100),
                      &reading);
}

TEST(handlers_that_wait_for_readers_hold_no_slot)
{
    beside_slow_peers("threads=2", GET("/stream"), &sending);
}

TEST(handlers_that_wait_for_readers_of_messages_hold_no_slot)
{
    beside_slow_peers("threads=2 ws_send_limit=64k", UPGRADE("/"), &sending);
}

TEST(the_same_when_the_lead_is_taken_at_random)
{
    setenv("WSK_TEST_STEAL_EVERY", "2", 1);
    beside_slow_peers("threads=1", GET("/stream"), &sending);
    beside_slow_peers("threads=1 buffer_body=never", POST(""), &reading);
    unsetenv("WSK_TEST_STEAL_EVERY");
}

/* Every reader gets all of its answer, independent of the others. */
TEST(a_slow_reader_gets_the_whole_answer)
{
    struct served s = serve(handler, NULL, "threads=1");
    int fds[PEERS];
    static char data[PIECE];

    for (int i = 0; i < PEERS; i++)
        fds[i] = dial_and_say(&s, GET("/stream"));
    EXPECT(comes_to(&sending, PEERS));
    for (int i = 0; i < PEERS; i++) {
        char head[4096];
        size_t n = 0, left = (size_t)PIECE * PIECES;

        while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0)
            if (n == sizeof(head) || !hear_octets(fds[i], head + n++, 1))
                break;
        while (left > 0 && hear_octets(fds[i], data, PIECE))
            left -= PIECE;
        EXPECT(left == 0);
        close(fds[i]);
    }
    EXPECT(comes_to(&sending, 0));
    wsk_server_free(s.srv);
}

/* max_parked bounds the threads; past it a wait costs a slot, and is logged. */
TEST(past_max_parked_a_handler_that_waits_keeps_its_slot)
{
    struct served s = serve(handler, NULL, "threads=2 max_parked=1");
    int first = dial_and_say(&s, GET("/stream")), second, third, other;

    EXPECT(comes_to(&sending, 1));
    second = dial_and_say(&s, GET("/stream"));
    EXPECT(comes_to(&sending, 2));
    EXPECT(status_of_another(&s) == 200); /* one slot is left */
    EXPECT(is_hit(&s, WSK__LIMIT_WAITS));
    third = dial_and_say(&s, GET("/stream"));
    EXPECT(comes_to(&sending, 3));
    other = dial_and_say(&s, GET("/"));
    EXPECT(!hears(other, 50)); /* and now none */
    close(first);
    close(second);
    close(third);
    EXPECT(hear_answer(other, NULL, 0) == 200);
    close(other);
    wsk_server_free(s.srv);
}

/* A place that was taken for a wait is given back: WebSockets find it free. */
TEST(the_place_of_a_wait_is_free_afterwards)
{
    struct served s = serve(handler, NULL, "threads=2 max_parked=1");
    int fd = dial_and_say(&s, GET("/stream"));

    EXPECT(comes_to(&sending, 1));
    close(fd);
    EXPECT(comes_to(&sending, 0));
    fd = open_ws(&s, UPGRADE("/"));
    EXPECT(fd >= 0);
    close(fd);
    wsk_server_free(s.srv);
}

static bool none_streams(const struct served *s)
{
    for (int ms = 0; ms < PATIENCE_MS; ms++, usleep(1000))
        if (atomic_load(&s->srv->site.streaming) == 0)
            return true;
    return false;
}

/* A quarter of the threads may read bodies that the server could buffer. */
TEST(bodies_that_wait_for_100_are_buffered_where_many_come) /* 9110 10.1.1 */
{
    struct served s = serve(handler, NULL, "threads=8");
    int fds[PEERS];
    char said[32] = "";

    for (int i = 0; i < PEERS; i++) {
        fds[i] = dial_and_say(&s, POST(EXPECT_100));
        EXPECT(hear_answer(fds[i], NULL, 0) == 100);
    }
    EXPECT(comes_to(&reading, 2));
    for (int i = PEERS - 1; i >= 0; i--) {
        say_octets(fds[i], piece, PIECE);
        say_octets(fds[i], piece, BODY - PIECE);
        EXPECT(hear_answer(fds[i], said, sizeof(said)) == 200);
        EXPECT(strcmp(said, "100000") == 0);
        close(fds[i]);
    }
    EXPECT(comes_to(&reading, 0));
    EXPECT(none_streams(&s));
    fds[0] = dial_and_say(&s, POST(EXPECT_100)); /* as before */
    EXPECT(comes_to(&reading, 1));
    close(fds[0]);
    wsk_server_free(s.srv);
}
