/* Sets of contexts: names, keys that fit, clients, tickets; in memory, against
 * OpenSSL's client. */
#include "harness.h"

#ifdef WSK_TLS

#include "base/buf.h"
#include "base/mem.h"
#include "tls/dev.h"
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

static void must(bool good)
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

static void extend(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX how;
    X509_EXTENSION *extension;

    X509V3_set_ctx_nodb(&how);
    X509V3_set_ctx(&how, issuer, x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &how, nid, value);
    must(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static struct authority make(struct wanted wanted)
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

static void forget(struct authority *it)
{
    X509_free(it->x509);
    EVP_PKEY_free(it->key);
}

/* A text that grows; free .p. */
struct text {
    char *p;
    size_t len;
};

static void add_bio(struct text *text, BIO *bio)
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

static void add_x509(struct text *text, const struct authority *it)
{
    BIO *bio = BIO_new(BIO_s_mem());

    must(PEM_write_bio_X509(bio, it->x509) == 1);
    add_bio(text, bio);
}

static void add_key(struct text *text, const struct authority *it,
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
static void add_list(struct text *text, const struct authority *by, long serial,
                     long until)
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

static struct wsk__tls_file as_file(const char *path, struct text text)
{
    return (struct wsk__tls_file){path, {text.p, text.len}};
}

/* ----------------------------------------------------------- configs --- */

static int64_t clock_ahead; /* seconds */

static int64_t now(void *to)
{
    (void)to;
    return (int64_t)time(NULL) + clock_ahead;
}

static const uint8_t SEED[WSK__TLS_SEED] = "a seed of thirty-two octets ....";

static struct wsk__tls_config config_of(const struct wsk__tls_pair *pairs,
                                        size_t n)
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

static void site_open(struct site *site, struct wanted wanted)
{
    *site = (struct site){.it = make(wanted)};
    add_x509(&site->chain, &site->it);
    add_key(&site->key, &site->it, NULL);
    site->pair.chain = as_file("chain.pem", site->chain);
    site->pair.key = as_file("key.pem", site->key);
}

static void site_close(struct site *site)
{
    forget(&site->it);
    free(site->chain.p);
    free(site->key.p);
}

static struct wsk__tls_set *set_of(const struct wsk__tls_config *config)
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
static bool fault_is(const struct wsk__tls_config *config, const char *text)
{
    struct wsk__tls_fault fault;
    struct wsk__tls_set *set = wsk__tls_set_new(config, &fault);

    if (set != NULL || strcmp(fault.text, text) != 0)
        printf("the fault is: %s\n", set != NULL ? "none" : fault.text);
    wsk__tls_set_unref(set);
    return set == NULL && strcmp(fault.text, text) == 0;
}

static bool fault_begins(const struct wsk__tls_config *config, const char *text)
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

static ptrdiff_t put(void *to, const uint8_t *p, size_t n, bool more)
{
    struct visit *visit = to;

    (void)more;
    must(BIO_write(visit->in, p, (int)n) == (int)n);
    return (ptrdiff_t)n;
}

/* OpenSSL does not call this for a session of TLS 1.2 that was resumed, even if
 * its ticket is new. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **last = SSL_get_app_data(ssl);

    SSL_SESSION_free(*last);
    *last = session;
    return 1;
}

struct client {
    int version;                /* 0: any */
    const char *sni;            /* NULL: none */
    const struct authority *is; /* NULL: no certificate */
    const char *signatures;     /* NULL: all */
    const char *ciphers;
    SSL_SESSION **session; /* offered, and replaced by the newest; NULL: none */
};

/* Go through a handshake; true if both sides are done. */
static bool visit_open(struct visit *v, struct wsk__tls_set *set,
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
    if (done) { /* the tickets of TLS 1.3 */
        char block[16];

        done = SSL_read(v->ssl, block, sizeof(block)) <= 0 &&
               SSL_get_error(v->ssl, -1) == SSL_ERROR_WANT_READ;
    }
    if (done && who.session != NULL && SSL_version(v->ssl) == TLS1_2_VERSION)
        keep_session(v->ssl, SSL_get1_session(v->ssl));
    wsk__tls_reason(v->tls, v->why);
    ERR_clear_error();
    return done && got == WSK__TLS_DONE;
}

static void visit_close(struct visit *v)
{
    wsk__tls_peer_free(v->peer);
    wsk__tls_free(v->tls);
    /* OpenSSL forgets the session of a client that was cut off. */
    SSL_set_shutdown(v->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(v->ssl);
    SSL_CTX_free(v->ctx);
}

static bool names(struct wsk__tls_set *set, struct client who, const char *cn)
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

static bool variable_is(const struct visit *v, const char *name,
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

/* ------------------------------------------------------------- tests --- */

TEST(a_set_of_one_certificate_serves_both_versions)
{
    static const struct {
        int version;
        const char *text;
    } CASES[] = {{TLS1_2_VERSION, "TLSv1.2"}, {TLS1_3_VERSION, "TLSv1.3"}};
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&site, (struct wanted){.name = "a.example",
                                     .san = "DNS:a.example,IP:127.0.0.1"});
    config = config_of(&site.pair, 1);
    set = set_of(&config);
    for (size_t i = 0; i < 2; i++) {
        struct visit v;

        EXPECT(visit_open(
            &v, set,
            (struct client){.version = CASES[i].version, .sni = "A.Example"}));
        EXPECT(v.peer != NULL && v.peer->n == 5);
        EXPECT(variable_is(&v, "HTTPS", "on"));
        EXPECT(variable_is(&v, "SSL_PROTOCOL", CASES[i].text));
        EXPECT(variable_is(&v, "SSL_TLS_SNI", "a.example"));
        EXPECT(variable_is(&v, "SSL_CLIENT_VERIFY", "NONE"));
        EXPECT(variable_is(&v, "SSL_CLIENT_S_DN", NULL));
        EXPECT(!v.peer->info.resumed && v.peer->info.certificate.len == 0);
        visit_close(&v);
    }
    wsk__tls_set_unref(set);
    site_close(&site);
}

TEST(an_engine_keeps_the_set_with_which_it_began)
{
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;
    struct visit v;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    set = set_of(&config);
    EXPECT(visit_open(&v, set, (struct client){.sni = "a.example"}));
    wsk__tls_set_unref(set);
    EXPECT(v.peer != NULL);
    visit_close(&v);
    site_close(&site);
}

TEST(facts_about_a_certificate_are_told)
{
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;
    const struct wsk__tls_certificate *about;

    site_open(&site,
              (struct wanted){.name = "a",
                              .san = "DNS:A.example,DNS:*.b.example,IP:::1"});
    config = config_of(&site.pair, 1);
    set = set_of(&config);
    about = wsk__tls_set_certificate(set, 0);
    EXPECT(strcmp(about->path, "chain.pem") == 0);
    EXPECT(strcmp(about->name, "a.example") == 0);
    EXPECT(strcmp(about->names, "a.example *.b.example ::1") == 0);
    EXPECT(strcmp(about->serial, "1234ABCD") == 0);
    EXPECT(about->warning == NULL);
    EXPECT(about->end - about->start >= DAY && about->end > now(NULL));
    EXPECT(wsk__tls_set_certificate(set, 1) == NULL);
    EXPECT(wsk__tls_set_warning(set, 0) == NULL);
    wsk__tls_set_unref(set);
    site_close(&site);
}

TEST(a_client_gets_the_certificate_of_the_name_it_asks_for)
{
    static const struct {
        const char *asked, *got;
    } CASES[] = {
        {"a.example", "first"},
        {"A.EXAMPLE", "first"},
        {"b.example", "second"},
        {"x.b.example", "second"},
        {"exact.b.example", "third"},
        {"x.y.b.example", "first"},
        {".b.example", "first"},
        {"unknown.example", "first"},
        {NULL, "first"},
        {"b.exampl", "first"},
        {"b.example.", "first"},
        {"*.b.example", "first"},
    };
    struct site sites[3];
    struct wsk__tls_pair pairs[3];
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&sites[0],
              (struct wanted){.name = "first", .san = "DNS:a.example"});
    site_open(&sites[1],
              (struct wanted){.name = "second",
                              .san = "DNS:b.example,DNS:*.b.example"});
    site_open(&sites[2],
              (struct wanted){.name = "third", .san = "DNS:exact.b.example"});
    for (size_t i = 0; i < 3; i++)
        pairs[i] = sites[i].pair;
    config = config_of(pairs, 3);
    set = set_of(&config);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        EXPECT(names(
            set,
            (struct client){.version = TLS1_3_VERSION, .sni = CASES[i].asked},
            CASES[i].got));
        EXPECT(names(
            set,
            (struct client){.version = TLS1_2_VERSION, .sni = CASES[i].asked},
            CASES[i].got));
    }
    wsk__tls_set_unref(set);
    for (size_t i = 0; i < 3; i++)
        site_close(&sites[i]);
}

TEST(of_two_certificates_of_a_name_the_clients_algorithms_choose)
{
    struct site sites[2];
    struct wsk__tls_pair pairs[2];
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&sites[0], (struct wanted){.name = "ecdsa",
                                         .san = "DNS:a.example,DNS:b.example"});
    site_open(
        &sites[1],
        (struct wanted){.name = "rsa", .san = "DNS:a.example", .rsa = true});
    for (size_t i = 0; i < 2; i++)
        pairs[i] = sites[i].pair;
    config = config_of(pairs, 2);
    set = set_of(&config);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct client who = {version, "a.example",
                             .signatures = "RSA-PSS+SHA256"};
        struct visit v;

        EXPECT(names(set, who, "rsa"));
        who.sni = NULL; /* the first certificate's first name has both */
        EXPECT(names(set, who, "rsa"));
        who.sni = "b.example";
        EXPECT(!visit_open(&v, set, who)); /* only ECDSA has that name */
        visit_close(&v);
        who.signatures = "ECDSA+SHA256";
        EXPECT(names(set, who, "ecdsa"));
        who.sni = "a.example";
        EXPECT(names(set, who, "ecdsa"));
    }
    EXPECT(wsk__tls_set_certificate(set, 1)->warning == NULL);
    wsk__tls_set_unref(set);
    for (size_t i = 0; i < 2; i++)
        site_close(&sites[i]);
}

