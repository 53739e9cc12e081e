/* For tests of a server over TLS: a certificate, and clients of OpenSSL's own:
 * one that the test calls, and a tunnel, behind which any plain client of a
 * test speaks TLS. */
#ifndef TLS_PEER_H
#define TLS_PEER_H

#include "client.h"

#include "tls/engine.h"
#include "tls/set.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

static struct wsk__tls_set *served_set;
static SSL_CTX *peer_ctx;
static char peer_pem[2][4096]; /* certificate, key */

static inline void sure(bool good)
{
    if (good)
        return;
    ERR_print_errors_fp(stdout);
    abort();
}

static inline void write_pem(EVP_PKEY *key, X509 *x)
{
    BIO *bio[2] = {BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};

    sure(PEM_write_bio_X509(bio[0], x) == 1);
    sure(PEM_write_bio_PrivateKey(bio[1], key, NULL, NULL, 0, NULL, NULL) == 1);
    for (int i = 0; i < 2; i++) {
        int n = BIO_read(bio[i], peer_pem[i], sizeof(peer_pem[i]) - 1);

        sure(n > 0);
        peer_pem[i][n] = '\0';
        BIO_free(bio[i]);
    }
}

static inline void make_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);
    X509_EXTENSION *san;
    X509V3_CTX how;

    sure(X509_set_version(x, 2) && X509_set_pubkey(x, key));
    sure(ASN1_INTEGER_set(X509_get_serialNumber(x), 1));
    sure(X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL);
    sure(X509_gmtime_adj(X509_getm_notAfter(x), 360000) != NULL);
    sure(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    (const uint8_t *)"localhost", -1, -1, 0));
    sure(X509_set_issuer_name(x, name));
    X509V3_set_ctx_nodb(&how);
    X509V3_set_ctx(&how, x, x, NULL, NULL, 0);
    san = X509V3_EXT_conf_nid(NULL, &how, NID_subject_alt_name,
                              "DNS:localhost,IP:127.0.0.1");
    sure(san != NULL && X509_add_ext(x, san, -1) == 1);
    X509_EXTENSION_free(san);
    sure(X509_sign(x, key, EVP_sha256()) > 0);
    write_pem(key, x);
    X509_free(x);
    EVP_PKEY_free(key);
}

static inline int64_t wall_clock(void *to)
{
    (void)to;
    return (int64_t)time(NULL);
}

/* A set of the one certificate; `asks` for that of clients, too. */
static inline struct wsk__tls_set *new_set(bool asks)
{
    static const uint8_t SEED[WSK__TLS_SEED] = {1};
    struct wsk__tls_file cert = {"cert", {peer_pem[0], strlen(peer_pem[0])}};
    struct wsk__tls_pair pair = {
        .chain = cert, .key = {"key", {peer_pem[1], strlen(peer_pem[1])}}};
    struct wsk__tls_config config = {.pairs = &pair,
                                     .n_pairs = 1,
                                     .min = "1.2",
                                     .ciphers = "ECDHE+AESGCM",
                                     .groups = "X25519:P-256",
                                     .seed = SEED,
                                     .now = wall_clock};
    struct wsk__tls_fault fault;
    struct wsk__tls_set *set;

    if (asks) {
        config.ca_certs = cert;
        config.verify = WSK__TLS_VERIFY_REQUIRED;
    }
    set = wsk__tls_set_new(&config, &fault);
    if (set == NULL)
        printf("no set: %s\n", fault.text);
    sure(set != NULL);
    return set;
}

static inline struct wsk__tls_set *give_set(struct wsk__conns *conns)
{
    (void)conns;
    return wsk__tls_set_ref(served_set);
}

static atomic_int tunnels;

static inline void end_tls(void)
{
    comes_to(&tunnels, 0); /* they have memory of OpenSSL's */
    SSL_CTX_free(peer_ctx);
}

/* Make what both sides need. */
static inline void make_tls(void)
{
    if (served_set != NULL)
        return;
    make_certificate();
    served_set = new_set(false);
    atexit(end_tls); /* before OpenSSL's own end */
    peer_ctx = SSL_CTX_new(TLS_client_method());
    sure(peer_ctx != NULL);
}

/* Let a server that has not started speak TLS. */
static inline void use_tls(wsk_server *srv)
{
    make_tls();
    srv->conns.tls = give_set;
    srv->dispatch.leave = wsk__tls_leave_thread;
}

static inline struct served serve_tls(wsk_handler *handler, void *user,
                                      const char *options)
{
    struct served s;

    prepare_server = use_tls;
    s = serve(handler, user, options);
    prepare_server = NULL;
    return s;
}

/* ---------------------------------------------- a client the test calls --- */

/* OpenSSL writes without MSG_NOSIGNAL. For this thread only: a server must not
 * need it. */
static inline void bear_sigpipe(void)
{
    sigset_t pipe;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, NULL);
}

