/* WebSockets that no server of ours serves, over a pair of sockets. */
#include "harness.h"

#include "client.h"

#include <pthread.h>

static wsk_server_config cfg;

/* A transport whose connection another thread ends as soon as octets have
 * left. */
struct hasty {
    const wsk_transport *inner;
    void *io;
    wsk_conn *conn;
};

static wsk_status hasty_recv(void *io, void *room, size_t len, int timeout_ms,
                             size_t *n)
{
    struct hasty *hasty = io;

    return hasty->inner->recv(hasty->io, room, len, timeout_ms, n);
}

static wsk_status hasty_send(void *io, const void *data, size_t len,
                             int timeout_ms, size_t *n)
{
    struct hasty *hasty = io;
    wsk_status st = hasty->inner->send(hasty->io, data, len, timeout_ms, n);

    if (hasty->conn != NULL)
        EXPECT(wsk_conn_finish(hasty->conn, true) == WSK_OK);
    return st;
}

static void hasty_shutdown(void *io, bool both)
{
    struct hasty *hasty = io;

    hasty->inner->shutdown(hasty->io, both);
}

static void hasty_free(void *io)
{
    struct hasty *hasty = io;

    hasty->inner->free(hasty->io);
}

static const wsk_transport HASTY = {hasty_recv, hasty_send, hasty_shutdown,
                                    hasty_free};

/* Return the peer's end; *req owns the other, through `hasty` unless NULL. */
static int adopt_through(struct hasty *hasty, wsk_request **req,
                         const char *early, size_t early_len)
{
    struct timeval patience = {PATIENCE_MS / 1000, 0};
    wsk_adoption how = {.head = UPGRADE("/standalone"),
                        .early = early,
                        .early_len = early_len,
                        .peer = "",
                        .local = "",
                        .config = &cfg};
    wsk_ws_verdict verdict;
    int fd[2];

    wsk_config_init(&cfg);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
        abort();
    setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    how.head_len = strlen(how.head);
    how.transport = wsk_transport_fd(fd[1], &how.io);
    if (hasty != NULL) {
        hasty->inner = how.transport;
        hasty->io = how.io;
        how.transport = &HASTY;
        how.io = hasty;
    }
    if (how.transport == NULL ||
        wsk_request_adopt(&how, req, &verdict) != WSK_OK)
        abort();
    return fd[0];
}

static int adopt_request(wsk_request **req, const char *early, size_t early_len)
{
    return adopt_through(NULL, req, early, early_len);
}

/* Upgrade `req`, whose peer is `fd`, to *conn, and disown it. */
static void upgrade(int fd, wsk_request *req, wsk_conn **conn)
{
    if (wsk_request_upgrade(req, NULL, NULL, 0, conn) != WSK_OK)
        abort();
    wsk_conn_ref(*conn);
    wsk_request_disown(req);
    EXPECT(hear_answer(fd, NULL, 0) == 101);
}

static int adopt(wsk_conn **conn, const char *early, size_t early_len)
{
    wsk_request *req;
    int fd = adopt_request(&req, early, early_len);

    upgrade(fd, req, conn);
    return fd;
}

/* The status that a handshake from a page deserves. */
static int judged(const char *head, bool https, const char *hosts)
{
    wsk_adoption how = {.head = head,
                        .head_len = strlen(head),
                        .early = "",
                        .peer = "",
                        .local = "",
                        .https = https,
                        .config = &cfg};
    wsk_ws_verdict verdict;
    wsk_request *req;
    int fd[2];

    wsk_config_init(&cfg);
    cfg.allowed_hosts = hosts;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
        abort();
    how.transport = wsk_transport_fd(fd[1], &how.io);
    if (how.transport == NULL)
        abort();
    if (wsk_request_adopt(&how, &req, &verdict) == WSK_OK)
        wsk_request_disown(req);
    else
        how.transport->free(how.io);
    close(fd[0]);
    return verdict.status;
}