TEST(a_certificate_that_nobody_gets_is_warned_of)
{
    struct site sites[3];
    struct wsk__tls_pair pairs[3];
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&sites[0], (struct wanted){.name = "a", .san = "DNS:a.example"});
    site_open(&sites[1], (struct wanted){.name = "b", .san = "DNS:a.example"});
    site_open(&sites[2], (struct wanted){.name = "c"});
    for (size_t i = 0; i < 3; i++)
        pairs[i] = sites[i].pair;
    pairs[1].chain.path = "again.pem";
    pairs[2].chain.path = "nameless.pem";
    config = config_of(pairs, 3);
    set = set_of(&config);
    EXPECT(strcmp(wsk__tls_set_certificate(set, 1)->warning,
                  "the certificate in again.pem is never used: others before "
                  "it have its names") == 0);
    EXPECT(strcmp(wsk__tls_set_certificate(set, 2)->warning,
                  "the certificate in nameless.pem is never used: it has no "
                  "names") == 0);
    EXPECT(strcmp(wsk__tls_set_certificate(set, 2)->name, "nameless.pem") == 0);
    wsk__tls_set_unref(set);
    for (size_t i = 0; i < 3; i++)
        site_close(&sites[i]);
}

/* ------------------------------------------------------------- pairs --- */

