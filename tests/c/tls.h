/* For the tests of src/tls: an engine and a client of OpenSSL's own, joined in
 * memory; certificates; and allocations of the engine that fail. */
#ifndef TLS_H
#define TLS_H

#include "harness.h"

#define WSK__TLS_PLAIN_NAMES
#include "base/mem.h"
#include "tls/engine.h"
#include "tls/lib.h"

#include <malloc.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* ------------------------------------------------- allocations that fail ---
 */

static long allowed = -1; /* allocations until the next one fails; < 0: none */
static bool armed;        /* an engine is being called */

static inline int gate(void)
{
    return !armed || allowed < 0 || allowed-- != 0;
}

static size_t live; /* bytes that OpenSSL holds */

static inline void *try_malloc(size_t n, const char *file, int line)
{
    void *p = gate() ? malloc(n) : NULL;

    (void)file, (void)line;
    live += malloc_usable_size(p);
    return p;
}

static inline void *try_realloc(void *p, size_t n, const char *file, int line)
{
    size_t had = malloc_usable_size(p);
    void *grown = gate() ? realloc(p, n) : NULL;

    (void)file, (void)line;
    if (grown != NULL)
        live += malloc_usable_size(grown) - had;
    return grown;
}

static inline void counted_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    live -= malloc_usable_size(p);
    free(p);
}

/* Before OpenSSL allocates anything. */
__attribute__((constructor)) static void watch_memory(void)
{
    char why[WSK__TLS_LIB_WHY];

    if (!CRYPTO_set_mem_functions(try_malloc, try_realloc, counted_free))
        abort();
    if (!wsk__tls_lib_open(why)) {
        printf("%s\n", why);
        abort();
    }
    wsk__mem_set_gate(gate);
}

/* --------------------------------------------------------- certificates --- */

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

static inline void must(bool good)
{
    if (good)
        return;
    ERR_print_errors_fp(stdout);
    abort();
}

static inline void add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX how;
    X509_EXTENSION *extension;

    X509V3_set_ctx_nodb(&how);
    X509V3_set_ctx(&how, x, x, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &how, nid, value);
    must(extension != NULL && X509_add_ext(x, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

/* A certificate that signs itself. */
static inline struct identity make_identity(const char *name, const char *san)
{
    struct identity id = {EVP_EC_gen("P-256"), X509_new()};
    X509 *x = id.certificate;
    X509_NAME *subject = X509_get_subject_name(x);

    must(X509_set_version(x, 2) && X509_set_pubkey(x, id.key));
    must(ASN1_INTEGER_set(X509_get_serialNumber(x), 7));
    must(X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL);
    must(X509_gmtime_adj(X509_getm_notAfter(x), 36000) != NULL);
    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                    (const uint8_t *)name, -1, -1, 0));
    must(X509_set_issuer_name(x, subject));
    add_extension(x, NID_subject_alt_name, san);
    add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
    must(X509_sign(x, id.key, EVP_sha256()) > 0);
    return id;
}

static inline void use_identity(SSL_CTX *ctx, const struct identity *id)
{
    must(SSL_CTX_use_certificate(ctx, id->certificate) == 1);
    must(SSL_CTX_use_PrivateKey(ctx, id->key) == 1);
}

static inline void trust(SSL_CTX *ctx, const struct identity *id)
{
    must(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), id->certificate));
}

static struct identity server_id, client_id;

__attribute__((destructor)) static inline void free_identities(void)
{
    EVP_PKEY_free(server_id.key);
    EVP_PKEY_free(client_id.key);
    X509_free(server_id.certificate);
    X509_free(client_id.certificate);
}

/* Contexts of an engine and of the other side. */
static inline SSL_CTX *server_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (server_id.key == NULL) {
        server_id = make_identity("localhost", "DNS:localhost,IP:127.0.0.1");
        client_id = make_identity("somebody", "email:somebody@example.com");
    }
    must(ctx != NULL && wsk__tls_prepare(ctx, WSK__TLS_SERVER));
    use_identity(ctx, &server_id);
    return ctx;
}

