/* The transport of a client over TLS, against a server of ours. */
#include "harness.h"

#ifdef WSK_TLS

#include "tls_peer.h"

static wsk_server_config cfg;
static char error[WSK_TLS_ERROR_LEN];

static void on_message(wsk_conn *conn, const wsk_message *msg, void *user)
{
    (void)user;
    wsk_conn_send(conn, msg->opcode, msg->data, msg->len, true);
}

static void serve_all(wsk_request *req, void *user)
{
    static const wsk_ws_handlers EVENTS = {.message = on_message};
    wsk_tls_info info;
    wsk_conn *conn;

    (void)user;
    if (wsk_request_upgrade(req, NULL, NULL, 0, &conn) == WSK_OK)
        wsk_conn_attach(conn, &EVENTS, NULL);
    else if (wsk_request_tls(req, &info) && info.certificate.len > 0)
        wsk_request_respond(req, 200, NULL, 0, "known", 5);
    else
        wsk_request_respond(req, 200, NULL, 0, "hello", 5);
}

/* Write a text to a file, whose name is returned; the test removes it. */
static const char *written(const char *text)
{
    static char names[4][32];
    static unsigned n;
    char *name = names[n++ % 4];
    FILE *file;
    int fd;

    strcpy(name, "/tmp/wsocket-XXXXXX");
    fd = mkstemp(name);
    file = fdopen(fd, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
    return name;
}

static const wsk_transport *reach(const struct served *s,
                                  const wsk_tls_client *how, void **io)
{
    int fd = dial(s);
    const wsk_transport *made =
        wsk_transport_tls(fd, how, PATIENCE_MS, io, error);

    if (made == NULL)
        close(fd);
    return made;
}

static bool says(const wsk_transport *t, void *io, const char *text, size_t len)
{
    size_t sent;

    while (len > 0) {
        if (t->send(io, text, len, PATIENCE_MS, &sent) != WSK_OK)
            return false;
        text += sent;
        len -= sent;
    }
    return true;
}

/* Read with room for `step` bytes until `end` stands in the text. */
static bool hears_text(const wsk_transport *t, void *io, size_t step,
                       const char *end)
{
    char text[4096] = "";
    size_t n = 0, got;

    while (strstr(text, end) == NULL) {
        if (n + step >= sizeof(text) ||
            t->recv(io, text + n, step, PATIENCE_MS, &got) != WSK_OK ||
            got == 0)
            return false;
        n += got;
        text[n] = '\0';
    }
    return true;
}

TEST(a_client_is_served_over_tls)
{
    struct served s = serve_tls(serve_all, NULL, NULL);
    const char *ca = written(peer_pem[0]);
    const char *names[] = {"localhost", "localhost.", "127.0.0.1"};
    size_t got;
    char end;

    for (int i = 0; i < 3; i++) {
        const wsk_tls_client how = {.server_hostname = names[i],
                                    .ca_certs = ca};
        const wsk_transport *t;
        void *io;

        t = reach(&s, &how, &io);
        EXPECT(t != NULL);
        EXPECT(t->recv(io, &end, 1, 0, &got) == WSK_E_TIMEOUT);
        EXPECT(says(t, io, GET("/"), strlen(GET("/"))));
        EXPECT(hears_text(t, io, (size_t)i * 40 + 1, "hello"));
        EXPECT(t->recv(io, &end, 1, 10, &got) == WSK_E_TIMEOUT);
        t->shutdown(io, false);
        EXPECT(t->recv(io, &end, 1, -1, &got) == WSK_OK && got == 0);
        EXPECT(t->send(io, "x", 1, 0, &got) == WSK_E_CLOSED);
        t->free(io);
    }
    unlink(ca);
    wsk_server_free(s.srv);
}

/* Open a WebSocket. */
static wsk_conn *open_socket(const wsk_transport *t, void *io)
{
    static const uint8_t SEED[WSK_WS_SEED_LEN] = {1};
    wsk_ws_ask ask = {.host = "localhost", .target = "/"};
    char *head, answer[4096];
    size_t len, used, n = 0, got;
    wsk_adoption how = {
        .transport = t, .io = io, .peer = "", .local = "", .config = &cfg};
    wsk_status st = WSK_E_AGAIN;
    wsk_ws_answer said;
    wsk_conn *conn;

    wsk_config_init(&cfg);
    EXPECT(wsk_ws_ask_head(&ask, &head, &len) == WSK_OK);
    EXPECT(says(t, io, head, len));
    while (st == WSK_E_AGAIN) {
        EXPECT(t->recv(io, answer + n, sizeof(answer) - n, PATIENCE_MS, &got) ==
                   WSK_OK &&
               got > 0);
        n += got;
        st = wsk_ws_read_answer(&ask, answer, n, &used, &said);
    }
    EXPECT(st == WSK_OK);
    how.head = head;
    how.head_len = len;
    how.early = answer + used;
    how.early_len = n - used;
    EXPECT(wsk_conn_adopt_client(&how, &said, SEED, &conn) == WSK_OK);
    wsk_free(head);
    return conn;
}

TEST(a_websocket_of_a_client_goes_over_tls)
{
    struct served s = serve_tls(serve_all, NULL, NULL);
    static const size_t LENGTHS[] = {0, 1, 16000, 16384, 40000, 300000};
    const char *ca = written(peer_pem[0]);
    const wsk_tls_client how = {.server_hostname = "localhost", .ca_certs = ca};
    char *data = calloc(1, 300000);
    const wsk_transport *t;
    wsk_conn *conn;
    wsk_message msg;
    void *io;

    t = reach(&s, &how, &io);
    EXPECT(t != NULL);
    conn = open_socket(t, io);
    for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(*LENGTHS); i++) {
        EXPECT(wsk_conn_send(conn, WSK_BINARY, data, LENGTHS[i], false) ==
               WSK_OK);
        EXPECT(wsk_conn_receive(conn, PATIENCE_MS, &msg) == WSK_OK);
        EXPECT(msg.len == LENGTHS[i] && memcmp(msg.data, data, msg.len) == 0);
        wsk_message_free(&msg);
    }
    EXPECT(wsk_conn_receive(conn, 10, &msg) == WSK_E_TIMEOUT);
    EXPECT(wsk_conn_finish(conn, false) == WSK_OK);
    EXPECT(wsk_conn_receive(conn, 0, &msg) == WSK_E_CLOSED);
    wsk_conn_unref(conn);
    free(data);
    unlink(ca);
    wsk_server_free(s.srv);
}