/* All but the upgrade is the other server's. */
static void expect_no_answer(wsk_request *req)
{
    const uint8_t *data;
    size_t got;
    int fd;

    EXPECT(wsk_request_read(req, &fd, sizeof(fd), &got) == WSK_E_STATE);
    EXPECT(wsk_request_seek(req, 0) == WSK_E_STATE);
    EXPECT(wsk_request_wait(req) == WSK_E_STATE);
    EXPECT(!wsk_request_body(req, &data, &got));
    EXPECT(wsk_request_body_length(req) == WSK_LENGTH_UNKNOWN);
    EXPECT(wsk_request_hints(req, NULL, 0) == WSK_E_STATE);
    EXPECT(wsk_request_start(req, 200, NULL, NULL, 0, 0) == WSK_E_STATE);
    EXPECT(wsk_request_write(req, "", 0) == WSK_E_STATE);
    EXPECT(wsk_request_lend(req, "", 0, NULL, NULL) == WSK_E_STATE);
    EXPECT(wsk_request_send_file(req, 0, 0, 1) == WSK_E_STATE);
    EXPECT(wsk_request_flush(req) == WSK_E_STATE);
    EXPECT(wsk_request_drain(req) == WSK_E_STATE);
    EXPECT(wsk_request_finish(req) == WSK_E_STATE);
    EXPECT(wsk_request_respond(req, 200, NULL, 0, "", 0) == WSK_E_STATE);
    EXPECT(wsk_request_detach(req, &fd, &data, &got) == WSK_E_STATE);
    EXPECT(!wsk_request_is_gone(req) && !wsk_request_head_sent(req));
    EXPECT(wsk_request_server(req) == NULL);
    EXPECT(strcmp(wsk_request_scheme(req), "http") == 0);
    EXPECT(strcmp(wsk_request_prefix(req), "") == 0);
    EXPECT(strcmp(wsk_request_peer(req, NULL), "") == 0);
    EXPECT(strcmp(wsk_request_local(req, NULL), "") == 0);
}

TEST(a_request_of_another_server_is_answered_there)
{
    wsk_request *req;
    wsk_conn *conn;
    int fd = adopt_request(&req, "", 0);

    cfg.ws_subprotocols = "chat";
    EXPECT(strcmp(wsk_request_subprotocols(req), "chat") == 0);
    expect_no_answer(req);
    EXPECT(wsk_request_upgrade(req, NULL, NULL, 0, &conn) == WSK_OK);
    EXPECT(wsk_request_upgrade(req, NULL, NULL, 0, &conn) == WSK_E_STATE);
    expect_no_answer(req);
    wsk_request_disown(req);
    close(fd);
}

TEST(pages_and_hosts_are_judged_as_a_server_does)
{
    static const char HTTP[] = UPGRADE_WITH("/", "Origin: http://x\r\n");
    static const char HTTPS[] = UPGRADE_WITH("/", "Origin: https://x\r\n");

    EXPECT(judged(HTTP, false, NULL) == 101);
    EXPECT(judged(HTTPS, false, NULL) == 101);
    EXPECT(judged(HTTP, true, NULL) == 403);
    EXPECT(judged(HTTPS, true, NULL) == 101);
    EXPECT(judged(HTTPS, true, "x") == 101);
    EXPECT(judged(HTTPS, true, "y,.x.example") == 421);
}

static void expect_message(wsk_conn *conn, wsk_opcode opcode, const char *text)
{
    wsk_message msg;

    EXPECT(wsk_conn_receive(conn, PATIENCE_MS, &msg) == WSK_OK);
    EXPECT(msg.opcode == opcode && msg.len == strlen(text));
    EXPECT(msg.len == 0 || memcmp(msg.data, text, msg.len) == 0);
    wsk_message_free(&msg);
}

/* A text of two fragments with a ping between them (RFC 6455 5.4), a binary
 * message, an empty text. */
static const char VECTORS[] = "\x01\x82\0\0\0\0he\x89\x81\0\0\0\0!"
                              "\x80\x83\0\0\0\0llo\x82\x82\0\0\0\0hi"
                              "\x81\x80\0\0\0\0";

static void expect_vectors(wsk_conn *conn, int fd)
{
    char data[126];
    size_t len = 0;

    expect_message(conn, WSK_TEXT, "hello");
    expect_message(conn, WSK_BINARY, "hi");
    expect_message(conn, WSK_TEXT, "");
    EXPECT(hear_frame(fd, data, &len) == 10 && strcmp(data, "!") == 0);
}

