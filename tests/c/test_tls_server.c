/* A server over TLS, and clients of OpenSSL's own. */
#include "harness.h"

#ifdef WSK_TLS

#include "net/os/stream_tls.h"
#include "tls_peer.h"

#include <sys/resource.h>

enum { LONG = 10 << 20 };

static char *noise; /* LONG bytes */

__attribute__((constructor)) static void make_noise(void)
{
    uint32_t seed = 1;

    noise = malloc(LONG);
    for (size_t i = 0; i < LONG; i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i] = (char)(seed >> 24);
    }
}

static void hello(wsk_request *req, void *user)
{
    const char *scheme = wsk_request_scheme(req);

    (void)user;
    wsk_request_respond(req, 200, NULL, 0, scheme, strlen(scheme));
}

static void answer_noise(wsk_request *req, size_t n)
{
    wsk_request_respond(req, 200, NULL, 0, noise, n);
}

/* Say how many bytes of the noise have come, and whether they are it. */
static void count_body(wsk_request *req)
{
    char part[5000], text[64];
    size_t n = 0, got;
    bool same = true;
    wsk_status st;

    while ((st = wsk_request_read(req, part, sizeof(part), &got)) == WSK_OK ||
           st == WSK_E_AGAIN) {
        if (st == WSK_OK && got == 0)
            break;
        if (st == WSK_E_AGAIN) {
            wsk_request_wait(req);
            continue;
        }
        same = same && n + got <= LONG && memcmp(part, noise + n, got) == 0;
        n += got;
    }
    snprintf(text, sizeof(text), "%zu %d", n, same);
    wsk_request_respond(req, 200, NULL, 0, text, strlen(text));
}

static void send_file(wsk_request *req, size_t n)
{
    FILE *file = tmpfile();

    EXPECT(fwrite(noise, 1, n, file) == n);
    fflush(file);
    wsk_request_start(req, 200, NULL, NULL, 0, n);
    wsk_request_send_file(req, fileno(file), 0, n);
    wsk_request_finish(req);
    fclose(file);
}

static void echo(wsk_request *req)
{
    wsk_conn *conn;
    wsk_message msg;

    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) != WSK_OK)
        return;
    while (wsk_conn_receive(conn, -1, &msg) == WSK_OK) {
        wsk_conn_send(conn, msg.opcode, msg.data, msg.len, true);
        wsk_message_free(&msg);
    }
}

static void on_message(wsk_conn *conn, const wsk_message *msg, void *user)
{
    (void)user;
    wsk_conn_send(conn, msg->opcode, msg->data, msg->len, true);
}

static void echo_by_events(wsk_request *req)
{
    static const wsk_ws_handlers EVENTS = {.message = on_message};
    wsk_conn *conn;

    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) == WSK_OK)
        wsk_conn_attach(conn, &EVENTS, NULL);
}

/* Promise more than is sent. */
static void cut_short(wsk_request *req)
{
    wsk_request_start(req, 200, NULL, NULL, 0, 100);
    wsk_request_write(req, "half", 4);
    wsk_request_abort(req);
}

static void serve_all(wsk_request *req, void *user)
{
    const char *path = wsk_request_head(req)->path.p;

    if (strncmp(path, "/noise/", 7) == 0)
        answer_noise(req, strtoul(path + 7, NULL, 10));
    else if (strncmp(path, "/file/", 6) == 0)
        send_file(req, strtoul(path + 6, NULL, 10));
    else if (strncmp(path, "/body", 5) == 0)
        count_body(req);
    else if (strncmp(path, "/echo", 5) == 0)
        echo(req);
    else if (strncmp(path, "/events", 7) == 0)
        echo_by_events(req);
    else if (strncmp(path, "/cut", 4) == 0)
        cut_short(req);
    else
        hello(req, user);
}

static bool asks(SSL *ssl, const char *path, char *body, size_t cap)
{
    char text[256];

    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    return tls_say(ssl, text) && tls_hear_answer(ssl, body, cap) == 200;
}

static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void speak(int version)
{
    sure(SSL_CTX_set_min_proto_version(peer_ctx, version) == 1 &&
         SSL_CTX_set_max_proto_version(peer_ctx, version) == 1);
}

/* ------------------------------------------------------- HTTP and sockets ---
 */

