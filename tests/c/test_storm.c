/* Everything at once, briefly: peers that come, reset and vanish, threads of
 * the application that use the same WebSockets, and a server that is stopped in
 * the middle of it. Events come one at a time and close last, what was lent is
 * given back, and it ends; for the rest the sanitizers look. STORM=n blows n
 * times as long. */
#include "harness.h"

#include "client.h"
#include "net/dispatch/lock.h"
#include "net/server/server.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

enum {
    PEERS = 10,
    USERS = 3,
    KEPT = 24,
    ROUNDS = 9,
    ROUND_MS = 400,
    BIG = 300000
};

static struct served storm;
static atomic_bool blowing; /* peers and users go on */
static atomic_int out_of_order, loans;
static char big[BIG];
static char folder[] = "/tmp/wsk-storm-XXXXXX";
static int big_fd;

static unsigned pick(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245U + 12345U;
    return (*seed >> 16) % n;
}

/* -------------------------------------------------- what the threads keep */

static struct {
    pthread_mutex_t lock;
    wsk_conn *conns[KEPT];
    unsigned at;
} kept = {PTHREAD_MUTEX_INITIALIZER, {NULL}, 0};

static void keep(wsk_conn *conn)
{
    wsk_conn **slot, *old;

    if (conn != NULL)
        wsk_conn_ref(conn);
    pthread_mutex_lock(&kept.lock);
    slot = &kept.conns[kept.at++ % KEPT];
    old = *slot;
    *slot = conn;
    pthread_mutex_unlock(&kept.lock);
    if (old != NULL)
        wsk_conn_unref(old);
}

static wsk_conn *borrow(unsigned *seed)
{
    wsk_conn *conn;

    pthread_mutex_lock(&kept.lock);
    conn = kept.conns[pick(seed, KEPT)];
    if (conn != NULL)
        wsk_conn_ref(conn);
    pthread_mutex_unlock(&kept.lock);
    return conn;
}

static void ask(wsk_conn *conn)
{
    wsk_close_info info;
    uint32_t us;
    uint16_t port;
    wsk_head *head = wsk_conn_head(conn);

    wsk_conn_closed(conn, &info);
    wsk_conn_can_send(conn);
    wsk_conn_latency(conn, &us);
    wsk_conn_peer(conn, &port);
    wsk_conn_local(conn, &port);
    wsk_conn_protocol(conn);
    wsk_conn_deflates(conn);
    wsk_conn_buffered(conn);
    wsk_conn_is_full(conn);
    wsk_conn_has_more(conn);
    wsk_free(head);
}

static void fetch(wsk_conn *conn, unsigned how)
{
    wsk_message msg;
    wsk_status st = how == 0   ? wsk_conn_receive(conn, 1, &msg)
                    : how == 1 ? wsk_conn_receive(conn, 0, &msg)
                    : how == 2 ? wsk_conn_receive_piece(conn, 1, &msg)
                               : wsk_conn_receive_ready(conn, &msg);

    if (st == WSK_OK)
        wsk_message_free(&msg);
}

static void use(wsk_conn *conn, unsigned *seed)
{
    switch (pick(seed, 13)) {
    case 0:
        wsk_conn_close(conn, 1000, "bye", 3);
        break;
    case 1:
        wsk_conn_send_with(conn, WSK_BINARY, big, pick(seed, BIG), 0);
        break;
    case 2:
        wsk_conn_send_frame(conn, WSK_PING, true, "p", 1);
        break;
    case 3:
        if (wsk_conn_send_first(conn, WSK_BINARY, "a", 1, 0) == WSK_OK)
            wsk_conn_send_frame(conn, WSK_CONTINUATION, true, "b", 1);
        break;
    case 4:
        wsk_conn_drain(conn, (int)pick(seed, 5));
        break;
    case 5:
        ask(conn);
        break;
    case 6:
        wsk_conn_hear_pings(conn, pick(seed, 2) == 0);
        break;
    case 7:
        fetch(conn, pick(seed, 4));
        break;
    default:
        wsk_conn_send(conn, WSK_TEXT, big, pick(seed, 1000), true);
    }
}