static void expect_refused(const struct served *s, wsk_tls_client how,
                           const char *why)
{
    void *io;

    EXPECT(reach(s, &how, &io) == NULL);
    if (strstr(error, why) == NULL)
        printf("'%s' is not in '%s'\n", why, error);
    EXPECT(strstr(error, why) != NULL);
}

TEST(a_server_that_is_not_trusted_is_refused_with_a_sentence)
{
    struct served s = serve_tls(serve_all, NULL, NULL);
    const char *ca = written(peer_pem[0]), *key = written(peer_pem[1]);
    const char *name = "localhost";

    expect_refused(&s, (wsk_tls_client){.ca_certs = ca}, "server_hostname");
    expect_refused(
        &s, (wsk_tls_client){.server_hostname = "a.example", .ca_certs = ca},
        "bad certificate: hostname mismatch");
    expect_refused(
        &s, (wsk_tls_client){.server_hostname = "127.0.0.2", .ca_certs = ca},
        "bad certificate: IP address mismatch");
    expect_refused(&s, (wsk_tls_client){.server_hostname = "", .ca_certs = ca},
                   "no server can be called ''");
    expect_refused(&s, (wsk_tls_client){.server_hostname = name},
                   "bad certificate: self-signed certificate");
    expect_refused(
        &s, (wsk_tls_client){.server_hostname = name, .ca_certs = "/none"},
        "cannot read /none: No such file");
    expect_refused(&s,
                   (wsk_tls_client){.server_hostname = name, .ca_certs = key},
                   "has no certificate");
    expect_refused(&s,
                   (wsk_tls_client){.server_hostname = name, .keyfile = key},
                   "certfile is not");
    expect_refused(&s,
                   (wsk_tls_client){.server_hostname = name, .certfile = ca},
                   "has no private key");
    unlink(ca);
    unlink(key);
    wsk_server_free(s.srv);
}