TEST(requests_are_answered_on_a_kept_connection)
{
    struct served s = serve_tls(serve_all, NULL, NULL);
    char body[64];

    for (int i = 0; i < 2; i++) {
        SSL *ssl;

        speak(VERSIONS[i]);
        ssl = tls_dial(&s);
        EXPECT(ssl != NULL);
        for (int n = 0; n < 3; n++) {
            EXPECT(asks(ssl, "/", body, sizeof(body)));
            EXPECT(strcmp(body, "https") == 0);
        }
        tls_close(ssl);
    }
    EXPECT(limit_count(&s, WSK__LIMIT_HANDSHAKES) == 0);
    wsk_server_free(s.srv);
}

TEST(answers_of_any_length_arrive_whole)
{
    static const size_t SIZES[] = {0,     1,     16000,  16384,
                                   16385, 70000, 300000, LONG};
    struct served s = serve_tls(serve_all, NULL, NULL);
    char *body = malloc(LONG + 1), path[64];
    SSL *ssl = tls_dial(&s);

    for (size_t i = 0; i < sizeof(SIZES) / sizeof(*SIZES); i++)
        for (int file = 0; file < 2; file++) {
            snprintf(path, sizeof(path), "/%s/%zu", file ? "file" : "noise",
                     SIZES[i]);
            EXPECT(asks(ssl, path, body, LONG + 1));
            EXPECT(memcmp(body, noise, SIZES[i]) == 0);
        }
    tls_close(ssl);
    free(body);
    wsk_server_free(s.srv);
}

static void expect_upload(SSL *ssl, size_t n, size_t step)
{
    char head[160], body[64], text[64];

    snprintf(head, sizeof(head),
             "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
             n);
    EXPECT(tls_say(ssl, head));
    for (size_t at = 0; at < n; at += step)
        EXPECT(tls_say_octets(ssl, noise + at, at + step < n ? step : n - at));
    EXPECT(tls_hear_answer(ssl, body, sizeof(body)) == 200);
    snprintf(text, sizeof(text), "%zu 1", n);
    EXPECT(strcmp(body, text) == 0);
}

TEST(bodies_arrive_in_records_of_any_length)
{
    static const char *const HOW[] = {"buffer_body=auto", "buffer_body=never"};

    for (int i = 0; i < 2; i++) {
        struct served s = serve_tls(serve_all, NULL, HOW[i]);
        SSL *ssl = tls_dial(&s);

        expect_upload(ssl, 3000, 1);
        expect_upload(ssl, 100000, 777);
        expect_upload(ssl, LONG, 65536);
        tls_close(ssl);
        wsk_server_free(s.srv);
    }
}

/* Send a masked frame, with a mask of zeros. */
static bool say_message(SSL *ssl, const char *data, size_t len)
{
    unsigned char head[14] = {0x82};
    int wide = len < 126 ? 0 : len < 65536 ? 2 : 8;

    head[1] = (unsigned char)(0x80 | (wide == 0 ? len : wide == 2 ? 126 : 127));
    for (int i = 0; i < wide; i++)
        head[2 + i] = (unsigned char)((uint64_t)len >> (8 * (wide - 1 - i)));
    return tls_say_octets(ssl, head, (size_t)(6 + wide)) &&
           (len == 0 || tls_say_octets(ssl, data, len));
}

static bool hears_message(SSL *ssl, const char *data, size_t len)
{
    unsigned char head[10];
    size_t n;
    char *got;
    bool same;

    if (!tls_hear_octets(ssl, head, 2))
        return false;
    n = head[1];
    if (n >= 126) {
        int wide = n == 126 ? 2 : 8;

        if (!tls_hear_octets(ssl, head, (size_t)wide))
            return false;
        n = 0;
        for (int i = 0; i < wide; i++)
            n = n << 8 | head[i];
    }
    got = malloc(n + 1);
    same = n == len && tls_hear_octets(ssl, got, n) &&
           memcmp(got, data, n) == 0;
    free(got);
    return same;
}

static SSL *open_socket(const struct served *s, const char *request)
{
    SSL *ssl = tls_dial(s);

    if (ssl != NULL && tls_say(ssl, request) &&
        tls_hear_answer(ssl, NULL, 0) == 101)
        return ssl;
    tls_close(ssl);
    return NULL;
}