static void *user_thread(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg * 7919U + 1;

    while (atomic_load(&blowing)) {
        wsk_conn *conn = borrow(&seed);

        if (conn != NULL) {
            for (unsigned i = pick(&seed, 4); i < 4; i++)
                use(conn, &seed);
            wsk_conn_unref(conn);
        }
        usleep(pick(&seed, 2000));
    }
    return NULL;
}

/* ---------------------------------------------------------- the application */

struct story {
    atomic_int inside, over;
};

static void tell(struct story *story)
{
    if (atomic_fetch_add(&story->inside, 1) != 0 || atomic_load(&story->over))
        atomic_fetch_add(&out_of_order, 1);
    atomic_fetch_sub(&story->inside, 1);
}

static void on_connect(wsk_conn *conn, void *user)
{
    tell(user);
    keep(conn);
}

static void on_message(wsk_conn *conn, const wsk_message *msg, void *user)
{
    tell(user);
    if (msg->len % 61 == 7)
        usleep(3000); /* late: the lead goes to another thread */
    if (msg->len % 97 == 8)
        usleep(60000); /* away */
    wsk_conn_send(conn, msg->opcode, msg->data, msg->len, true);
}

static void on_other(wsk_conn *conn, void *user)
{
    tell(user);
    wsk_conn_buffered(conn);
}

static void on_ping(wsk_conn *conn, const wsk_message *msg, void *user)
{
    (void)msg;
    on_other(conn, user);
}

static void on_close(wsk_conn *conn, const wsk_close_info *info, void *user)
{
    struct story *story = user;

    (void)info;
    tell(story);
    atomic_store(&story->over, 1);
    wsk_conn_send(conn, WSK_TEXT, "late", 4, true);
    free(story);
}

static const wsk_ws_handlers EVENTS = {.connect = on_connect,
                                       .message = on_message,
                                       .ping = on_ping,
                                       .pong = on_ping,
                                       .drain = on_other,
                                       .close = on_close};
static const wsk_ws_handlers DEAF = {
    .connect = on_connect, .message = on_message, .close = on_close};

static void echo_blocking(wsk_conn *conn, bool pieces)
{
    wsk_message msg;
    wsk_status st;

    keep(conn);
    do {
        st = pieces ? wsk_conn_receive_piece(conn, 30, &msg)
                    : wsk_conn_receive(conn, 30, &msg);
        if (st == WSK_E_STATE && !atomic_load(&blowing))
            break; /* a user has begun to take it in pieces */
        if (st != WSK_OK)
            continue;
        if (msg.len % 61 == 7)
            usleep(3000);
        if (msg.len % 97 == 8)
            usleep(60000);
        wsk_conn_send(conn, WSK_BINARY, msg.data, msg.len, true);
        if (wsk_conn_is_full(conn))
            wsk_conn_drain(conn, 20);
        wsk_message_free(&msg);
    } while (st == WSK_OK || st == WSK_E_TIMEOUT || st == WSK_E_STATE);
}

static void socket_handler(wsk_request *req, char how)
{
    wsk_conn *conn;
    int fd;
    const uint8_t *data;
    size_t len;

    if (how == 't') {
        if (wsk_request_detach(req, &fd, &data, &len) == WSK_OK) {
            (void)!write(fd, "HTTP/1.1 101 x\r\nContent-Length: 0\r\n\r\n", 38);
            (void)!read(fd, &how, 1);
            close(fd);
        }
        return;
    }
    if (how == 'r' || wsk_request_upgrade(req, NULL, NULL, 0, &conn) != WSK_OK)
        return;
    if (how == 'e' || how == 'd') {
        struct story *story = calloc(1, sizeof(*story));

        if (wsk_conn_attach(conn, how == 'e' ? &EVENTS : &DEAF, story) !=
            WSK_OK)
            free(story);
    } else {
        echo_blocking(conn, how == 'p');
    }
}

static void release(void *user)
{
    (void)user;
    atomic_fetch_sub(&loans, 1);
}

static void lend(wsk_request *req)
{
    if (wsk_request_start(req, 200, NULL, NULL, 0, 2 * BIG) != WSK_OK)
        return;
    for (int i = 0; i < 2; i++) {
        atomic_fetch_add(&loans, 1);
        if (wsk_request_lend(req, big, BIG, release, NULL) != WSK_OK)
            atomic_fetch_sub(&loans, 1);
    }
}

