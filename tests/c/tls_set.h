/* For the tests of sets of contexts: certificates made at need, and connections
 * with OpenSSL's client, in memory. */
#ifndef TLS_SET_H
#define TLS_SET_H

#include "harness.h"

#include "base/mem.h"
#include "tls/engine.h"
#include "tls/peer.h"
#include "tls/set.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <time.h>

enum { DAY = 86400 };

static inline void must(bool good)
{
    if (good)
        return;
    ERR_print_errors_fp(stdout);
    abort();
}

/* ------------------------------------------------------ certificates --- */

struct authority {
    X509 *x509;
    EVP_PKEY *key;
};

struct wanted {
    const char *name;           /* CN */
    const char *san;            /* NULL: none */
    const struct authority *by; /* NULL: itself */
    bool signs;
    bool rsa;
    bool public;      /* says where its issuer's certificate is */
    long from, until; /* seconds from now; both 0: now, and a day */
    long serial;
};

static inline void extend(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX how;
    X509_EXTENSION *extension;

    X509V3_set_ctx_nodb(&how);
    X509V3_set_ctx(&how, issuer, x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &how, nid, value);
    must(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static inline struct authority make(struct wanted wanted)
{
    struct authority it = {X509_new(), wanted.rsa ? EVP_RSA_gen(2048)
                                                  : EVP_EC_gen("P-256")};
    const struct authority *by = wanted.by != NULL ? wanted.by : &it;
    X509_NAME *subject = X509_get_subject_name(it.x509);
    bool set = wanted.from != 0 || wanted.until != 0;

    must(it.x509 != NULL && it.key != NULL);
    must(X509_set_version(it.x509, 2) && X509_set_pubkey(it.x509, it.key));
    must(ASN1_INTEGER_set(X509_get_serialNumber(it.x509),
                          wanted.serial != 0 ? wanted.serial : 0x1234abcd));
    must(X509_gmtime_adj(X509_getm_notBefore(it.x509),
                         set ? wanted.from : -60) != NULL);
    must(X509_gmtime_adj(X509_getm_notAfter(it.x509),
                         set ? wanted.until : DAY) != NULL);
    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                    (const uint8_t *)wanted.name, -1, -1, 0));
    must(X509_set_issuer_name(it.x509, X509_get_subject_name(by->x509)));
    extend(it.x509, by->x509, NID_basic_constraints,
           wanted.signs ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (wanted.san != NULL)
        extend(it.x509, by->x509, NID_subject_alt_name, wanted.san);
    if (wanted.public)
        extend(it.x509, by->x509, NID_info_access,
               "caIssuers;URI:http://ca.example/ca.der");
    must(X509_sign(it.x509, by->key, EVP_sha256()) > 0);
    return it;
}

static inline void forget(struct authority *it)
{
    X509_free(it->x509);
    EVP_PKEY_free(it->key);
}

/* A text that grows; free .p. */
struct text {
    char *p;
    size_t len;
};

static inline void add_bio(struct text *text, BIO *bio)
{
    char *p;
    size_t n = (size_t)BIO_get_mem_data(bio, &p);

    text->p = realloc(text->p, text->len + n + 1);
    must(text->p != NULL);
    memcpy(text->p + text->len, p, n);
    text->len += n;
    text->p[text->len] = '\0';
    BIO_free(bio);
}

static inline void add_x509(struct text *text, const struct authority *it)
{
    BIO *bio = BIO_new(BIO_s_mem());

    must(PEM_write_bio_X509(bio, it->x509) == 1);
    add_bio(text, bio);
}

static inline void add_key(struct text *text, const struct authority *it,
                           const char *password)
{
    BIO *bio = BIO_new(BIO_s_mem());

    must(PEM_write_bio_PKCS8PrivateKey(
             bio, it->key, password != NULL ? EVP_aes_256_cbc() : NULL,
             password, password != NULL ? (int)strlen(password) : 0, NULL,
             NULL) == 1);
    add_bio(text, bio);
}

/* Append a list of an authority that revokes one serial number. */
static inline void add_list(struct text *text, const struct authority *by,
                            long serial, long until)
{
    X509_CRL *list = X509_CRL_new();
    X509_REVOKED *revoked = X509_REVOKED_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, -3600);
    ASN1_TIME *next = X509_gmtime_adj(NULL, until);
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    BIO *bio = BIO_new(BIO_s_mem());

    must(ASN1_INTEGER_set(number, serial));
    must(X509_CRL_set_version(list, 1) &&
         X509_CRL_set_issuer_name(list, X509_get_subject_name(by->x509)) &&
         X509_CRL_set1_lastUpdate(list, from) &&
         X509_CRL_set1_nextUpdate(list, next));
    must(X509_REVOKED_set_serialNumber(revoked, number) &&
         X509_REVOKED_set_revocationDate(revoked, from) &&
         X509_CRL_add0_revoked(list, revoked));
    must(X509_CRL_sign(list, by->key, EVP_sha256()) > 0);
    must(PEM_write_bio_X509_CRL(bio, list) == 1);
    add_bio(text, bio);
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(from);
    ASN1_TIME_free(next);
    X509_CRL_free(list);
}