TEST(without_ca_certs_the_authorities_of_the_system_count)
{
    struct served s = serve_tls(serve_all, NULL, NULL);
    const char *ca = written(peer_pem[0]);
    const wsk_tls_client how = {.server_hostname = "localhost"};
    const wsk_transport *t;
    void *io;

    setenv("SSL_CERT_FILE", ca, 1); /* where OpenSSL looks for them */
    t = reach(&s, &how, &io);
    unsetenv("SSL_CERT_FILE");
    EXPECT(t != NULL);
    t->free(io);
    unlink(ca);
    wsk_server_free(s.srv);
}

static struct wsk__tls_set *strict_set;

static struct wsk__tls_set *give_strict_set(struct wsk__conns *conns)
{
    (void)conns;
    return wsk__tls_set_ref(strict_set);
}

static void ask_for_certificates(wsk_server *srv)
{
    strict_set = new_set(true);
    use_tls(srv);
    srv->conns.tls = give_strict_set;
}

TEST(a_client_shows_its_certificate_to_a_server_that_asks)
{
    const char *ca, *key;
    const wsk_transport *t;
    struct served s;
    size_t got;
    void *io;
    char end;

    make_tls();
    prepare_server = ask_for_certificates;
    s = serve(serve_all, NULL, NULL);
    prepare_server = NULL;
    ca = written(peer_pem[0]);
    key = written(peer_pem[1]);
    t = reach(&s,
              &(wsk_tls_client){.server_hostname = "localhost",
                                .ca_certs = ca,
                                .certfile = ca,
                                .keyfile = key},
              &io);
    EXPECT(t != NULL);
    EXPECT(says(t, io, GET("/"), strlen(GET("/"))));
    EXPECT(hears_text(t, io, 64, "known"));
    t->free(io);
    t = reach(&s,
              &(wsk_tls_client){.server_hostname = "localhost", .ca_certs = ca},
              &io);
    EXPECT(t != NULL); /* in TLS 1.3 the client learns of it later */
    EXPECT(t->recv(io, &end, 1, PATIENCE_MS, &got) == WSK_E_CLOSED);
    t->free(io);
    wsk_server_free(s.srv);
    wsk__tls_set_unref(strict_set);
    unlink(ca);
    unlink(key);
}

/* A peer that says some octets, and perhaps ends. */
static void expect_no_handshake(const char *octets, size_t len, bool ends,
                                const char *why)
{
    const wsk_tls_client how = {.server_hostname = "localhost"};
    int fd[2];
    void *io;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
        abort();
    EXPECT(say_octets(fd[1], octets, len));
    if (ends)
        shutdown(fd[1], SHUT_WR);
    EXPECT(wsk_transport_tls(fd[0], &how, 50, &io, error) == NULL);
    EXPECT(strstr(error, why) != NULL);
    EXPECT(say_octets(fd[0], "mine", 4)); /* still the caller's */
    close(fd[0]);
    close(fd[1]);
}

TEST(a_handshake_that_fails_leaves_the_descriptor_to_its_owner)
{
    expect_no_handshake("", 0, false, "took too long");
    expect_no_handshake("\x16\x03\x03", 3, false, "took too long");
    expect_no_handshake("", 0, true, "has ended the TLS handshake");
    expect_no_handshake("\x15\x03\x03\0\x02\x02\x28", 7, false,
                        "alert of the peer: handshake failure");
    expect_no_handshake("HTTP/1.1 400 Bad Request\r\n", 26, false,
                        "the TLS handshake failed: wrong version number");
}

#endif