TEST(sockets_echo_messages_of_any_length)
{
    static const size_t SIZES[] = {0, 1, 125, 9000, 16384, 70000, 900000, LONG};
    static const char *const OPEN[] = {UPGRADE("/echo"), UPGRADE("/events")};
    struct served s = serve_tls(serve_all, NULL, "ws_max_size=20971520");

    for (int how = 0; how < 2; how++) {
        SSL *ssl = open_socket(&s, OPEN[how]);

        EXPECT(ssl != NULL);
        for (size_t i = 0; i < sizeof(SIZES) / sizeof(*SIZES); i++) {
            EXPECT(say_message(ssl, noise, SIZES[i]));
            EXPECT(hears_message(ssl, noise, SIZES[i]));
        }
        for (int i = 0; i < 100; i++)
            EXPECT(say_message(ssl, noise + i, 100));
        for (int i = 0; i < 100; i++)
            EXPECT(hears_message(ssl, noise + i, 100));
        tls_close(ssl);
    }
    wsk_server_free(s.srv);
}

TEST(messages_arrive_in_records_of_one_octet)
{
    static const char *const OPEN[] = {UPGRADE("/echo"), UPGRADE("/events")};
    struct served s = serve_tls(serve_all, NULL, NULL);

    for (int how = 0; how < 2; how++) {
        SSL *ssl = open_socket(&s, OPEN[how]);
        unsigned char frame[6 + 100] = {0x82, 0x80 | 100};

        memcpy(frame + 6, noise, 100);
        for (size_t i = 0; i < sizeof(frame); i++)
            EXPECT(tls_say_octets(ssl, frame + i, 1));
        EXPECT(hears_message(ssl, noise, 100));
        tls_close(ssl);
    }
    wsk_server_free(s.srv);
}

/* -------------------------------------------------------------- openings ---
 */