static inline struct wsk__tls_file as_file(const char *path, struct text text)
{
    return (struct wsk__tls_file){path, {text.p, text.len}};
}

/* ----------------------------------------------------------- configs --- */

static int64_t clock_ahead; /* seconds */

static inline int64_t now(void *to)
{
    (void)to;
    return (int64_t)time(NULL) + clock_ahead;
}

static const uint8_t SEED[WSK__TLS_SEED] = "a seed of thirty-two octets ....";

static inline struct wsk__tls_config
config_of(const struct wsk__tls_pair *pairs, size_t n)
{
    return (struct wsk__tls_config){
        .pairs = pairs,
        .n_pairs = n,
        .min = "1.2",
        .ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20",
        .groups = "X25519MLKEM768:X25519:P-256:P-384",
        .seed = SEED,
        .now = now,
    };
}

/* A certificate with its key in files of their own. */
struct site {
    struct authority it;
    struct text chain, key;
    struct wsk__tls_pair pair;
};

static inline void site_open(struct site *site, struct wanted wanted)
{
    *site = (struct site){.it = make(wanted)};
    add_x509(&site->chain, &site->it);
    add_key(&site->key, &site->it, NULL);
    site->pair.chain = as_file("chain.pem", site->chain);
    site->pair.key = as_file("key.pem", site->key);
}

static inline void site_close(struct site *site)
{
    forget(&site->it);
    free(site->chain.p);
    free(site->key.p);
}

static inline struct wsk__tls_set *set_of(const struct wsk__tls_config *config)
{
    struct wsk__tls_fault fault;
    struct wsk__tls_set *set = wsk__tls_set_new(config, &fault);

    if (set == NULL)
        printf("no set: %s\n", fault.text);
    must(set != NULL);
    EXPECT(fault.text[0] == '\0');
    return set;
}

/* No set comes of it, and the sentence is this. */
static inline bool fault_is(const struct wsk__tls_config *config,
                            const char *text)
{
    struct wsk__tls_fault fault;
    struct wsk__tls_set *set = wsk__tls_set_new(config, &fault);

    if (set != NULL || strcmp(fault.text, text) != 0)
        printf("the fault is: %s\n", set != NULL ? "none" : fault.text);
    wsk__tls_set_unref(set);
    return set == NULL && strcmp(fault.text, text) == 0;
}

static inline bool fault_begins(const struct wsk__tls_config *config,
                                const char *text)
{
    struct wsk__tls_fault fault;
    struct wsk__tls_set *set = wsk__tls_set_new(config, &fault);

    EXPECT(set == NULL && strncmp(fault.text, text, strlen(text)) == 0);
    return set == NULL && fault.torn;
}

/* ------------------------------------------------------- connections --- */

struct visit {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
    struct wsk__tls *tls;
    struct wsk__tls_peer *peer; /* once open */
    char why[WSK__TLS_REASON_MAX];
};

static inline ptrdiff_t put(void *to, const uint8_t *p, size_t n, bool more)
{
    struct visit *visit = to;

    (void)more;
    must(BIO_write(visit->in, p, (int)n) == (int)n);
    return (ptrdiff_t)n;
}

/* OpenSSL does not call this for a session of TLS 1.2 that was resumed, even if
 * its ticket is new. */
static inline int keep_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **last = SSL_get_app_data(ssl);

    SSL_SESSION_free(*last);
    *last = session;
    return 1;
}

struct client {
    int version;                 /* 0: any */
    const char *sni;             /* NULL: none */
    const struct authority *is;  /* NULL: no certificate */
    const struct authority *via; /* the issuer, which it sends, too; or NULL */
    const char *signatures;      /* NULL: all */
    const char *ciphers;
    SSL_SESSION **session; /* offered, and replaced by the newest; NULL: none */
};

/* Read the tickets of TLS 1.3; true if nothing else has come. */
static inline bool takes_tickets(SSL *ssl)
{
    char block[16];

    return SSL_read(ssl, block, sizeof(block)) <= 0 &&
           SSL_get_error(ssl, -1) == SSL_ERROR_WANT_READ;
}

/* Go through a handshake; true if both sides are done. */
static inline bool visit_open(struct visit *v, struct wsk__tls_set *set,
                              struct client who)
{
    struct wsk__tls_out out = {put, v};
    enum wsk__tls_got got = WSK__TLS_MORE;
    bool done = false;