TEST(messages_come_whole_however_their_octets_do)
{
    wsk_conn *conn;
    int fd = adopt(&conn, VECTORS, sizeof(VECTORS) - 1);

    expect_vectors(conn, fd); /* behind the head already */
    say_octets(fd, VECTORS, sizeof(VECTORS) - 1);
    expect_vectors(conn, fd);
    wsk_conn_unref(conn);
    close(fd);
}

static void *say_slowly(void *arg)
{
    for (size_t i = 0; i < sizeof(VECTORS) - 1; i++) {
        say_octets(*(int *)arg, VECTORS + i, 1);
        usleep(1000); /* lets them be read one by one */
    }
    return NULL;
}

TEST(messages_come_whole_octet_by_octet)
{
    wsk_conn *conn;
    int fd = adopt(&conn, NULL, 0);
    pthread_t peer;

    pthread_create(&peer, NULL, say_slowly, &fd);
    expect_vectors(conn, fd);
    pthread_join(peer, NULL);
    wsk_conn_unref(conn);
    close(fd);
}

TEST(a_close_of_the_peer_is_answered_with_its_code) /* RFC 6455 5.5.1 */
{
    wsk_conn *conn;
    wsk_message msg;
    wsk_close_info info;
    char data[126];
    size_t len = 0;
    int fd = adopt(&conn, NULL, 0);

    say_frame(fd, 8,
              "\x0f\xa0"
              "bye",
              5);
    EXPECT(wsk_conn_receive(conn, PATIENCE_MS, &msg) == WSK_E_CLOSED);
    EXPECT(hear_frame(fd, data, &len) == 8 && len == 2);
    EXPECT(memcmp(data, "\x0f\xa0", 2) == 0);
    EXPECT(wsk_conn_closed(conn, &info) && info.clean && info.code == 4000);
    EXPECT_OCTETS(info.reason, info.len, "bye");
    EXPECT(wsk_conn_send(conn, WSK_TEXT, "late", 4, true) == WSK_E_CLOSED);
    EXPECT(wsk_conn_finish(conn, false) == WSK_OK);
    EXPECT(hears_end(fd));
    wsk_conn_unref(conn);
    close(fd);
}

static void *finish(void *conn)
{
    EXPECT(wsk_conn_finish(conn, false) == WSK_OK);
    return NULL;
}

TEST(who_finishes_waits_for_the_peers_close) /* RFC 6455 7.1.2 */
{
    wsk_conn *conn;
    wsk_close_info info;
    pthread_t ours;
    char data[126];
    size_t len = 0;
    int fd = adopt(&conn, NULL, 0);

    pthread_create(&ours, NULL, finish, conn);
    EXPECT(hear_frame(fd, data, &len) == 8 && len == 2);
    EXPECT(memcmp(data, "\x03\xe8", 2) == 0);
    say_frame(fd, 1, "came too late", 13);
    say_frame(fd, 8, data, 2);
    EXPECT(hears_end(fd));
    pthread_join(ours, NULL);
    EXPECT(wsk_conn_closed(conn, &info) && info.clean && info.code == 1000);
    EXPECT(wsk_conn_finish(conn, false) == WSK_OK); /* once more does no harm */
    wsk_conn_unref(conn);
    close(fd);
}

TEST(what_we_told_a_peer_that_we_gave_up_is_kept) /* RFC 6455 7.1.7 */
{
    wsk_conn *conn;
    wsk_message msg;
    wsk_close_info info;
    char data[126];
    size_t len = 0;
    int fd = adopt(&conn, NULL, 0);

    EXPECT(!wsk_conn_closed(conn, &info));
    say_frame(fd, 1, "\xff", 1);
    EXPECT(wsk_conn_receive(conn, PATIENCE_MS, &msg) == WSK_E_CLOSED);
    EXPECT(hear_frame(fd, data, &len) == 8 && len > 2);
    EXPECT(memcmp(data, "\x03\xef", 2) == 0);
    EXPECT(wsk_conn_closed(conn, &info) && !info.clean && info.code == 1006);
    EXPECT(info.len == 0 && info.failed && info.sent_code == 1007);
    EXPECT_OCTETS(info.sent_reason, info.sent_len, "text is not UTF-8");
    EXPECT(info.option == NULL);
    EXPECT(wsk_conn_finish(conn, false) == WSK_OK);
    wsk_conn_unref(conn);
    close(fd);
}