/* Shake hands on a descriptor, which is the client's then. NULL: it failed. */
static inline SSL *tls_over(int fd)
{
    SSL *ssl = SSL_new(peer_ctx);

    sure(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
    ERR_clear_error();
    if (SSL_connect(ssl) == 1)
        return ssl;
    SSL_free(ssl);
    close(fd);
    return NULL;
}

static inline SSL *tls_dial(const struct served *s)
{
    return tls_over(dial(s));
}

static inline bool tls_say_octets(SSL *ssl, const void *data, size_t len)
{
    size_t n;

    return SSL_write_ex(ssl, data, len, &n) == 1 && n == len;
}

static inline bool tls_say(SSL *ssl, const char *text)
{
    return tls_say_octets(ssl, text, strlen(text));
}

/* Exactly n octets. */
static inline bool tls_hear_octets(SSL *ssl, void *to, size_t n)
{
    char *p = to;

    while (n > 0) {
        size_t got = 0;

        if (SSL_read_ex(ssl, p, n, &got) != 1)
            return false;
        p += got;
        n -= got;
    }
    return true;
}

/* As hear_answer(). */
static inline int tls_hear_answer(SSL *ssl, char *body, size_t cap)
{
    char head[8192], c;
    size_t n = 0, len = 0;
    const char *field;

    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0)
        if (n + 1 >= sizeof(head) || !tls_hear_octets(ssl, head + n++, 1))
            return 0;
    head[n] = '\0';
    field = strstr(head, "Content-Length: ");
    if (field != NULL)
        len = (size_t)strtoul(field + 16, NULL, 10);
    if (body != NULL && len < cap) {
        body[len] = '\0';
        return tls_hear_octets(ssl, body, len) ? atoi(head + 9) : 0;
    }
    while (len-- > 0)
        if (!tls_hear_octets(ssl, &c, 1))
            return 0;
    return atoi(head + 9);
}

/* The way in which a connection has ended. */
enum tls_end { TLS_NOTIFIED, TLS_CUT, TLS_RESET, TLS_NOT_ENDED };

/* Read to the end. */
static inline enum tls_end tls_end_of(SSL *ssl, size_t *n)
{
    char trash[16384];
    size_t got, all = 0;
    int error;

    ERR_clear_error();
    errno = 0;
    while (SSL_read_ex(ssl, trash, sizeof(trash), &got) == 1)
        all += got;
    if (n != NULL)
        *n = all;
    error = SSL_get_error(ssl, 0);
    if (error == SSL_ERROR_ZERO_RETURN)
        return TLS_NOTIFIED;
    if (errno == ECONNRESET)
        return TLS_RESET;
    return errno == EAGAIN ? TLS_NOT_ENDED : TLS_CUT;
}

static inline void tls_close(SSL *ssl)
{
    int fd;

    if (ssl == NULL)
        return;
    fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    close(fd);
}

/* -------------------------------------------------------------- a tunnel ---
 */

struct tunnel {
    SSL *ssl;
    int plain, wire;
    bool plain_ended, wire_ended; /* nothing more comes from there */
};

enum { TUNNEL_BUF = 16384 };

/* Move what can be moved from the plain side. False: that is the end. */
static inline bool tunnel_out(struct tunnel *t)
{
    char data[TUNNEL_BUF];
    ssize_t n = recv(t->plain, data, sizeof(data), MSG_DONTWAIT);

    if (n > 0) {
        fcntl(t->wire, F_SETFL, 0); /* what is taken is sent */
        n = SSL_write(t->ssl, data, (int)n);
        fcntl(t->wire, F_SETFL, O_NONBLOCK);
        return n > 0;
    }
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    t->plain_ended = true;
    SSL_shutdown(t->ssl);
    shutdown(t->wire, SHUT_WR);
    return true;
}

static inline bool tunnel_in(struct tunnel *t)
{
    char data[TUNNEL_BUF];
    int n, error;

    ERR_clear_error();
    while ((n = SSL_read(t->ssl, data, sizeof(data))) > 0)
        if (!say_octets(t->plain, data, (size_t)n))
            return false;
    error = SSL_get_error(t->ssl, n);
    if (error == SSL_ERROR_WANT_READ)
        return true;
    t->wire_ended = true;
    shutdown(t->plain, SHUT_WR);
    return error == SSL_ERROR_ZERO_RETURN;
}

static inline void *run_tunnel(void *arg)
{
    struct tunnel *t = arg;
    bool good;

    bear_sigpipe();
    good = SSL_connect(t->ssl) == 1;
    fcntl(t->wire, F_SETFL, O_NONBLOCK);
    while (good && !(t->plain_ended && t->wire_ended)) {
        struct pollfd p[2] = {
            {.fd = t->plain_ended ? -1 : t->plain, .events = POLLIN},
            {.fd = t->wire_ended ? -1 : t->wire, .events = POLLIN}};

        good = poll(p, 2, PATIENCE_MS * 2) > 0;
        if (good && p[0].revents != 0)
            good = tunnel_out(t);
        if (good && p[1].revents != 0)
            good = tunnel_in(t);
    }
    SSL_free(t->ssl);
    close(t->wire);
    close(t->plain);
    free(t);
    OPENSSL_thread_stop();
    atomic_fetch_sub(&tunnels, 1);
    return NULL;
}

/* A descriptor whose octets go by way of TLS to that of a connection. */
static inline int tunnel(int wire)
{
    struct tunnel *t = calloc(1, sizeof(*t));
    struct timeval patience = {PATIENCE_MS / 1000, 0};
    pthread_t thread;
    int ends[2];

    if (t == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        abort();
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    *t = (struct tunnel){
        .ssl = SSL_new(peer_ctx), .plain = ends[1], .wire = wire};
    sure(t->ssl != NULL && SSL_set_fd(t->ssl, wire) == 1);
    atomic_fetch_add(&tunnels, 1);
    if (pthread_create(&thread, NULL, run_tunnel, t) != 0)
        abort();
    pthread_detach(thread);
    return ends[0];
}

#endif