/* The ClientHello of a new client; its handshake goes on over `fd`. */
static SSL *hello_of(int fd, char *hello, size_t cap, size_t *n)
{
    SSL *ssl = SSL_new(peer_ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

    SSL_set_bio(ssl, in, out);
    EXPECT(SSL_connect(ssl) < 0);
    *n = (size_t)BIO_read(out, hello, (int)cap);
    sure(SSL_set_fd(ssl, fd) == 1);
    return ssl;
}

static bool shakes(SSL *ssl)
{
    ERR_clear_error();
    return SSL_connect(ssl) == 1;
}

static const char V1[] = "PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n";
static const char V2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01"
                         "\xc0\0\x02\x02\x04\xd2\x01\xbb";

static void tell_peer(wsk_request *req, void *user)
{
    const char *peer = wsk_request_peer(req, NULL);

    (void)user;
    wsk_request_respond(req, 200, NULL, 0, peer, strlen(peer));
}

static void expect_peer(const struct served *s, const char *header, size_t n,
                        bool together)
{
    char octets[4096], body[64];
    int fd = dial(s);
    size_t more;
    SSL *ssl = hello_of(fd, octets + n, sizeof(octets) - n, &more);

    memcpy(octets, header, n);
    if (together) {
        EXPECT(say_octets(fd, octets, n + more));
    } else {
        EXPECT(say_octets(fd, octets, n));
        usleep(20000);
        EXPECT(say_octets(fd, octets + n, more));
    }
    EXPECT(shakes(ssl));
    EXPECT(asks(ssl, "/", body, sizeof(body)));
    EXPECT(strcmp(body, "192.0.2.1") == 0);
    tls_close(ssl);
}

TEST(a_proxy_header_comes_first_in_the_same_segment_or_another)
{
    struct served s = serve_tls(tell_peer, NULL, "proxy_protocol=on");

    for (int together = 0; together < 2; together++) {
        expect_peer(&s, V1, sizeof(V1) - 1, together);
        expect_peer(&s, V2, sizeof(V2) - 1, together);
    }
    wsk_server_free(s.srv);
}

TEST(a_hello_may_come_octet_by_octet)
{
    struct served s = serve_tls(serve_all, NULL, NULL);
    char octets[4096];
    int fd = dial(&s);
    size_t n;
    SSL *ssl = hello_of(fd, octets, sizeof(octets), &n);

    for (size_t i = 0; i < n; i++)
        EXPECT(say_octets(fd, octets + i, 1));
    EXPECT(shakes(ssl));
    EXPECT(asks(ssl, "/", octets, sizeof(octets)));
    tls_close(ssl);
    wsk_server_free(s.srv);
}

TEST(the_first_request_may_come_with_the_end_of_the_handshake)
{
    struct served s = serve_tls(serve_all, NULL, NULL);
    char octets[4096], body[64];
    int fd = dial(&s);
    BIO *out = BIO_new(BIO_s_mem());
    SSL *ssl;
    size_t n;

    speak(TLS1_3_VERSION);
    ssl = hello_of(fd, octets, sizeof(octets), &n);
    EXPECT(say_octets(fd, octets, n));
    BIO_up_ref(out);
    SSL_set0_wbio(ssl, out); /* keep back what the client says */
    EXPECT(shakes(ssl));
    EXPECT(tls_say(ssl, GET("/noise/9") GET("/")));
    n = (size_t)BIO_read(out, octets, sizeof(octets));
    EXPECT(say_octets(fd, octets, n));
    EXPECT(tls_hear_answer(ssl, body, sizeof(body)) == 200);
    EXPECT(memcmp(body, noise, 9) == 0);
    EXPECT(tls_hear_answer(ssl, body, sizeof(body)) == 200);
    EXPECT(strcmp(body, "https") == 0);
    SSL_free(ssl);
    close(fd);
    BIO_free(out);
    wsk_server_free(s.srv);
}

TEST(an_opening_that_takes_too_long_is_closed)
{
    struct served s = serve_tls(serve_all, NULL, "tls_handshake_timeout=1");
    char octets[4096];
    int silent = dial(&s), half = dial(&s), stuck = dial(&s);
    SSL *ssl[2];
    size_t n;

    ssl[0] = hello_of(half, octets, sizeof(octets), &n);
    EXPECT(say_octets(half, octets, n / 2));
    ssl[1] = hello_of(stuck, octets, sizeof(octets), &n);
    EXPECT(say_octets(stuck, octets, n)); /* and nothing after that */
    EXPECT(hears_end(silent));
    EXPECT(hears_end(half));
    EXPECT(hears_end(stuck));
    EXPECT(limit_count(&s, WSK__LIMIT_HANDSHAKES) == 3);
    close(silent);
    tls_close(ssl[0]);
    tls_close(ssl[1]);
    wsk_server_free(s.srv);
}

TEST(of_too_many_openings_the_oldest_goes)
{
    struct served s = serve_tls(serve_all, NULL, "max_connections=16");
    int fd[12];
    char body[64];
    SSL *ssl;

    for (int i = 0; i < 12; i++) {
        fd[i] = dial(&s);
        EXPECT(say_octets(fd[i], "\x16\x03", 2));
    }
    for (int i = 0; i < 4; i++)
        EXPECT(recv(fd[i], body, 1, 0) <= 0);
    ssl = tls_dial(&s);
    EXPECT(ssl != NULL && asks(ssl, "/", body, sizeof(body)));
    EXPECT(recv(fd[4], body, 1, 0) <= 0);
    EXPECT(!hears(fd[11], 0));
    for (int i = 0; i < 12; i++)
        close(fd[i]);
    tls_close(ssl);
    wsk_server_free(s.srv);
}

/* A job that keeps a thread of the handshakes until `held` is unlocked. */
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static atomic_int n_held, n_let_go;

static void hold(struct wsk__job *job)
{
    (void)job;
    atomic_fetch_add(&n_held, 1);
    pthread_mutex_lock(&held);
    pthread_mutex_unlock(&held);
}

static void let_go(struct wsk__job *job)
{
    (void)job;
    atomic_fetch_add(&n_let_go, 1);
}

static bool queue_comes_to(struct wsk__offload *offload,
                           unsigned n) WSK__NO_ANALYSIS
{
    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        unsigned now;

        pthread_mutex_lock(&offload->lock);
        now = offload->n;
        pthread_mutex_unlock(&offload->lock);
        if (now == n)
            return true;
        usleep(1000);
    }
    return false;
}