TEST(a_bad_pair_is_named_in_one_sentence)
{
    struct site site, other;
    struct wsk__tls_pair pair = {{NULL, {NULL, 0}}, {NULL, {NULL, 0}}};
    struct wsk__tls_config config = config_of(&pair, 1);
    struct wsk__tls_file empty = {"empty.pem", {"", 0}};
    struct wsk__tls_file rubbish = {
        "rubbish.pem",
        {"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", 59}};
    struct wsk__tls_file no_key = {
        "no-key.pem",
        {"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", 59}};

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    site_open(&other, (struct wanted){.name = "a", .san = "DNS:a.example"});
    pair = (struct wsk__tls_pair){empty, site.pair.key};
    EXPECT(fault_is(&config, "empty.pem has no certificate"));
    pair = (struct wsk__tls_pair){site.pair.key, site.pair.key};
    EXPECT(fault_is(&config, "key.pem has no certificate"));
    pair = (struct wsk__tls_pair){rubbish, site.pair.key};
    EXPECT(
        fault_begins(&config, "certificate 1 in rubbish.pem cannot be read: "));
    pair = (struct wsk__tls_pair){site.pair.chain, empty};
    EXPECT(fault_is(&config, "empty.pem has no private key"));
    pair = (struct wsk__tls_pair){site.pair.chain, {NULL, {NULL, 0}}};
    EXPECT(fault_is(&config, "chain.pem has no private key, and there is no "
                             "keyfile for it"));
    pair = (struct wsk__tls_pair){site.pair.chain, site.pair.chain};
    EXPECT(fault_is(&config, "chain.pem has no private key"));
    pair = (struct wsk__tls_pair){site.pair.chain, no_key};
    EXPECT(fault_begins(&config, "the key in no-key.pem cannot be read: "));
    pair = (struct wsk__tls_pair){site.pair.chain, other.pair.key};
    pair.key.path = "other.pem";
    EXPECT(fault_is(&config, "the key in other.pem does not fit the "
                             "certificate in chain.pem"));
    site_close(&site);
    site_close(&other);
}

TEST(a_cut_file_is_no_set_wherever_the_cut_is)
{
    struct site site;
    struct wsk__tls_pair pair = {{NULL, {NULL, 0}}, {NULL, {NULL, 0}}};
    struct wsk__tls_config config = config_of(&pair, 1);

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    for (size_t cut = 0; cut < site.chain.len - 1; cut += 7) {
        struct wsk__tls_fault fault;
        unsigned char *copy = exact(site.chain.p, cut);

        pair = site.pair;
        pair.chain.text = (wsk_str){(char *)copy, cut};
        EXPECT(wsk__tls_set_new(&config, &fault) == NULL && fault.torn);
        free(copy);
    }
    for (size_t cut = 0; cut < site.key.len - 1; cut += 7) {
        struct wsk__tls_fault fault;
        unsigned char *copy = exact(site.key.p, cut);

        pair = site.pair;
        pair.key.text = (wsk_str){(char *)copy, cut};
        EXPECT(wsk__tls_set_new(&config, &fault) == NULL && fault.torn);
        free(copy);
    }
    site_close(&site);
}

TEST(a_key_may_stand_in_the_chains_file_and_be_encrypted)
{
    struct site site;
    struct wsk__tls_pair pair = {{NULL, {NULL, 0}}, {NULL, {NULL, 0}}};
    struct wsk__tls_config config = config_of(&pair, 1);
    struct text both = {NULL, 0};

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    add_key(&both, &site.it, "open sesame");
    add_x509(&both, &site.it);
    pair = (struct wsk__tls_pair){as_file("both.pem", both), {NULL, {NULL, 0}}};
    EXPECT(fault_is(&config, "the key in both.pem is encrypted, and there is "
                             "no keyfile_password"));
    config.password = "wrong";
    EXPECT(fault_is(&config,
                    "keyfile_password does not open the key in both.pem"));
    config.password = "open sesame";
    wsk__tls_set_unref(set_of(&config));
    free(both.p);
    site_close(&site);
}

TEST(a_chain_out_of_order_is_a_warning_and_a_fault_if_strict)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority middle =
        make((struct wanted){.name = "middle", .signs = true, .by = &root});
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;
    struct wsk__tls_pair pair;
    struct text wrong = {NULL, 0};

    site_open(&site, (struct wanted){
                         .name = "a", .san = "DNS:a.example", .by = &middle});
    add_x509(&wrong, &site.it);
    add_x509(&wrong, &root);
    add_x509(&wrong, &middle);
    pair = site.pair;
    pair.chain = as_file("wrong.pem", wrong);
    config = config_of(&pair, 1);
    set = set_of(&config);
    EXPECT(wsk__tls_set_certificate(set, 0)->out_of_order);
    EXPECT(strcmp(wsk__tls_set_certificate(set, 0)->warning,
                  "the chain in wrong.pem is out of order: certificate 2 did "
                  "not issue the one before it") == 0);
    wsk__tls_set_unref(set);
    config.strict = true;
    EXPECT(fault_is(&config, "the chain in wrong.pem is out of order: "
                             "certificate 2 did not issue the one before it"));
    free(wrong.p);
    site_close(&site);
    forget(&middle);
    forget(&root);
}