static inline SSL_CTX *client_context(int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    must(ctx != NULL);
    must(SSL_CTX_set_min_proto_version(ctx, version) == 1 &&
         SSL_CTX_set_max_proto_version(ctx, version) == 1);
    return ctx;
}

/* ---------------------------------------------------------------- bytes --- */

struct bytes {
    uint8_t *p;
    size_t len;
};

static inline void append(struct bytes *b, const void *p, size_t n)
{
    b->p = realloc(b->p, b->len + n + 1);
    must(b->p != NULL);
    if (n > 0)
        memcpy(b->p + b->len, p, n);
    b->len += n;
}

static inline void clear(struct bytes *b)
{
    free(b->p);
    *b = (struct bytes){NULL, 0};
}

/* ----------------------------------------------------------------- pair --- */

struct pair {
    SSL_CTX *ctx, *other_ctx;
    struct wsk__tls *tls;
    SSL *other; /* OpenSSL's own side; its memory BIOs are its */
    BIO *in, *out;
    struct wsk__tls_out way;
    struct bytes up;   /* ciphertext for the engine */
    struct bytes got;  /* plaintext that it fed */
    struct bytes seen; /* ciphertext that left it */
    enum wsk__tls_got last;
    bool is_open, is_dead;
    size_t takes; /* bytes that `put` takes in one call */
    size_t piece; /* of ciphertext, in one call */
    size_t room;  /* of the wanted place */
    unsigned puts, puts_without_more;
};

static inline ptrdiff_t pair_put(void *to, const uint8_t *p, size_t n,
                                 bool more)
{
    struct pair *pair = to;
    size_t take = n < pair->takes ? n : pair->takes;
    bool was = armed;

    EXPECT(n > 0);
    armed = false;
    pair->puts++;
    pair->puts_without_more += !more;
    if (!pair->is_dead && take > 0) {
        must(BIO_write(pair->in, p, (int)take) == (int)take);
        append(&pair->seen, p, take);
    }
    armed = was;
    return pair->is_dead ? -1 : (ptrdiff_t)take;
}

/* Join an engine to a new SSL of the other side. False: no memory for it. */
static inline bool pair_start(struct pair *p, SSL_CTX *ctx, SSL_CTX *other,
                              enum wsk__tls_role role)
{
    *p = (struct pair){.ctx = ctx, .other_ctx = other};
    p->takes = p->piece = SIZE_MAX;
    p->room = 70000;
    p->way = (struct wsk__tls_out){pair_put, p};
    p->last = WSK__TLS_MORE;
    p->other = SSL_new(other);
    p->in = BIO_new(BIO_s_mem());
    p->out = BIO_new(BIO_s_mem());
    must(p->other != NULL && p->in != NULL && p->out != NULL);
    SSL_set_bio(p->other, p->in, p->out);
    if (role == WSK__TLS_SERVER)
        SSL_set_connect_state(p->other);
    else
        SSL_set_accept_state(p->other);
    armed = true;
    p->tls = wsk__tls_new(ctx, role, NULL, NULL);
    armed = false;
    return p->tls != NULL;
}

/* A server's engine and a client, with contexts of their own. */
static inline void pair_open(struct pair *p, int version)
{
    must(pair_start(p, server_context(), client_context(version),
                    WSK__TLS_SERVER));
}

static inline void pair_end(struct pair *p)
{
    wsk__tls_free(p->tls);
    SSL_free(p->other);
    clear(&p->up);
    clear(&p->got);
    clear(&p->seen);
}

static inline void pair_close(struct pair *p)
{
    pair_end(p);
    SSL_CTX_free(p->ctx);
    SSL_CTX_free(p->other_ctx);
}

/* Feed one span, until it is empty. */
static inline void pair_feed(struct pair *p, wsk_str *span)
{
    do {
        uint8_t *room = malloc(p->room);
        size_t n;

        must(room != NULL);
        armed = true;
        p->last = wsk__tls_feed(p->tls, span, room, p->room, &n, &p->way);
        armed = false;
        EXPECT(n <= p->room);
        append(&p->got, room, n);
        free(room);
        EXPECT(span->len == 0 || n == p->room);
        EXPECT(p->last != WSK__TLS_SOME || n > 0);
        EXPECT(p->last != WSK__TLS_NONE || n == 0);
    } while (span->len > 0 || wsk__tls_pending(p->tls) > 0);
}

