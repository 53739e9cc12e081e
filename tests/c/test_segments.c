/* Files as bodies of answers: wsk_request_send_file(). */
#include "harness.h"

#include "client.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

enum { BIG = 12 << 20, SMALL = 10000 };

/* The pieces a handler must send; the file holds octet(i) at i. */
struct plan {
    int fd;
    uint64_t offset, length; /* of the piece */
    uint64_t announced;      /* or WSK_LENGTH_UNKNOWN */
    const char *before, *after;
    atomic_int returned;
    wsk_status st;
};

static char octet(uint64_t at)
{
    return (char)('a' + (at ^ at >> 11) % 26);
}

static int make_file(size_t len)
{
    FILE *file = tmpfile();
    int fd = dup(fileno(file));
    char *data = malloc(len);

    for (size_t i = 0; i < len; i++)
        data[i] = octet(i);
    fwrite(data, 1, len, file);
    free(data);
    fclose(file);
    return fd;
}

static void send_file(wsk_request *req, void *user)
{
    struct plan *plan = user;
    wsk_conn *conn;
    wsk_message msg;

    if (wsk_request_head(req)->websocket) {
        if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) == WSK_OK)
            while (wsk_conn_receive(conn, -1, &msg) == WSK_OK) {
                wsk_conn_send(conn, msg.opcode, msg.data, msg.len, true);
                wsk_message_free(&msg);
            }
        return;
    }
    if (wsk_request_head(req)->path.len > 1) {
        wsk_request_respond(req, 200, NULL, 0, "quick", 5);
        return;
    }
    wsk_request_start(req, 200, NULL, NULL, 0, plan->announced);
    if (plan->before != NULL)
        wsk_request_write(req, plan->before, strlen(plan->before));
    plan->st = wsk_request_send_file(req, plan->fd, plan->offset, plan->length);
    if (plan->after != NULL)
        wsk_request_write(req, plan->after, strlen(plan->after));
    wsk_request_finish(req);
    atomic_fetch_add(&plan->returned, 1);
}

/* Skips a head; the last line must have come whole. */
static bool hear_head(int fd)
{
    char tail[4] = {0};

    while (memcmp(tail, "\r\n\r\n", 4) != 0) {
        memmove(tail, tail + 1, 3);
        if (!hear_octets(fd, tail + 3, 1))
            return false;
    }
    return true;
}

/* The octets [from, from + len) of the file. */
static bool hear_file(int fd, uint64_t from, uint64_t len)
{
    static char data[1 << 16];

    while (len > 0) {
        size_t n = len < sizeof(data) ? (size_t)len : sizeof(data);

        if (!hear_octets(fd, data, n))
            return false;
        for (size_t i = 0; i < n; i++)
            if (data[i] != octet(from + i))
                return false;
        from += n;
        len -= n;
    }
    return true;
}

static bool hear_text(int fd, const char *text)
{
    char data[64];

    return hear_octets(fd, data, strlen(text)) &&
           memcmp(data, text, strlen(text)) == 0;
}

TEST(a_piece_of_a_file_is_a_body)
{
    static const size_t LENGTHS[] = {1, SMALL, 65536, 65537, BIG - 7};
    struct plan plan = {.fd = make_file(BIG), .offset = 7};
    struct served s = serve(send_file, &plan, NULL);
    int fd = dial(&s);

    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        plan.length = plan.announced = LENGTHS[i];
        EXPECT(say(fd, GET("/")));
        EXPECT(hear_head(fd) && hear_file(fd, 7, LENGTHS[i]));
        EXPECT(plan.st == WSK_OK);
    }
    /* The descriptor is as it was: a WebSocket's handler waits in recv(). */
    EXPECT(say(fd, UPGRADE("/")));
    EXPECT(hear_answer(fd, NULL, 0) == 101);
    for (int i = 0; i < 3; i++) {
        char data[126];
        size_t len;

        usleep(10000);
        EXPECT(say_frame(fd, 1, "hi", 2));
        EXPECT(hear_frame(fd, data, &len) == 1 && len == 2);
    }
    close(fd);
    wsk_server_free(s.srv);
    close(plan.fd);
}