TEST(a_missing_intermediate_is_warned_of)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&site, (struct wanted){.name = "a",
                                     .san = "DNS:a.example",
                                     .by = &root,
                                     .public = true});
    config = config_of(&site.pair, 1);
    set = set_of(&config);
    EXPECT(strcmp(wsk__tls_set_certificate(set, 0)->warning,
                  "chain.pem has no certificate of the issuer behind its own: "
                  "many clients will not trust it") == 0);
    wsk__tls_set_unref(set);
    site_close(&site);
    forget(&root);
}

TEST(an_expired_certificate_is_a_fault_only_if_strict)
{
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&site, (struct wanted){.name = "a",
                                     .san = "DNS:a.example",
                                     .from = -1000 * DAY,
                                     .until = -500 * DAY});
    config = config_of(&site.pair, 1);
    set = set_of(&config);
    EXPECT(wsk__tls_set_certificate(set, 0)->end < now(NULL));
    wsk__tls_set_unref(set);
    config.strict = true;
    {
        struct wsk__tls_fault fault;

        EXPECT(wsk__tls_set_new(&config, &fault) == NULL);
        EXPECT(strstr(fault.text, "the certificate in chain.pem expired on "
                                  "20") == fault.text);
        EXPECT(!fault.torn);
    }
    site_close(&site);
}

/* ------------------------------------------------------------ policy --- */

TEST(ciphers_and_groups_that_nobody_knows_are_faults)
{
    static const struct {
        const char *ciphers, *groups, *fault;
    } CASES[] = {
        {"ECDHE+AESGCM:NONSENSE", "X25519",
         "ciphers: OpenSSL has no cipher of TLS 1.2 called 'NONSENSE'"},
        {"TLS_AES_128_GCM_SHA256", "X25519",
         "ciphers: OpenSSL has no cipher of TLS 1.2 called "
         "'TLS_AES_128_GCM_SHA256'"},
        {"ECDHE+AESGCM:!ECDHE", "X25519",
         "ciphers: nothing is left of 'ECDHE+AESGCM:!ECDHE'"},
        {"ECDHE+AESGCM", "X25519:X25591",
         "tls_groups: no group is called 'X25591'"},
        {"ECDHE+AESGCM", "", "tls_groups: this OpenSSL has none of them"},
    };
    struct site site;
    struct wsk__tls_config config;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        config.ciphers = CASES[i].ciphers;
        config.groups = CASES[i].groups;
        EXPECT(fault_is(&config, CASES[i].fault));
    }
    config.ciphers = "ECDHE+AESGCM:!RC4:!NOTHING:@STRENGTH";
    config.groups = "X25519MLKEM768:P-256";
    wsk__tls_set_unref(set_of(&config));
    site_close(&site);
}

TEST(old_versions_and_other_ciphers_are_refused)
{
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;
    struct visit v;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    set = set_of(&config);
    EXPECT(!visit_open(&v, set,
                       (struct client){.version = TLS1_2_VERSION,
                                       .ciphers = "ECDHE+AES:!AESGCM"}));
    EXPECT(strcmp(v.why, "no shared cipher") == 0);
    visit_close(&v);
    EXPECT(!visit_open(&v, set,
                       (struct client){.version = TLS1_1_VERSION,
                                       .ciphers = "ALL:@SECLEVEL=0"}));
    visit_close(&v);
    wsk__tls_set_unref(set);
    config.min = "1.3";
    set = set_of(&config);
    EXPECT(!visit_open(&v, set, (struct client){.version = TLS1_2_VERSION}));
    visit_close(&v);
    EXPECT(visit_open(&v, set, (struct client){.version = TLS1_3_VERSION}));
    visit_close(&v);
    wsk__tls_set_unref(set);
    site_close(&site);
}

/* ----------------------------------------------------------- clients --- */

enum shown { NONE, GOOD, EXPIRED, FOREIGN, REVOKED, SHOWN };