/* Return true if n descriptors more than a test has anyway can be open. */
static bool may_open(rlim_t n)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    return limit.rlim_max >= n + 100 && setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* Send a hello, and leave the rest for later: it waits behind all others. */
static SSL *begin_hello(const struct served *s)
{
    SSL *ssl = SSL_new(peer_ctx);
    struct timeval patience = {10 * PATIENCE_MS / 1000, 0};
    int fd = dial(s);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sure(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    EXPECT(SSL_connect(ssl) == -1 &&
           SSL_get_error(ssl, -1) == SSL_ERROR_WANT_READ);
    fcntl(fd, F_SETFL, 0);
    return ssl;
}

TEST(more_than_1024_handshakes_wait_in_their_order)
{
    enum { JOBS = 1024, MORE = 40 };
    static SSL *client[JOBS + MORE];
    static struct wsk__job holder[8];
    char body[64];
    struct served s;
    unsigned threads;
    SSL *kept;

    if (!may_open(2 * (JOBS + MORE)))
        return;
    s = serve_tls(serve_all, NULL,
                  "max_connections=2400 tls_handshake_timeout=100");
    threads = s.srv->shakes.kind.threads;
    kept = tls_dial(&s);
    EXPECT(asks(kept, "/", body, sizeof(body)));
    pthread_mutex_lock(&held);
    for (unsigned i = 0; i < threads; i++) {
        holder[i] = (struct wsk__job){.run = hold, .done = let_go};
        EXPECT(wsk__offload_ask(&s.srv->shakes, &holder[i]));
    }
    EXPECT(comes_to(&n_held, (int)threads));
    for (int i = 0; i < JOBS + MORE; i++)
        client[i] = begin_hello(&s);
    EXPECT(queue_comes_to(&s.srv->shakes, JOBS));
    for (int i = 0; i < 20; i++) /* all hellos are read meanwhile */
        EXPECT(asks(kept, "/", body, sizeof(body)));
    EXPECT(queue_comes_to(&s.srv->shakes, JOBS));
    EXPECT(limit_count(&s, WSK__LIMIT_HANDSHAKES) == 0);
    tls_close(client[0]); /* of the jobs, and of those that wait */
    tls_close(client[JOBS + MORE - 1]);
    pthread_mutex_unlock(&held);
    for (int i = 1; i < JOBS + MORE - 1; i++) {
        EXPECT(SSL_connect(client[i]) == 1);
        EXPECT(asks(client[i], "/", body, sizeof(body)));
        tls_close(client[i]);
    }
    EXPECT(comes_to(&n_let_go, (int)threads));
    tls_close(kept);
    wsk_server_free(s.srv);
}

TEST(a_client_without_tls_is_told)
{
    struct served s = serve_tls(serve_all, NULL, NULL);
    int fd = dial(&s);
    char body[256];

    EXPECT(say(fd, GET("/")));
    EXPECT(hear_answer(fd, body, sizeof(body)) == 400);
    EXPECT(strstr(body, "https://") != NULL);
    EXPECT(hears_end(fd));
    close(fd);
    fd = dial(&s);
    EXPECT(say(fd, "\x01\x02\x03"));
    EXPECT(recv(fd, body, 1, 0) <= 0);
    close(fd);
    EXPECT(limit_count(&s, WSK__LIMIT_HANDSHAKES) == 2);
    wsk_server_free(s.srv);
}

TEST(a_client_that_speaks_tls_to_a_plain_server_is_logged)
{
    struct served s = serve(serve_all, NULL, NULL);

    make_tls();
    EXPECT(tls_dial(&s) == NULL);
    EXPECT(is_hit(&s, WSK__LIMIT_TLS));
    wsk_server_free(s.srv);
}

static SSL *dial_with_alpn(const struct served *s, const char *names)
{
    SSL *ssl = SSL_new(peer_ctx);
    int fd = dial(s);

    SSL_set_alpn_protos(ssl, (const uint8_t *)names, (unsigned)strlen(names));
    sure(SSL_set_fd(ssl, fd) == 1);
    if (shakes(ssl))
        return ssl;
    tls_close(ssl);
    return NULL;
}

TEST(a_protocol_is_agreed_on_or_the_handshake_fails)
{
    struct served s = serve_tls(serve_all, NULL, NULL);
    SSL *ssl = dial_with_alpn(&s, "\2h2\10http/1.1");
    const uint8_t *name;
    char body[64];
    unsigned n;

    EXPECT(ssl != NULL);
    SSL_get0_alpn_selected(ssl, &name, &n);
    EXPECT(n == 8 && memcmp(name, "http/1.1", 8) == 0);
    EXPECT(asks(ssl, "/", body, sizeof(body)));
    tls_close(ssl);
    speak(TLS1_2_VERSION);
    EXPECT(dial_with_alpn(&s, "\2h2") == NULL);
    EXPECT(ERR_GET_REASON(ERR_peek_last_error()) ==
           SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
    speak(TLS1_3_VERSION);
    EXPECT(is_hit(&s, WSK__LIMIT_HANDSHAKES));
    wsk_server_free(s.srv);
}

/* ------------------------------------------------------------------ ends ---
 */

/* ------------------------------------------------------ parts of records ---
 */

/* The record of some bytes, which is not sent. */
static size_t record_of(SSL *ssl, const void *data, size_t len, char *record,
                        size_t cap)
{
    BIO *out = BIO_new(BIO_s_mem()), *wire = SSL_get_wbio(ssl);
    int n;

    BIO_up_ref(wire);
    BIO_up_ref(out);
    SSL_set0_wbio(ssl, out);
    EXPECT(tls_say_octets(ssl, data, len));
    n = BIO_read(out, record, (int)cap);
    SSL_set0_wbio(ssl, wire);
    BIO_free(out);
    return (size_t)n;
}

static bool holds(const struct served *s, size_t n)
{
    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        if (atomic_load(&s->srv->conns.counted) == n)
            return true;
        usleep(1000);
    }
    return false;
}

TEST(half_a_record_is_the_beginning_of_a_head)
{
    struct served s = serve_tls(serve_all, NULL, "head_timeout=1");
    SSL *ssl = tls_dial(&s);
    char record[4096], body[64];
    size_t n;

    EXPECT(asks(ssl, "/", body, sizeof(body)));
    n = record_of(ssl, GET("/"), strlen(GET("/")), record, sizeof(record));
    EXPECT(say_octets(SSL_get_fd(ssl), record, n / 2));
    EXPECT(holds(&s, WSK__TLS_INSIDE));
    EXPECT(tls_hear_answer(ssl, NULL, 0) == 408);
    EXPECT(tls_end_of(ssl, NULL) == TLS_NOTIFIED);
    EXPECT(holds(&s, 0));
    tls_close(ssl);
    wsk_server_free(s.srv);
}

TEST(octets_of_a_long_record_are_a_sign_of_life)
{
    static const char *const OPEN[] = {UPGRADE("/echo"), UPGRADE("/events")};
    struct served s =
        serve_tls(serve_all, NULL, "ws_ping_interval=0.5 ws_ping_timeout=0.5");

    for (int how = 0; how < 2; how++) {
        SSL *ssl = open_socket(&s, OPEN[how]);
        unsigned char frame[6 + 100] = {0x82, 0x80 | 100};
        char record[4096];
        size_t n;

        memcpy(frame + 6, noise, 100);
        n = record_of(ssl, frame, sizeof(frame), record, sizeof(record));
        for (size_t i = 0; i < 20; i++) {
            EXPECT(say_octets(SSL_get_fd(ssl), record + i, 1));
            usleep(100000);
        }
        EXPECT(say_octets(SSL_get_fd(ssl), record + 20, n - 20));
        /* Pings come before the echo. */
        for (n = 0; n < 50; n++) {
            unsigned char head[2];

            EXPECT(tls_hear_octets(ssl, head, 2));
            if (head[0] != 0x89)
                break;
            EXPECT(head[1] == 0);
        }
        EXPECT(tls_hear_octets(ssl, record, 100));
        EXPECT(memcmp(record, noise, 100) == 0);
        tls_close(ssl);
    }
    wsk_server_free(s.srv);
}

TEST(a_whole_answer_is_followed_by_close_notify)
{
    struct served s = serve_tls(serve_all, NULL, "keep_alive=0.2");
    SSL *ssl = tls_dial(&s);
    char body[64];
    size_t n;

    EXPECT(tls_say(ssl, "GET / HTTP/1.0\r\n\r\n"));
    EXPECT(tls_hear_answer(ssl, body, sizeof(body)) == 200);
    EXPECT(tls_end_of(ssl, NULL) == TLS_NOTIFIED);
    tls_close(ssl);
    ssl = tls_dial(&s); /* with unread input, so that it lingers */
    EXPECT(tls_say(ssl, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                        "and more"));
    EXPECT(tls_hear_answer(ssl, body, sizeof(body)) == 200);
    EXPECT(tls_end_of(ssl, NULL) == TLS_NOTIFIED);
    tls_close(ssl);
    ssl = tls_dial(&s); /* idle for too long */
    EXPECT(asks(ssl, "/", body, sizeof(body)));
    EXPECT(tls_end_of(ssl, &n) == TLS_NOTIFIED && n == 0);
    tls_close(ssl);
    wsk_server_free(s.srv);
}

TEST(a_client_may_end_its_side_first)
{
    struct served s = serve_tls(serve_all, NULL, NULL);
    size_t n;

    for (int fin = 0; fin < 2; fin++) {
        SSL *ssl = tls_dial(&s);

        EXPECT(tls_say(ssl, GET("/noise/5000000")));
        SSL_shutdown(ssl);
        if (fin)
            shutdown(SSL_get_fd(ssl), SHUT_WR);
        EXPECT(tls_end_of(ssl, &n) == TLS_NOTIFIED);
        EXPECT(n > 5000000);
        tls_close(ssl);
    }
    wsk_server_free(s.srv);
}

TEST(an_answer_that_is_cut_short_is_no_whole_one)
{
    struct served s = serve_tls(serve_all, NULL, NULL);
    SSL *ssl = tls_dial(&s);

    size_t n;

    EXPECT(tls_say(ssl, GET("/cut")));
    EXPECT(tls_end_of(ssl, &n) == TLS_CUT && n > 4); /* that much has come */
    tls_close(ssl);
    ssl = tls_dial(&s);
    EXPECT(tls_say(ssl, "GET /cut HTTP/1.0\r\n\r\n"));
    EXPECT(tls_end_of(ssl, NULL) == TLS_RESET);
    tls_close(ssl);
    wsk_server_free(s.srv);
}

TEST(a_slow_reader_gets_all_of_it)
{
    struct served s = serve_tls(serve_all, NULL, NULL);
    char *body = malloc(LONG + 1);
    static const char *const PATHS[] = {"/noise/10485760", "/file/10485760"};

    for (int i = 0; i < 2; i++) {
        SSL *ssl = tls_dial(&s);
        int small = 32768;

        setsockopt(SSL_get_fd(ssl), SOL_SOCKET, SO_RCVBUF, &small,
                   sizeof(small));
        EXPECT(asks(ssl, PATHS[i], body, LONG + 1));
        EXPECT(memcmp(body, noise, LONG) == 0);
        EXPECT(asks(ssl, "/", body, LONG));
        tls_close(ssl);
    }
    free(body);
    wsk_server_free(s.srv);
}

static void sleep_long(wsk_request *req, void *user)
{
    (void)user;
    usleep(700000);
    wsk_request_respond(req, 200, NULL, 0, "late", 4);
}

TEST(a_handler_that_takes_too_long_is_answered_for)
{
    struct served s = serve_tls(sleep_long, NULL, "request_timeout=0.2");
    SSL *ssl = tls_dial(&s);

    EXPECT(tls_say(ssl, GET("/")));
    EXPECT(tls_hear_answer(ssl, NULL, 0) == 503);
    EXPECT(tls_end_of(ssl, NULL) == TLS_NOTIFIED);
    tls_close(ssl);
    wsk_server_free(s.srv);
}

/* ------------------------------------------------------------- many of them */

static struct served crowded;
static atomic_bool leaving;

/* NULL: the server does not accept any more. */
static SSL *try_dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(crowded.port)};
    struct timeval patience = {1, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return tls_over(fd);
    close(fd);
    return NULL;
}