static inline void pair_shake(struct pair *p, wsk_str *span)
{
    armed = true;
    p->last = wsk__tls_shake(p->tls, span, &p->way);
    armed = false;
    p->is_open = p->last == WSK__TLS_DONE;
    EXPECT(p->last != WSK__TLS_MORE || span->len == 0);
}

/* Give the engine ciphertext, in blocks of exactly its size. */
static inline void pair_give(struct pair *p, const uint8_t *data, size_t n)
{
    while (n > 0 && p->last != WSK__TLS_BAD) {
        size_t piece = n < p->piece ? n : p->piece;
        uint8_t *block = exact(data, piece);
        wsk_str span = {(char *)block, piece};

        if (!p->is_open)
            pair_shake(p, &span);
        if (p->is_open && (span.len > 0 || p->last != WSK__TLS_DONE))
            pair_feed(p, &span);
        free(block);
        data += piece;
        n -= piece;
    }
}

/* Collect the ciphertext of the other side. */
static inline void pair_collect(struct pair *p)
{
    uint8_t block[4096];
    int n;

    while ((n = BIO_read(p->out, block, sizeof(block))) > 0)
        append(&p->up, block, (size_t)n);
    ERR_clear_error();
}

/* Carry everything from the other side to the engine. */
static inline void pair_carry(struct pair *p)
{
    pair_collect(p);
    pair_give(p, p->up.p, p->up.len);
    clear(&p->up);
}

static inline void pair_flush(struct pair *p)
{
    for (int i = 0; i < 70000 && wsk__tls_owes(p->tls) > 0; i++) {
        armed = true;
        if (wsk__tls_flush(p->tls, &p->way) == WSK__TLS_GONE)
            i = 70000;
        armed = false;
    }
}

/* Go on with the other side's handshake. */
static inline bool other_shakes(struct pair *p)
{
    int result = SSL_do_handshake(p->other);

    ERR_clear_error();
    return result == 1;
}

/* Go through the whole handshake; true if both sides are done. */
static inline bool pair_connect(struct pair *p)
{
    wsk_str none = {NULL, 0};
    bool done = false;

    if (!SSL_is_server(p->other))
        done = other_shakes(p);
    else
        pair_shake(p, &none);
    for (int i = 0; i < 10; i++) {
        pair_flush(p);
        done = other_shakes(p);
        pair_carry(p);
    }
    return done && p->is_open;
}

/* Write all of data; the number of calls, or 0 if the engine fails. */
static inline int pair_write(struct pair *p, const void *data, size_t len)
{
    const uint8_t *at = data;
    size_t taken;
    int calls = 0;

    for (;;) {
        enum wsk__tls_sent sent;

        armed = true;
        sent = wsk__tls_write(p->tls, &p->way, at, len, false, &taken);
        armed = false;
        calls++;
        at += taken;
        len -= taken;
        if (sent != WSK__TLS_FULL)
            return sent == WSK__TLS_SENT ? calls : 0;
    }
}

/* Read all that has come for the other side. */
static inline struct bytes other_reads(struct pair *p)
{
    static char block[20000];
    struct bytes all = {NULL, 0};
    int n;

    while ((n = SSL_read(p->other, block, sizeof(block))) > 0)
        append(&all, block, (size_t)n);
    ERR_clear_error();
    return all;
}

static inline void other_writes(struct pair *p, const void *data, size_t n)
{
    must(SSL_write(p->other, data, (int)n) == (int)n);
}

static inline bool reason_is(const struct pair *p, const char *text)
{
    char reason[WSK__TLS_REASON_MAX];

    wsk__tls_reason(p->tls, reason);
    if (strcmp(reason, text) != 0)
        printf("the reason is \"%s\"\n", reason);
    return strcmp(reason, text) == 0;
}

#endif