static struct authority client_of(enum shown shown, const struct authority *by,
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

TEST(a_client_is_let_in_by_cert_reqs_and_what_it_shows)
{
    /* A certificate that does not verify ends the handshake, with optional,
     * too. */
    static const bool LETS_IN[][SHOWN] = {
        [WSK__TLS_VERIFY_NONE] = {true, true, true, true, true},
        [WSK__TLS_VERIFY_OPTIONAL] = {true, true, false, false, false},
        [WSK__TLS_VERIFY_REQUIRED] = {false, true, false, false, false},
    };
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority foreign =
        make((struct wanted){.name = "root", .signs = true});
    struct text signers = {NULL, 0}, lists = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    add_x509(&signers, &root);
    add_list(&lists, &root, 0x666, DAY);
    config.ca_certs = as_file("ca.pem", signers);
    config.crl = as_file("crl.pem", lists);
    for (int reqs = WSK__TLS_VERIFY_NONE; reqs <= WSK__TLS_VERIFY_REQUIRED;
         reqs++) {
        struct wsk__tls_set *set;

        config.verify = (enum wsk__tls_verify)reqs;
        set = set_of(&config);
        for (int shown = NONE; shown < SHOWN; shown++)
            for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION;
                 version++) {
                struct authority is =
                    client_of((enum shown)shown, &root, &foreign);
                struct client who = {.version = version,
                                     .sni = "a.example",
                                     .is = shown != NONE ? &is : NULL};
                struct visit v;
                bool seen = reqs != WSK__TLS_VERIFY_NONE && shown == GOOD;

                if (visit_open(&v, set, who) != LETS_IN[reqs][shown]) {
                    printf("reqs %d, shown %d: %s\n", reqs, shown, v.why);
                    EXPECT(false);
                }
                if (LETS_IN[reqs][shown]) {
                    EXPECT(variable_is(&v, "SSL_CLIENT_VERIFY",
                                       seen ? "SUCCESS" : "NONE"));
                    EXPECT(variable_is(&v, "SSL_CLIENT_M_SERIAL",
                                       seen ? "77" : NULL));
                    EXPECT((v.peer->info.certificate.len > 0) == seen);
                }
                visit_close(&v);
                forget(&is);
            }
        wsk__tls_set_unref(set);
    }
    free(signers.p);
    free(lists.p);
    site_close(&site);
    forget(&root);
    forget(&foreign);
}

TEST(a_clients_certificate_has_the_names_of_mod_ssl)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority is = client_of(GOOD, &root, NULL);
    struct text signers = {NULL, 0}, pem = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;
    struct visit v;
    uint8_t *der = NULL;
    int len = i2d_X509(is.x509, &der);

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    add_x509(&signers, &root);
    config.ca_certs = as_file("ca.pem", signers);
    config.verify = WSK__TLS_VERIFY_OPTIONAL;
    set = set_of(&config);
    EXPECT(visit_open(&v, set, (struct client){.is = &is}));
    add_x509(&pem, &is);
    EXPECT(variable_is(&v, "SSL_TLS_SNI", ""));
    EXPECT(variable_is(&v, "SSL_CLIENT_CERT", pem.p));
    EXPECT(variable_is(&v, "SSL_CLIENT_S_DN", "CN=J\xc3\xb6rg\\, O=x"));
    EXPECT(variable_is(&v, "SSL_CLIENT_I_DN", "CN=root"));
    EXPECT(variable_is(&v, "SSL_CLIENT_SAN_Email_0", "j@example.com"));
    EXPECT(variable_is(&v, "SSL_CLIENT_SAN_Email_1", "k@example.com"));
    EXPECT(variable_is(&v, "SSL_CLIENT_SAN_Email_2", NULL));
    EXPECT(variable_is(&v, "SSL_CLIENT_SAN_DNS_0", "host.example"));
    EXPECT(wsk__tls_peer_get(v.peer, (wsk_str){"SSL_CLIENT_V_END", 16}).len ==
           strlen("Nov 30 01:51:45 2026 GMT"));
    EXPECT(v.peer->info.certificate.len == (size_t)len &&
           memcmp(v.peer->info.certificate.p, der, (size_t)len) == 0);
    visit_close(&v);
    wsk__tls_set_unref(set);
    OPENSSL_free(der);
    free(signers.p);
    free(pem.p);
    site_close(&site);
    forget(&is);
    forget(&root);
}

TEST(an_intermediate_authority_alone_may_sign_clients)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority middle =
        make((struct wanted){.name = "middle", .signs = true, .by = &root});
    struct authority is = client_of(GOOD, &middle, NULL);
    struct authority revoked = client_of(REVOKED, &middle, NULL);
    struct text signers = {NULL, 0}, lists = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;
    struct visit v;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    add_x509(&signers, &middle);
    add_list(&lists, &middle, 0x666, DAY);
    config.ca_certs = as_file("ca.pem", signers);
    config.verify = WSK__TLS_VERIFY_REQUIRED;
    set = set_of(&config);
    EXPECT(visit_open(&v, set, (struct client){.is = &is}));
    visit_close(&v);
    wsk__tls_set_unref(set);
    config.crl = as_file("crl.pem", lists);
    set = set_of(&config);
    EXPECT(wsk__tls_set_warning(set, 0) == NULL);
    EXPECT(visit_open(&v, set, (struct client){.is = &is}));
    visit_close(&v);
    EXPECT(!visit_open(&v, set, (struct client){.is = &revoked}));
    EXPECT(strcmp(v.why, "bad certificate: certificate revoked") == 0);
    visit_close(&v);
    wsk__tls_set_unref(set);
    free(signers.p);
    free(lists.p);
    site_close(&site);
    forget(&is);
    forget(&revoked);
    forget(&middle);
    forget(&root);
}