static void *come_and_go(void *arg)
{
    char body[64];

    (void)arg;
    bear_sigpipe();
    while (!atomic_load(&leaving)) {
        SSL *ssl = try_dial();

        if (ssl != NULL) {
            asks(ssl, "/", body, sizeof(body));
            tls_close(ssl);
        }
    }
    OPENSSL_thread_stop();
    return NULL;
}

TEST(a_server_stops_while_handshakes_run)
{
    pthread_t crowd[6];

    for (int round = 0; round < 3; round++) {
        int silent[4];

        crowded = serve_tls(serve_all, NULL, NULL);
        atomic_store(&leaving, false);
        for (int i = 0; i < 4; i++)
            silent[i] = dial(&crowded);
        for (int i = 0; i < 6; i++)
            pthread_create(&crowd[i], NULL, come_and_go, NULL);
        usleep(50000);
        wsk_server_stop(crowded.srv, round * 100);
        EXPECT(wsk_server_join(crowded.srv, PATIENCE_MS) == WSK_OK);
        atomic_store(&leaving, true);
        for (int i = 0; i < 6; i++)
            pthread_join(crowd[i], NULL);
        for (int i = 0; i < 4; i++)
            close(silent[i]);
        wsk_server_free(crowded.srv);
    }
}

#endif