static void stream(wsk_request *req)
{
    if (wsk_request_start(req, 200, NULL, NULL, 0, WSK_LENGTH_UNKNOWN) !=
        WSK_OK)
        return;
    for (int i = 0; i < 8; i++) {
        if (wsk_request_write(req, big, BIG / 8) != WSK_OK)
            return;
        if (wsk_request_flush(req) == WSK_E_AGAIN &&
            wsk_request_drain(req) != WSK_OK)
            return;
    }
}

static void read_body(wsk_request *req)
{
    char data[4096], said[32];
    size_t got, sum = 0;
    wsk_status st;

    do {
        st = wsk_request_read(req, data, sizeof(data), &got);
        if (st == WSK_E_AGAIN)
            st = wsk_request_wait(req);
        else if (st == WSK_OK && got == 0)
            break;
        else
            sum += got;
    } while (st == WSK_OK);
    snprintf(said, sizeof(said), "%zu", sum);
    wsk_request_respond(req, 200, NULL, 0, said, strlen(said));
}

static void handler(wsk_request *req, void *user)
{
    wsk_str path = wsk_request_head(req)->path;
    char how = path.len > 1 ? path.p[1] : '/';

    (void)user;
    if (wsk_request_head(req)->websocket) {
        socket_handler(req, how);
        return;
    }
    if (how == 'w') {
        usleep(4000); /* late */
        wsk_server_log(wsk_request_server(req), WSK_LOG_ERROR, "late", 4);
        wsk_server_reopen_logs(wsk_request_server(req));
    }
    if (how == 'z')
        usleep(150000); /* past request_timeout, and past the stop */
    if (how == 'l')
        lend(req);
    else if (how == 'c')
        stream(req);
    else if (how == 'b')
        read_body(req);
    else if (how == 'f' &&
             wsk_request_start(req, 200, NULL, NULL, 0, BIG) == WSK_OK)
        wsk_request_send_file(req, big_fd, 0, BIG);
    else if (how == 'a' &&
             wsk_request_start(req, 200, NULL, NULL, 0, 9) == WSK_OK)
        wsk_request_abort(req);
    else if (how == 'h')
        wsk_request_hints(req, NULL, 0);
    else if (how != 'n')
        wsk_request_respond(req, 200, NULL, 0, path.p, path.len);
}

/* ---------------------------------------------------------------- the peers */