TEST(options_of_clients_that_do_not_fit_are_told)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority other =
        make((struct wanted){.name = "other", .signs = true});
    struct text signers = {NULL, 0}, lists = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    config.verify = WSK__TLS_VERIFY_OPTIONAL;
    EXPECT(fault_is(&config, "cert_reqs asks clients for certificates, and "
                             "there are no ca_certs that sign them"));
    config.ca_certs = as_file("empty.pem", signers);
    EXPECT(fault_is(&config, "empty.pem has no certificate"));
    add_x509(&signers, &root);
    add_x509(&signers, &other);
    config.ca_certs = as_file("ca.pem", signers);
    config.crl = config.ca_certs;
    EXPECT(fault_is(&config, "ca.pem has no list of revoked certificates"));
    add_list(&lists, &root, 1, -60);
    config.crl = as_file("crl.pem", lists);
    set = set_of(&config);
    EXPECT(strcmp(wsk__tls_set_warning(set, 0),
                  "crl.pem has no list of CN=other, whose clients are all "
                  "refused therefore") == 0);
    EXPECT(strstr(wsk__tls_set_warning(set, 1),
                  "list 1 in crl.pem ran out on 20") != NULL);
    EXPECT(wsk__tls_set_warning(set, 2) == NULL);
    wsk__tls_set_unref(set);
    config.verify = WSK__TLS_VERIFY_NONE;
    set = set_of(&config);
    EXPECT(strcmp(wsk__tls_set_warning(set, 0),
                  "ca_certs has no effect: cert_reqs is none") == 0);
    wsk__tls_set_unref(set);
    free(signers.p);
    free(lists.p);
    site_close(&site);
    forget(&root);
    forget(&other);
}

/* ----------------------------------------------------------- tickets --- */

/* Visit with a session; true if it was resumed. */
static bool resumes(struct wsk__tls_set *set, struct client who)
{
    struct visit v;
    bool open = visit_open(&v, set, who);
    bool resumed = SSL_session_reused(v.ssl);

    EXPECT(open);
    if (open)
        EXPECT(v.peer->info.resumed == resumed);
    visit_close(&v);
    return resumed;
}

TEST(a_ticket_of_one_set_counts_in_another_with_the_same_seed)
{
    static const uint8_t OTHER_SEED[WSK__TLS_SEED] = "another seed";
    struct site site;
    struct wsk__tls_config config;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *session = NULL;
        struct client who = {
            .version = version, .sni = "a.example", .session = &session};
        struct wsk__tls_set *set = set_of(&config), *same = set_of(&config);
        struct wsk__tls_set *other;

        EXPECT(!resumes(set, who) && session != NULL);
        EXPECT(resumes(set, who));
        EXPECT(resumes(same, who));
        config.seed = OTHER_SEED;
        other = set_of(&config);
        config.seed = SEED;
        EXPECT(!resumes(other, who));
        EXPECT(!resumes(same, who)); /* the session is the other's now */
        SSL_SESSION_free(session);
        wsk__tls_set_unref(set);
        wsk__tls_set_unref(same);
        wsk__tls_set_unref(other);
    }
    site_close(&site);
}

TEST(a_ticket_of_one_name_does_not_count_under_another)
{
    /* CVE-2025-23419: a client that was let in under one name must not come in
     * under another without its certificate. */
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority is = client_of(GOOD, &root, NULL);
    struct text signers = {NULL, 0};
    struct site sites[2];
    struct wsk__tls_pair pairs[2];
    struct wsk__tls_config config;

    site_open(&sites[0], (struct wanted){.name = "a", .san = "DNS:a.example"});
    site_open(&sites[1], (struct wanted){.name = "b", .san = "DNS:b.example"});
    pairs[0] = sites[0].pair;
    pairs[1] = sites[1].pair;
    add_x509(&signers, &root);
    config = config_of(pairs, 2);
    config.ca_certs = as_file("ca.pem", signers);
    for (int reqs = WSK__TLS_VERIFY_NONE; reqs <= WSK__TLS_VERIFY_OPTIONAL;
         reqs++)
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION;
             version++) {
            SSL_SESSION *session = NULL;
            struct client who = {.version = version,
                                 .sni = "a.example",
                                 .is = &is,
                                 .session = &session};
            struct wsk__tls_set *set;

            config.verify = (enum wsk__tls_verify)reqs;
            set = set_of(&config);
            EXPECT(!resumes(set, who) && session != NULL);
            EXPECT(resumes(set, who));
            who.is = NULL;
            who.sni = "b.example";
            EXPECT(!resumes(set, who));
            who.sni = NULL;
            EXPECT(!resumes(set, who));
            who.sni = "a.example";
            EXPECT(!resumes(set, who)); /* the last session had no name */
            SSL_SESSION_free(session);
            wsk__tls_set_unref(set);
        }
    free(signers.p);
    for (size_t i = 0; i < 2; i++)
        site_close(&sites[i]);
    forget(&is);
    forget(&root);
}

TEST(a_ticket_vouches_for_a_client_until_signers_or_lists_change)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority is = client_of(GOOD, &root, NULL);
    struct text signers = {NULL, 0}, lists = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    add_x509(&signers, &root);
    add_list(&lists, &root, 0x77, DAY); /* the client's own */
    config = config_of(&site.pair, 1);
    config.verify = WSK__TLS_VERIFY_REQUIRED;
    config.ca_certs = as_file("ca.pem", signers);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *session = NULL, *before;
        struct client who = {.version = version,
                             .sni = "a.example",
                             .is = &is,
                             .session = &session};
        struct wsk__tls_set *set = set_of(&config), *next;
        struct visit v;

        EXPECT(!resumes(set, who) && resumes(set, who));
        EXPECT(visit_open(&v, set, who) && SSL_session_reused(v.ssl));
        EXPECT(variable_is(&v, "SSL_CLIENT_VERIFY", "SUCCESS"));
        EXPECT(variable_is(&v, "SSL_CLIENT_M_SERIAL", "77"));
        visit_close(&v);
        config.crl = as_file("crl.pem", lists);
        next = set_of(&config);
        config.crl.path = NULL;
        before = session;
        SSL_SESSION_up_ref(before);
        EXPECT(!visit_open(&v, next, who));
        visit_close(&v);
        /* The certificate runs out, but not yet the ticket. */
        clock_ahead = DAY + 60;
        SSL_SESSION_free(session);
        session = before;
        EXPECT(!resumes(set, who)); /* past the keys' time, too */
        clock_ahead = 0;
        SSL_SESSION_free(session);
        wsk__tls_set_unref(set);
        wsk__tls_set_unref(next);
    }
    free(signers.p);
    free(lists.p);
    site_close(&site);
    forget(&is);
    forget(&root);
}