TEST(what_the_application_sent_is_kept_beside_what_the_peer_did)
{
    wsk_conn *conn;
    wsk_close_info info;
    char data[126];
    size_t len = 0;
    int fd = adopt(&conn, NULL, 0);

    EXPECT(wsk_conn_close(conn, 4000, "enough", 6) == WSK_OK);
    EXPECT(hear_frame(fd, data, &len) == 8 && len == 8);
    say_frame(fd, 8, "\x0f\xa1", 2);
    EXPECT(wsk_conn_finish(conn, false) == WSK_OK);
    EXPECT(wsk_conn_closed(conn, &info) && info.clean && info.code == 4001);
    EXPECT(!info.failed && info.sent_code == 4000);
    EXPECT_OCTETS(info.sent_reason, info.sent_len, "enough");
    wsk_conn_unref(conn);
    close(fd);
}

TEST(a_peer_that_is_gone_is_1006) /* RFC 6455 7.1.5 */
{
    wsk_conn *conn;
    wsk_message msg;
    wsk_close_info info;
    int fd = adopt(&conn, NULL, 0);

    close(fd);
    EXPECT(wsk_conn_receive(conn, PATIENCE_MS, &msg) == WSK_E_CLOSED);
    EXPECT(wsk_conn_closed(conn, &info) && !info.clean && info.code == 1006);
    EXPECT(info.sent_code == 0 && !info.failed && info.sent_len == 0);
    EXPECT(wsk_conn_finish(conn, false) == WSK_OK);
    wsk_conn_unref(conn);
}

TEST(a_frame_that_left_before_the_end_was_sent)
{
    struct hasty hasty = {0};
    wsk_request *req;
    wsk_conn *conn;
    char data[126];
    size_t len;
    int fd = adopt_through(&hasty, &req, NULL, 0);

    upgrade(fd, req, &conn);
    hasty.conn = conn;
    EXPECT(wsk_conn_send_frame(conn, WSK_PING, true, "x", 1) == WSK_OK);
    EXPECT(hear_frame(fd, data, &len) == 9 && len == 1);
    EXPECT(wsk_conn_send_frame(conn, WSK_PING, true, "x", 1) == WSK_E_CLOSED);
    wsk_conn_unref(conn);
    close(fd);
}

/* --------------------------------------------------------------- threads ---
 */

enum { SENDERS = 4, EACH = 100 };

struct sender {
    wsk_conn *conn;
    char name;
};

static void *send_many(void *arg)
{
    const struct sender *sender = arg;

    for (int i = 0; i < EACH; i++) {
        char text[8];
        int n = snprintf(text, sizeof(text), "%c%d", sender->name, i);

        EXPECT(wsk_conn_send(sender->conn, WSK_TEXT, text, (size_t)n, true) ==
               WSK_OK);
    }
    return NULL;
}

static void *receive_many(void *conn)
{
    wsk_message msg;

    for (int i = 0; i < EACH; i++) {
        EXPECT(wsk_conn_receive(conn, PATIENCE_MS, &msg) == WSK_OK);
        wsk_message_free(&msg);
    }
    return NULL;
}

TEST(threads_that_send_at_once_do_not_mix_their_frames)
{
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS + 1];
    wsk_conn *conn;
    int fd = adopt(&conn, NULL, 0), next[SENDERS] = {0};
    char data[126];
    size_t len = 0;

    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){conn, (char)('a' + i)};
        pthread_create(&threads[i], NULL, send_many, &senders[i]);
    }
    pthread_create(&threads[SENDERS], NULL, receive_many, conn);
    for (int i = 0; i < SENDERS * EACH; i++) {
        int opcode, who;

        if (i % SENDERS == 0) /* a ping's pong leaves among them */
            say_frame(fd, i % 8 == 0 ? 9 : 1, "x", 1);
        while ((opcode = hear_frame(fd, data, &len)) == 10)
            continue;
        who = data[0] - 'a';
        EXPECT(opcode == 1 && who >= 0 && who < SENDERS);
        if (opcode != 1 || who < 0 || who >= SENDERS)
            break;
        EXPECT(atoi(data + 1) == next[who]++);
    }
    for (int i = 0; i < EACH / 2; i++)
        say_frame(fd, 1, "x", 1);
    for (int i = 0; i <= SENDERS; i++)
        pthread_join(threads[i], NULL);
    wsk_conn_unref(conn);
    close(fd);
}