TEST(what_is_written_around_a_file_keeps_its_order)
{
    struct plan plan = {.fd = make_file(BIG),
                        .length = BIG,
                        .announced = BIG + 10,
                        .before = "first",
                        .after = "later"};
    struct served s = serve(send_file, &plan, NULL);
    int fd = dial(&s);

    EXPECT(say(fd, GET("/") GET("/quick")));
    EXPECT(hear_head(fd) && hear_text(fd, "first"));
    EXPECT(hear_file(fd, 0, BIG));
    EXPECT(hear_text(fd, "later"));
    EXPECT(hear_answer(fd, NULL, 0) == 200); /* the next request's */
    close(fd);
    wsk_server_free(s.srv);
    close(plan.fd);
}

TEST(head_is_answered_without_the_file) /* RFC 9110 9.3.2 */
{
    struct plan plan = {.fd = -1, .length = BIG, .announced = BIG};
    struct served s = serve(send_file, &plan, NULL);
    int fd = dial(&s);

    EXPECT(say(fd, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" GET("/quick")));
    EXPECT(hear_head(fd));
    EXPECT(hear_answer(fd, NULL, 0) == 200);
    EXPECT(plan.st == WSK_OK);
    close(fd);
    wsk_server_free(s.srv);
}

TEST(a_file_of_unannounced_length_is_one_chunk) /* RFC 9112 7.1 */
{
    struct plan plan = {.fd = make_file(BIG), .announced = WSK_LENGTH_UNKNOWN};
    struct served s = serve(send_file, &plan, NULL);
    int fd = dial(&s);

    plan.length = SMALL;
    EXPECT(say(fd, GET("/")));
    EXPECT(hear_head(fd) && hear_text(fd, "2710\r\n"));
    EXPECT(hear_file(fd, 0, SMALL) && hear_text(fd, "\r\n0\r\n\r\n"));
    plan.length = BIG;
    EXPECT(say(fd, GET("/")));
    EXPECT(hear_head(fd) && hear_text(fd, "c00000\r\n"));
    EXPECT(hear_file(fd, 0, BIG) && hear_text(fd, "\r\n0\r\n\r\n"));
    EXPECT(say(fd, "GET / HTTP/1.0\r\n\r\n"));
    EXPECT(hear_head(fd) && hear_file(fd, 0, BIG) && hears_end(fd));
    close(fd);
    wsk_server_free(s.srv);
    close(plan.fd);
}

/* Many clients that do not read, one thread for handlers: all handlers return,
 * and plain requests are answered beside them. */
static void slow_readers(void)
{
    enum { CLIENTS = 20 };
    struct plan plan = {.fd = make_file(BIG), .length = BIG, .announced = BIG};
    struct served s = serve(send_file, &plan, "threads=1");
    int fds[CLIENTS], quick;

    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = dial(&s);
        EXPECT(say(fds[i], GET("/")));
    }
    EXPECT(reaches(&plan.returned, CLIENTS));
    close(plan.fd); /* the server has its own duplicates */
    quick = dial(&s);
    for (int i = 0; i < 10; i++) {
        EXPECT(say(quick, GET("/quick")));
        EXPECT(hear_answer(quick, NULL, 0) == 200);
    }
    close(quick);
    for (int i = 0; i < CLIENTS; i++) {
        if (i % 3 != 0) /* the others leave in the middle */
            EXPECT(hear_head(fds[i]) && hear_file(fds[i], 0, BIG));
        close(fds[i]);
    }
    wsk_server_free(s.srv);
}

TEST(a_slow_reader_holds_no_thread)
{
    slow_readers();
}

TEST(a_slow_reader_holds_no_thread_on_another_system)
{
    setenv("WSK_TEST_POLLER", "poll", 1);
    setenv("WSK_TEST_PLAIN_FILES", "1", 1);
    slow_readers();
    unsetenv("WSK_TEST_POLLER");
    unsetenv("WSK_TEST_PLAIN_FILES");
}

/* RFC 9112 8: fewer octets than announced, then the end. */
TEST(a_file_that_is_too_short_is_visibly_cut)
{
    static const size_t HAS[] = {SMALL - 1, BIG - 1};
    struct plan plan = {0};
    struct served s = serve(send_file, &plan, NULL);

    for (int i = 0; i < 2; i++) {
        int fd = dial(&s);

        plan.fd = make_file(HAS[i]);
        plan.length = plan.announced = HAS[i] + 1;
        EXPECT(say(fd, GET("/") GET("/quick")));
        EXPECT(hear_head(fd));
        if (i == 1)
            EXPECT(hear_file(fd, 0, HAS[i]));
        else
            EXPECT(plan.st == WSK_E_SYS);
        EXPECT(hears_end(fd));
        close(fd);
        close(plan.fd);
    }
    wsk_server_free(s.srv);
}

TEST(more_than_was_announced_is_not_sent) /* RFC 9112 6.3 */
{
    struct plan plan = {.fd = make_file(BIG), .length = BIG, .announced = 9};
    struct served s = serve(send_file, &plan, NULL);
    int fd = dial(&s);

    EXPECT(say(fd, GET("/") GET("/quick")));
    EXPECT(hear_head(fd) && hear_file(fd, 0, 9));
    EXPECT(hear_answer(fd, NULL, 0) == 200);
    plan.offset = INT64_MAX;
    EXPECT(say(fd, GET("/")));
    EXPECT(hear_head(fd) && hears_end(fd));
    EXPECT(plan.st == WSK_E_ARG);
    close(fd);
    wsk_server_free(s.srv);
    close(plan.fd);
}

TEST(a_client_that_leaves_raises_no_signal)
{
    struct plan plan = {.fd = make_file(BIG), .length = BIG, .announced = BIG};
    struct served s = serve(send_file, &plan, NULL);

    signal(SIGPIPE, SIG_DFL); /* a SIGPIPE ends this process now */
    for (int i = 0; i < 30; i++) {
        struct linger reset = {.l_onoff = 1};
        int fd = dial(&s);

        EXPECT(say(fd, GET("/")));
        if (i % 3 != 0)
            EXPECT(hear_head(fd));
        if (i % 2 == 0)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(fd);
    }
    wsk_server_free(s.srv);
    close(plan.fd);
}

/* -------------------------------------------------------- lent memory --- */

/* The pieces a handler lends; `given_back` counts. */
struct loan {
    char *data;
    size_t len;
    uint64_t announced; /* or WSK_LENGTH_UNKNOWN */
    int times;
    int fd; /* -1, or a file that is sent between the first two */
    atomic_int returned, given_back;
};

static void give_back(void *user)
{
    atomic_fetch_add(&((struct loan *)user)->given_back, 1);
}

static void lend(wsk_request *req, void *user)
{
    struct loan *loan = user;

    if (wsk_request_head(req)->path.len > 1) {
        wsk_request_respond(req, 200, NULL, 0, "quick", 5);
        return;
    }
    EXPECT(wsk_request_lend(req, "x", 1, give_back, loan) == WSK_E_STATE);
    wsk_request_start(req, 200, NULL, NULL, 0, loan->announced);
    for (int i = 0; i < loan->times; i++) {
        EXPECT(wsk_request_lend(req, loan->data, loan->len, give_back, loan) ==
               WSK_OK);
        if (i == 0 && loan->fd >= 0)
            EXPECT(wsk_request_send_file(req, loan->fd, 0, BIG) == WSK_OK);
        if (i == 0)
            wsk_request_write(req, "between", 7);
    }
    wsk_request_finish(req);
    atomic_fetch_add(&loan->returned, 1);
}

static struct loan loan_of(size_t len, int times)
{
    struct loan loan = {
        .data = malloc(len + 1), .len = len, .times = times, .fd = -1};

    for (size_t i = 0; i < len; i++)
        loan.data[i] = octet(i);
    loan.announced = len * (size_t)times + 7;
    return loan;
}

TEST(lent_memory_is_a_body_and_is_given_back_once)
{
    static const size_t LENGTHS[] = {0, 1, SMALL, BIG};

    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        struct loan loan = loan_of(LENGTHS[i], 20);
        struct served s = serve(lend, &loan, NULL);
        int fd = dial(&s);

        EXPECT(say(fd, GET("/")));
        EXPECT(hear_head(fd) && hear_file(fd, 0, LENGTHS[i]));
        EXPECT(hear_text(fd, "between"));
        for (int k = 1; k < 20; k++)
            EXPECT(hear_file(fd, 0, LENGTHS[i]));
        EXPECT(reaches(&loan.given_back, 20));
        EXPECT(say(fd, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" GET("/quick")));
        EXPECT(hear_head(fd));
        EXPECT(hear_answer(fd, NULL, 0) == 200);
        close(fd);
        wsk_server_free(s.srv);
        EXPECT(atomic_load(&loan.given_back) == 40);
        free(loan.data);
    }
}

TEST(lent_memory_is_a_chunk_and_stands_beside_files) /* RFC 9112 7.1 */
{
    struct loan loan = loan_of(SMALL, 2);
    struct served s;
    int fd;

    loan.announced = WSK_LENGTH_UNKNOWN;
    loan.fd = make_file(BIG);
    s = serve(lend, &loan, NULL);
    fd = dial(&s);
    EXPECT(say(fd, GET("/")));
    EXPECT(hear_head(fd) && hear_text(fd, "2710\r\n"));
    EXPECT(hear_file(fd, 0, SMALL) && hear_text(fd, "\r\nc00000\r\n"));
    EXPECT(hear_file(fd, 0, BIG) && hear_text(fd, "\r\n7\r\nbetween\r\n"));
    EXPECT(hear_text(fd, "2710\r\n") && hear_file(fd, 0, SMALL));
    EXPECT(hear_text(fd, "\r\n0\r\n\r\n"));
    EXPECT(say(fd, "GET / HTTP/1.0\r\n\r\n"));
    EXPECT(hear_head(fd) && hear_file(fd, 0, SMALL) && hear_file(fd, 0, BIG));
    EXPECT(hear_text(fd, "between") && hear_file(fd, 0, SMALL));
    EXPECT(hears_end(fd));
    close(fd);
    wsk_server_free(s.srv);
    EXPECT(atomic_load(&loan.given_back) == 4);
    close(loan.fd);
    free(loan.data);
}

/* Give back when the connection is closed and the leader waits: nothing shows
 * that it does, so this takes some time. */
static void give_back_late(void *user)
{
    usleep(200000);
    give_back(user);
}

static void lend_for_long(wsk_request *req, void *user)
{
    struct loan *loan = user;

    wsk_request_start(req, 200, NULL, NULL, 0, loan->len);
    wsk_request_lend(req, loan->data, loan->len, give_back_late, loan);
    wsk_request_finish(req);
    atomic_fetch_add(&loan->returned, 1);
}

TEST(a_stop_ends_when_the_last_lent_memory_is_given_back)
{
    struct loan loan = loan_of(BIG, 1);
    struct served s = serve(lend_for_long, &loan, NULL);
    int fd = dial(&s);

    EXPECT(say(fd, GET("/")));
    EXPECT(reaches(&loan.returned, 1));
    wsk_server_stop(s.srv, 32000); /* no timer wakes the leader for so long */
    EXPECT(hear_head(fd) && hear_file(fd, 0, BIG) && hears_end(fd));
    close(fd);
    EXPECT(wsk_server_join(s.srv, 20000) == WSK_OK);
    wsk_server_free(s.srv);
    EXPECT(atomic_load(&loan.given_back) == 1);
    free(loan.data);
}

static void slow_borrowers(void)
{
    enum { CLIENTS = 20 };
    struct loan loan = loan_of(BIG, 1);
    struct served s = serve(lend, &loan, "threads=1");
    int fds[CLIENTS], quick;

    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = dial(&s);
        EXPECT(say(fds[i], GET("/")));
    }
    EXPECT(reaches(&loan.returned, CLIENTS));
    quick = dial(&s);
    EXPECT(say(quick, GET("/quick")));
    EXPECT(hear_answer(quick, NULL, 0) == 200);
    close(quick);
    EXPECT(atomic_load(&loan.given_back) == 0);
    for (int i = 0; i < CLIENTS / 2; i++) {
        if (i % 3 != 0) /* the others leave in the middle */
            EXPECT(hear_head(fds[i]) && hear_file(fds[i], 0, BIG));
        close(fds[i]);
    }
    EXPECT(reaches(&loan.given_back, CLIENTS / 2));
    wsk_server_free(s.srv); /* the rest never read */
    EXPECT(atomic_load(&loan.given_back) == CLIENTS);
    for (int i = CLIENTS / 2; i < CLIENTS; i++)
        close(fds[i]);
    free(loan.data);
}

TEST(a_slow_reader_of_lent_memory_holds_no_thread)
{
    slow_borrowers();
}

TEST(a_slow_reader_of_lent_memory_holds_no_thread_on_another_system)
{
    setenv("WSK_TEST_POLLER", "poll", 1);
    setenv("WSK_TEST_STEAL_EVERY", "2", 1);
    slow_borrowers();
    unsetenv("WSK_TEST_POLLER");
    unsetenv("WSK_TEST_STEAL_EVERY");
}