TEST(a_ticket_does_not_outlive_its_clients_certificate)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct authority is = make((struct wanted){
        .name = "short", .by = &root, .from = -60, .until = 600});
    struct text signers = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    add_x509(&signers, &root);
    config = config_of(&site.pair, 1);
    config.verify = WSK__TLS_VERIFY_REQUIRED;
    config.ca_certs = as_file("ca.pem", signers);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *session = NULL;
        struct client who = {.version = version,
                             .sni = "a.example",
                             .is = &is,
                             .session = &session};
        struct wsk__tls_set *set = set_of(&config);

        EXPECT(!resumes(set, who) && resumes(set, who));
        clock_ahead = 601;
        EXPECT(!resumes(set, who));
        clock_ahead = 0;
        SSL_SESSION_free(session);
        wsk__tls_set_unref(set);
    }
    free(signers.p);
    site_close(&site);
    forget(&is);
    forget(&root);
}

TEST(keys_of_tickets_change_with_the_time_and_the_past_one_still_counts)
{
    enum { PERIOD = 8 * 3600 };
    struct site site;
    struct wsk__tls_config config;
    int64_t into = now(NULL) % PERIOD;

    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *session = NULL, *first;
        struct client who = {
            .version = version, .sni = "a.example", .session = &session};
        struct wsk__tls_set *set = set_of(&config);

        clock_ahead = -into; /* the first second of a period */
        EXPECT(!resumes(set, who));
        first = SSL_SESSION_dup(session);
        clock_ahead = -into - 1; /* a worker whose clock is behind */
        EXPECT(resumes(set, who));
        for (int periods = 1; periods <= 2; periods++) {
            clock_ahead = -into + periods * PERIOD;
            SSL_SESSION_free(session);
            session = SSL_SESSION_dup(first);
            EXPECT(resumes(set, who) == (periods < 2));
            EXPECT(resumes(set, who)); /* a newer key is in use: renewed */
        }
        clock_ahead = 0;
        SSL_SESSION_free(first);
        SSL_SESSION_free(session);
        wsk__tls_set_unref(set);
    }
    site_close(&site);
}

TEST(files_of_ticket_keys_make_machines_agree_and_the_first_encrypts)
{
    char octets[2][WSK__TLS_TICKET_FILE];
    struct wsk__tls_file files[2];
    struct site site;
    struct wsk__tls_config config;

    for (size_t i = 0; i < 2; i++) {
        memset(octets[i], 'a' + (int)i, WSK__TLS_TICKET_FILE);
        files[i] = (struct wsk__tls_file){"ticket.key",
                                          {octets[i], WSK__TLS_TICKET_FILE}};
    }
    site_open(&site, (struct wanted){.name = "a", .san = "DNS:a.example"});
    config = config_of(&site.pair, 1);
    config.tickets = files;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_SESSION *session = NULL;
        struct client who = {
            .version = version, .sni = "a.example", .session = &session};
        struct wsk__tls_set *old, *both, *young;

        config.n_tickets = 1;
        old = set_of(&config);
        config.tickets = files + 1;
        young = set_of(&config);
        config.tickets = (struct wsk__tls_file[]){files[1], files[0]};
        config.n_tickets = 2;
        both = set_of(&config);
        config.tickets = files;
        EXPECT(!resumes(old, who) && resumes(old, who));
        clock_ahead = 1000;         /* time does not count */
        EXPECT(resumes(both, who)); /* renewed: the first encrypts */
        clock_ahead = 0;
        EXPECT(resumes(young, who));
        EXPECT(!resumes(old, who));
        SSL_SESSION_free(session);
        wsk__tls_set_unref(old);
        wsk__tls_set_unref(both);
        wsk__tls_set_unref(young);
    }
    site_close(&site);
}

/* ------------------------------------------------------- development --- */

static struct wsk__tls_file buf_file(const char *path,
                                     const struct wsk__buf *buf)
{
    return (struct wsk__tls_file){
        path, {(const char *)wsk__buf_data(buf), wsk__buf_len(buf)}};
}

static bool verifies(const struct wsk__tls_file *authority,
                     const struct wsk__tls_file *leaf, const char *host)
{
    BIO *one = BIO_new_mem_buf(authority->text.p, (int)authority->text.len);
    BIO *other = BIO_new_mem_buf(leaf->text.p, (int)leaf->text.len);
    X509 *root = PEM_read_bio_X509(one, NULL, NULL, NULL);
    X509 *x509 = PEM_read_bio_X509(other, NULL, NULL, NULL);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *how;
    bool good;

    must(X509_STORE_add_cert(store, root) == 1);
    must(X509_STORE_CTX_init(ctx, store, x509, NULL) == 1);
    how = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_purpose(how, X509_PURPOSE_SSL_SERVER);
    if (X509_VERIFY_PARAM_set1_ip_asc(how, host) != 1)
        must(X509_VERIFY_PARAM_set1_host(how, host, 0) == 1);
    good = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(root);
    X509_free(x509);
    BIO_free(one);
    BIO_free(other);
    ERR_clear_error();
    return good;
}