static int try_dial_port(unsigned *seed, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval patience = {0, 100000};
    int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (pick(seed, 2) == 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    close(fd);
    return -1;
}

static int try_dial(unsigned *seed)
{
    return try_dial_port(seed, storm.port);
}

static void hang_up(int fd, unsigned *seed)
{
    struct linger reset = {1, 0};

    if (pick(seed, 2) == 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    else if (pick(seed, 2) == 0)
        shutdown(fd, SHUT_WR);
    if (pick(seed, 3) == 0)
        usleep(pick(seed, 20000));
    close(fd);
}

/* Reads some of what came, or nothing. */
static void hear_some(int fd, unsigned *seed)
{
    static _Thread_local char trash[65536];

    for (unsigned i = pick(seed, 6); i > 0; i--)
        if (recv(fd, trash, 1 + pick(seed, sizeof(trash)), 0) <= 0)
            return;
}

static void get_some(int fd, unsigned *seed)
{
    static const char *const HEADS[] = {
        GET("/g"),
        GET("/g") GET("/w") GET("/g"),
        GET("/w"),
        GET("/l"),
        GET("/f"),
        GET("/c"),
        GET("/a"),
        GET("/h"),
        GET("/n"),
        GET("/z"),
        GET("/s/big"),
        GET("/l") GET("/f") GET("/s/big") GET("/g"),
        "GET /s/big HTTP/1.1\r\nHost: x\r\nRange: bytes=5-70000\r\n\r\n",
        "HEAD /s/big HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /g HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /g HTTP/1.1\r\nHo",
        "bad\r\n\r\n",
    };

    for (unsigned i = pick(seed, 6); i < 6; i++) {
        say(fd, HEADS[pick(seed, sizeof(HEADS) / sizeof(*HEADS))]);
        hear_some(fd, seed);
    }
}

static void post_some(int fd, unsigned *seed)
{
    char head[160];
    unsigned len = pick(seed, 2) ? pick(seed, 2000) : pick(seed, BIG);
    bool chunked = pick(seed, 2);

    snprintf(head, sizeof(head), "POST /b HTTP/1.1\r\nHost: x\r\n%s",
             pick(seed, 3) == 0 ? "Expect: 100-continue\r\n" : "");
    say(fd, head);
    if (chunked)
        snprintf(head, sizeof(head), "Transfer-Encoding: chunked\r\n\r\n%x\r\n",
                 len + 1);
    else
        snprintf(head, sizeof(head), "Content-Length: %u\r\n\r\n", len + 1);
    say(fd, head);
    for (unsigned i = 0; i < 2; i++) {
        say_octets(fd, big, len / 2);
        if (pick(seed, 3) == 0)
            usleep(pick(seed, 30000));
        if (pick(seed, 8) == 0)
            return;
    }
    say_octets(fd, big, len + 1 - len / 2 * 2);
    if (chunked)
        say(fd, "\r\n0\r\n\r\n");
    hear_some(fd, seed);
}

/* A frame with a zero mask, of any length. */
static bool say_long(int fd, int first, size_t len)
{
    unsigned char head[14] = {(unsigned char)first, 0x80 | 127};

    for (int i = 0; i < 8; i++)
        head[2 + i] = (unsigned char)((uint64_t)len >> (56 - 8 * i));
    if (len < 126) {
        head[1] = (unsigned char)(0x80 | len);
        memset(head + 2, 0, 4);
        return say_octets(fd, head, 6) && say_octets(fd, big, len);
    }
    if (len < 65536) {
        head[1] = 0x80 | 126;
        head[2] = (unsigned char)(len >> 8), head[3] = (unsigned char)len;
        memset(head + 4, 0, 4);
        return say_octets(fd, head, 8) && say_octets(fd, big, len);
    }
    return say_octets(fd, head, 14) && say_octets(fd, big, len);
}

static void speak(int fd, unsigned *seed)
{
    static const char HELLO[] = "\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\0";

    switch (pick(seed, 14)) {
    case 0:
        say_frame(fd, 9, "ping", 4);
        break;
    case 1:
        say_octets(fd, HELLO, sizeof(HELLO) - 1); /* RFC 7692 7.2.3.1 */
        break;
    case 2:
        say_long(fd, 0x02, pick(seed, 1000));
        say_frame(fd, 9, "between", 7);
        say_long(fd, 0x80, pick(seed, 1000));
        break;
    case 3:
        say_long(fd, 0x82, pick(seed, BIG));
        break;
    case 4:
        say_frame(fd, 8, "\x03\xe8", 2);
        break;
    case 5:
        say_octets(fd, "\x82\xfe\x10\x00\0\0\0\0half", 12);
        break;
    case 6:
        hear_some(fd, seed);
        break;
    case 7:
        usleep(pick(seed, 80000));
        break;
    default:
        for (unsigned i = pick(seed, 40); i > 0; i--)
            say_long(fd, 0x82, pick(seed, 300));
    }
}

static void socket_some(int fd, unsigned *seed)
{
#define DEFLATE "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    static const char *const HEADS[] = {
        UPGRADE("/e"),
        UPGRADE("/b"),
        UPGRADE("/p"),
        UPGRADE("/d"),
        UPGRADE_WITH("/e", DEFLATE),
        UPGRADE_WITH("/b", DEFLATE),
        UPGRADE("/t"),
        UPGRADE("/r"),
    };

    say(fd, HEADS[pick(seed, 4) == 0 ? pick(seed, 8) : pick(seed, 6)]);
    if (pick(seed, 4) != 0 && hear_answer(fd, NULL, 0) != 101)
        return;
    for (unsigned i = pick(seed, 12); i < 12; i++)
        speak(fd, seed);
    hear_some(fd, seed);
}

/* Many requests at once and something odd behind them; hardly an answer is
 * read, so any of them may find no room to leave. */
static void pipeline_some(int fd, unsigned *seed)
{
#define POST(fields) "POST /b HTTP/1.1\r\nHost: x\r\n" fields "\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
    static const char *const PIECES[] = {
        GET("/g"),
        GET("/w"),
        GET("/f"),
        GET("/c"),
        GET("/a"),
        GET("/s/big"),
        GET("/s/none"),
        "GET /g HTTP/1.1\r\nHost: other\r\n\r\n",
        "GET /g HTTP/1.1\r\nHost: x\r\nForwarded: for=1.2.3.4;host=x\r\n\r\n",
        POST("Content-Length: 5\r\n") "hello",
        POST("Content-Length: 20000\r\n") "not so much",
        POST("Content-Length: 99999999999\r\n"),
        POST("Expect: 100-continue\r\nContent-Length: 5\r\n"),
        POST(CHUNKED) "5\r\nhello\r\n0\r\n\r\n",
        POST(CHUNKED) "5\r\nhello\r\nno\r\n",
        POST(CHUNKED "Expect: 100-continue\r\n") "no\r\n",
        "\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        UPGRADE("/e"),
        UPGRADE("/b"),
        UPGRADE_WITH("/e", "Origin: http://other\r\n"),
    };
    const unsigned n = sizeof(PIECES) / sizeof(*PIECES);
    const char *usual = PIECES[pick(seed, n)];
    unsigned odd = pick(seed, 4); /* of four */

    for (unsigned i = pick(seed, 60); i < 60; i++)
        if (!say(fd, pick(seed, 4) < odd ? PIECES[pick(seed, n)] : usual))
            return;
    for (unsigned i = pick(seed, 3); i < 3; i++) {
        usleep(pick(seed, 40000));
        say(fd, PIECES[pick(seed, n)]);
        if (pick(seed, 3) == 0)
            hear_some(fd, seed);
    }
}

static void *peer_thread(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg * 104729U + 3;

    while (atomic_load(&blowing)) {
        int fd = try_dial(&seed);

        if (fd < 0) {
            usleep(1000);
            continue;
        }
        switch (pick(&seed, 6)) {
        case 0:
            get_some(fd, &seed);
            break;
        case 2:
        case 3:
            pipeline_some(fd, &seed);
            break;
        case 1:
            post_some(fd, &seed);
            break;
        default:
            socket_some(fd, &seed);
        }
        hang_up(fd, &seed);
    }
    return NULL;
}

/* Ask for the metrics, over and over. */
static void *scraper_thread(void *port)
{
    static const char *const ASKED[] = {
        GET("/metrics"), GET("/metrics") GET("/ready"), GET("/live"),
        "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
        "GET /metrics HT"};
    unsigned seed = 7;

    while (atomic_load(&blowing)) {
        const char *asked = ASKED[pick(&seed, 5)];
        int fd = try_dial_port(&seed, (uint16_t)(uintptr_t)port);

        if (fd >= 0) {
            send(fd, asked, strlen(asked), MSG_NOSIGNAL);
            hear_some(fd, &seed);
            hang_up(fd, &seed);
        }
        usleep(pick(&seed, 5000));
    }
    return NULL;
}

/* ----------------------------------------------------------------- a round */

static void *stop_thread(void *arg)
{
    wsk_server_stop(arg, 100);
    wsk_server_join(arg, 20);
    wsk_server_stop(arg, -1);
    return NULL;
}

static bool holds_nothing(wsk_server *srv)
{
    bool nobody;

    wsk__dispatch_lock(&srv->dispatch);
    nobody = srv->dispatch.n_running + srv->dispatch.n_parked +
                 srv->dispatch.n_places + srv->dispatch.n_unparking +
                 srv->dispatch.n_queued ==
             0;
    wsk__dispatch_unlock(&srv->dispatch);
    return nobody && atomic_load(&srv->conns.counted) == 0 &&
           atomic_load(&srv->conns.heads) == 0 &&
           atomic_load(&srv->conns.n_silent) == 0 &&
           atomic_load(&srv->conns.n_admin) == 0 &&
           atomic_load(&srv->site.body_file_bytes) == 0 &&
           atomic_load(&srv->site.streaming) == 0 &&
           atomic_load(&srv->sockets.deflate_bytes) == 0;
}

static void end_all(pthread_t *peers, pthread_t *users, pthread_t scraper)
{
    atomic_store(&blowing, false);
    pthread_join(scraper, NULL);
    for (int i = 0; i < USERS; i++)
        pthread_join(users[i], NULL);
    for (int i = 0; i < PEERS; i++)
        pthread_join(peers[i], NULL);
}

/* For every ending of the connections, the memory counted for them is given
 * back. */
static void expect_nothing_held(void)
{
    bool nothing = false;

    for (int ms = 0; ms < 2 * PATIENCE_MS && !nothing; ms++) {
        usleep(1000);
        for (int i = 0; i < KEPT; i++)
            keep(NULL);
        nothing = holds_nothing(storm.srv);
    }
    EXPECT(nothing);
}

/* The users go on when the server is gone: what they hold outlives it. `calm`:
 * all have left before it is stopped. */
static void blow(unsigned nth, const char *options, bool calm)
{
    pthread_t peers[PEERS], users[USERS], stopper, scraper;
    uintptr_t port;
    char all[400];

    snprintf(all, sizeof(all),
             "static=/s=%s access_logfile=/dev/null error_logfile=/dev/null "
             "metrics_bind=127.0.0.1:0 %s",
             folder, options);
    storm = serve(handler, NULL, all);
    port =
        strtoul(strrchr(wsk_server_metrics_url(storm.srv), ':') + 1, NULL, 10);
    atomic_store(&blowing, true);
    pthread_create(&scraper, NULL, scraper_thread, (void *)port);
    for (uintptr_t i = 0; i < PEERS; i++)
        pthread_create(&peers[i], NULL, peer_thread, (void *)(i + 100U * nth));
    for (uintptr_t i = 0; i < USERS; i++)
        pthread_create(&users[i], NULL, user_thread, (void *)(i + 100U * nth));
    usleep(ROUND_MS * 1000);
    if (calm) {
        end_all(peers, users, scraper);
        expect_nothing_held();
    }
    pthread_create(&stopper, NULL, stop_thread, storm.srv);
    EXPECT(wsk_server_join(storm.srv, PATIENCE_MS) != WSK_E_TIMEOUT);
    pthread_join(stopper, NULL);
    wsk_server_free(storm.srv);
    usleep(20000);
    if (!calm)
        end_all(peers, users, scraper);
    for (int i = 0; i < KEPT; i++)
        keep(NULL);
    for (int ms = 0; ms < PATIENCE_MS && atomic_load(&loans) > 0; ms++)
        usleep(1000); /* a handler that was abandoned ends later */
    EXPECT(atomic_load(&out_of_order) == 0);
    EXPECT(atomic_load(&loans) == 0);
}

static void blow_through(const char *const *options, unsigned n)
{
    const char *times = getenv("STORM");
    char path[64];

    signal(SIGPIPE, SIG_IGN); /* of a handler that has taken the socket */
    EXPECT(mkdtemp(folder) != NULL);
    snprintf(path, sizeof(path), "%s/big", folder);
    memset(big, 'x', BIG);
    big_fd = open(path, O_RDWR | O_CREAT, 0600);
    EXPECT(write(big_fd, big, BIG) == BIG);
    n *= times != NULL ? (unsigned)atoi(times) : 1;
    for (unsigned i = 0; i < n; i++)
        blow(i, options[i % ROUNDS], i % 2 == 1);
    close(big_fd);
    unlink(path);
    rmdir(folder);
}

TEST(whatever_comes_at_once_a_server_serves_and_ends)
{
    static const char *const OPTIONS[ROUNDS] = {
        "",
        "threads=2 body_memory=4k ws_compression=takeover",
        "threads=1 ws_send_limit=4k ws_send_max=64k buffer_body=never",
        "memory_limit=64k ws_ping_interval=0.02 ws_ping_timeout=0.02",
        "max_connections=6 head_timeout=0.03 keep_alive=0.03 "
        "request_timeout=0.05",
        "threads=3 queue_limit=2 max_parked=3 ws_send_policy=drop "
        "ws_send_max=64k",
        "threads=4 request_timeout=0.02 ws_ping_interval=0.01 "
        "ws_close_timeout=0.02 ws_max_queue=2",
        "threads=2 body_memory=4k spill_limit=64k memory_limit=64k "
        "allowed_hosts=x head_timeout=0.1 keep_alive=0.1 max_parked=2",
        "threads=2 proxy_protocol=on trusted_proxies=* allowed_hosts=x "
        "forwarded_fields=forwarded access_log_format=json "
        "first_octet_timeout=0.03",
    };

    blow_through(OPTIONS, ROUNDS);
}