    *v = (struct visit){.ctx = SSL_CTX_new(TLS_client_method())};
    must(v->ctx != NULL);
    SSL_CTX_set_session_cache_mode(v->ctx, SSL_SESS_CACHE_CLIENT |
                                               SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(v->ctx, who.session != NULL ? keep_session : NULL);
    if (who.version != 0)
        must(SSL_CTX_set_min_proto_version(v->ctx, who.version) &&
             SSL_CTX_set_max_proto_version(v->ctx, who.version));
    if (who.is != NULL)
        must(SSL_CTX_use_certificate(v->ctx, who.is->x509) &&
             SSL_CTX_use_PrivateKey(v->ctx, who.is->key));
    if (who.via != NULL)
        must(SSL_CTX_add1_chain_cert(v->ctx, who.via->x509) == 1);
    if (who.signatures != NULL)
        must(SSL_CTX_set1_sigalgs_list(v->ctx, who.signatures) == 1);
    if (who.ciphers != NULL)
        must(SSL_CTX_set_cipher_list(v->ctx, who.ciphers) == 1);
    v->ssl = SSL_new(v->ctx);
    v->in = BIO_new(BIO_s_mem());
    v->out = BIO_new(BIO_s_mem());
    SSL_set_bio(v->ssl, v->in, v->out);
    SSL_set_connect_state(v->ssl);
    SSL_set_app_data(v->ssl, who.session);
    if (who.sni != NULL)
        must(SSL_set_tlsext_host_name(v->ssl, who.sni) == 1);
    if (who.session != NULL && *who.session != NULL)
        must(SSL_set_session(v->ssl, *who.session) == 1);
    v->tls = wsk__tls_accept(set);
    must(v->tls != NULL);
    for (int i = 0; i < 8 && got != WSK__TLS_BAD; i++) {
        char block[20000];
        wsk_str ct = {block, 0};
        int n;

        done = SSL_do_handshake(v->ssl) == 1;
        n = BIO_read(v->out, block, sizeof(block));
        ct.len = n > 0 ? (size_t)n : 0;
        if (got == WSK__TLS_MORE && ct.len > 0)
            got = wsk__tls_shake(v->tls, &ct, &out);
    }
    if (got == WSK__TLS_DONE)
        v->peer = wsk__tls_peer_new(v->tls);
    done = done && takes_tickets(v->ssl);
    if (done && who.session != NULL && SSL_version(v->ssl) == TLS1_2_VERSION)
        keep_session(v->ssl, SSL_get1_session(v->ssl));
    wsk__tls_reason(v->tls, v->why);
    ERR_clear_error();
    return done && got == WSK__TLS_DONE;
}

static inline void visit_close(struct visit *v)
{
    wsk__tls_peer_free(v->peer);
    wsk__tls_free(v->tls);
    /* OpenSSL forgets the session of a client that was cut off. */
    SSL_set_shutdown(v->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(v->ssl);
    SSL_CTX_free(v->ctx);
}

static inline bool names(struct wsk__tls_set *set, struct client who,
                         const char *cn)
{
    struct visit v;
    char text[64] = "nobody";
    X509 *x509;

    EXPECT(visit_open(&v, set, who));
    x509 = SSL_get0_peer_certificate(v.ssl);
    if (x509 != NULL)
        X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName,
                                  text, sizeof(text));
    if (strcmp(text, cn) != 0)
        printf("the certificate is %s's\n", text);
    visit_close(&v);
    return strcmp(text, cn) == 0;
}

static inline bool variable_is(const struct visit *v, const char *name,
                               const char *value)
{
    wsk_str got = {NULL, 0};

    if (v->peer != NULL)
        got = wsk__tls_peer_get(v->peer, (wsk_str){name, strlen(name)});
    if (got.p == NULL)
        return value == NULL;
    if (value == NULL || strcmp(got.p, value) != 0)
        printf("%s is \"%s\"\n", name, got.p);
    return value != NULL && strcmp(got.p, value) == 0;
}

/* ------------------------------------------------------------- clients --- */

enum shown { NONE, GOOD, EXPIRED, FOREIGN, REVOKED, SHOWN };

static inline struct authority client_of(enum shown shown,
                                         const struct authority *by,
                                         const struct authority *foreign)
{
    struct wanted wanted = {.name = "J\xc3\xb6rg, O=x",
                            .san = "email:j@example.com,DNS:host.example,"
                                   "email:k@example.com",
                            .by = shown == FOREIGN ? foreign : by,
                            .serial = shown == REVOKED ? 0x666 : 0x77};

    if (shown == EXPIRED) {
        wanted.from = -2 * DAY;
        wanted.until = -DAY;
    }
    return make(wanted);
}

#endif