TEST(a_certificate_of_development_is_good_for_this_machine_alone)
{
    struct wsk__buf certificate, key, both, other;
    struct wsk__tls_pair authority,
        pair = {{NULL, {NULL, 0}}, {NULL, {NULL, 0}}};
    struct wsk__tls_config config = config_of(&pair, 1);
    struct wsk__tls_fault fault;
    struct wsk__tls_set *set;
    struct authority evil, by;
    struct text forged = {NULL, 0};
    int64_t today = now(NULL);
    BIO *bio;

    wsk__buf_init(&certificate, 1 << 16);
    wsk__buf_init(&key, 1 << 16);
    wsk__buf_init(&both, 1 << 16);
    wsk__buf_init(&other, 1 << 16);
    EXPECT(wsk__tls_dev_authority(today, &certificate, &key));
    authority = (struct wsk__tls_pair){buf_file("authority.pem", &certificate),
                                       buf_file("authority.key", &key)};
    EXPECT(wsk__tls_dev_signs(&authority, today));
    EXPECT(!wsk__tls_dev_signs(&authority, today + 3640LL * DAY));
    EXPECT(wsk__tls_dev_certificate(&authority, today, &both, &fault));
    pair =
        (struct wsk__tls_pair){buf_file("dev.pem", &both), {NULL, {NULL, 0}}};
    EXPECT(wsk__tls_dev_serves(&authority, &pair.chain, today));
    EXPECT(!wsk__tls_dev_serves(&authority, &pair.chain, today + 24 * DAY));
    set = set_of(&config);
    EXPECT(strcmp(wsk__tls_set_certificate(set, 0)->names,
                  "localhost *.localhost 127.0.0.1 ::1") == 0);
    EXPECT(wsk__tls_set_certificate(set, 0)->warning == NULL);
    wsk__tls_set_unref(set);
    EXPECT(verifies(&authority.chain, &pair.chain, "localhost"));
    EXPECT(verifies(&authority.chain, &pair.chain, "127.0.0.1"));
    EXPECT(verifies(&authority.chain, &pair.chain, "::1"));
    EXPECT(!verifies(&authority.chain, &pair.chain, "example.com"));
    /* Whoever has the authority's key signs nothing for other hosts. */
    bio = BIO_new_mem_buf(authority.key.text.p, (int)authority.key.text.len);
    by.key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio =
        BIO_new_mem_buf(authority.chain.text.p, (int)authority.chain.text.len);
    by.x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    evil = make((struct wanted){
        .name = "e", .san = "DNS:example.com,IP:192.0.2.1", .by = &by});
    add_x509(&forged, &evil);
    pair.chain = as_file("forged.pem", forged);
    EXPECT(!verifies(&authority.chain, &pair.chain, "example.com"));
    EXPECT(!verifies(&authority.chain, &pair.chain, "192.0.2.1"));
    /* Another authority has not signed it. */
    pair.chain = buf_file("dev.pem", &both);
    certificate.tail = certificate.head = key.tail = key.head = 0;
    EXPECT(wsk__tls_dev_authority(today, &certificate, &key));
    authority = (struct wsk__tls_pair){buf_file("authority.pem", &certificate),
                                       buf_file("authority.key", &key)};
    EXPECT(!wsk__tls_dev_serves(&authority, &pair.chain, today));
    authority.key = pair.chain;
    EXPECT(!wsk__tls_dev_certificate(&authority, today, &other, &fault));
    EXPECT(strstr(fault.text, "does not fit") != NULL);
    free(forged.p);
    forget(&evil);
    forget(&by);
    wsk__buf_free(&certificate);
    wsk__buf_free(&key);
    wsk__buf_free(&both);
    wsk__buf_free(&other);
}

/* ------------------------------------------------------------ memory --- */

static int allowed;

static int gate(void)
{
    return allowed-- > 0;
}

TEST(an_allocation_that_fails_leaves_no_set_and_no_leak)
{
    struct authority root =
        make((struct wanted){.name = "root", .signs = true});
    struct text signers = {NULL, 0};
    struct site site;
    struct wsk__tls_config config;
    struct wsk__tls_set *set = NULL;

    site_open(&site, (struct wanted){.name = "a",
                                     .san = "DNS:a.example,DNS:*.a.example"});
    add_x509(&signers, &root);
    config = config_of(&site.pair, 1);
    config.verify = WSK__TLS_VERIFY_OPTIONAL;
    config.ca_certs = as_file("ca.pem", signers);
    for (int n = 0; n < 200 && set == NULL; n++) {
        struct wsk__tls_fault fault;

        allowed = n;
        wsk__mem_set_gate(gate);
        set = wsk__tls_set_new(&config, &fault);
        wsk__mem_set_gate(NULL);
        EXPECT(set != NULL || strcmp(fault.text, "out of memory") == 0);
    }
    EXPECT(set != NULL);
    wsk__tls_set_unref(set);
    free(signers.p);
    site_close(&site);
    forget(&root);
}

#else

#include "tls/set.h"

TEST(without_tls_there_is_no_set_and_a_sentence_says_so)
{
    struct wsk__tls_config config = {.n_pairs = 0};
    struct wsk__tls_fault fault;

    EXPECT(wsk__tls_set_new(&config, &fault) == NULL);
    EXPECT(strstr(fault.text, "built without TLS") != NULL);
}

#endif
