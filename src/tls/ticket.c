#include "tls/ticket.h"

#include "base/mem.h"
#include "tls/lib.h"
#include "tls/names.h"

#include <string.h>

#ifdef WSK_TLS

enum {
    DIGEST = 32,           /* octets of SHA-256 */
    NAME = 16,             /* octets of a key's name in a ticket */
    PERIOD = 8 * 3600,     /* seconds for which a key encrypts */
    LIFETIME = 2 * 3600,   /* seconds for which a ticket counts */
    CLIENT_LIFETIME = 3600 /* the same of one that vouches for a client */
};

struct wsk__tls_tickets {
    int64_t (*now)(void *to);
    void *to;
    uint8_t trust[DIGEST];
    size_t n;                  /* files; 0: the seed, by periods */
    uint8_t secrets[][DIGEST]; /* extracted from the seed, or from each file */
};

/* Three parts of what RFC 5869 expands: a name and two keys. */
struct key {
    uint8_t part[3][DIGEST];
};

/* Which key: a period of the seed, or a file. */
struct choice {
    const uint8_t *secret;
    uint64_t period;
};

static bool hmac(const uint8_t key[DIGEST], const uint8_t *data, size_t len,
                 uint8_t out[DIGEST])
{
    return HMAC(EVP_sha256(), key, DIGEST, data, len, out, NULL) != NULL;
}

/* Expand the first `n` parts of a key for tickets of a connection (RFC 5869
 * 2.3): the name that the client asked for is among what they depend on, so a
 * ticket of one name is none under another. */
static bool expand(const struct wsk__tls_tickets *tickets,
                   const struct choice *choice, const SSL *ssl, unsigned n,
                   struct key *key)
{
    static const char LABEL[] = "wsocket ticket 1";
    wsk_str name = wsk__tls_name_asked(ssl);
    uint8_t block[DIGEST + sizeof(LABEL) + 8 + DIGEST + 256 + 1], *p, *info;

    p = info = block + DIGEST;
    memcpy(p, LABEL, sizeof(LABEL));
    p += sizeof(LABEL);
    for (unsigned i = 0; i < 8; i++)
        *p++ = (uint8_t)(choice->period >> (56 - 8 * i));
    memcpy(p, tickets->trust, DIGEST);
    p += DIGEST;
    memcpy(p, name.p, name.len);
    p += name.len;
    for (unsigned i = 0; i < n; i++) {
        uint8_t *from = i == 0 ? info : block;

        *p = (uint8_t)(i + 1);
        if (!hmac(choice->secret, from, (size_t)(p + 1 - from), key->part[i]))
            return false;
        memcpy(block, key->part[i], DIGEST);
    }
    return true;
}

static int64_t period_of(const struct wsk__tls_tickets *tickets)
{
    return tickets->now(tickets->to) / PERIOD;
}

/* Return key number `i` of those that decrypt, the one that encrypts first.
 * False past the last. */
static bool choose(const struct wsk__tls_tickets *tickets, size_t i,
                   struct choice *choice)
{
    static const int OFFSETS[] = {0, -1, 1}; /* present, past, next */

    if (tickets->n > 0) {
        *choice = (struct choice){tickets->secrets[i % tickets->n], 0};
        return i < tickets->n;
    }
    if (i >= sizeof(OFFSETS) / sizeof(*OFFSETS))
        return false;
    choice->secret = tickets->secrets[0];
    choice->period = (uint64_t)(period_of(tickets) + OFFSETS[i]);
    return true;
}

/* Return true if a newer key than number `i` is in use. */
static bool is_old(const struct wsk__tls_tickets *tickets, size_t i)
{
    return tickets->n > 0 ? i > 0 : i == 1;
}

static bool set_keys(const struct key *key, const uint8_t *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypts)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(
            OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->part[2], DIGEST),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                         (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->part[1], iv,
                             encrypts) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* The tickets of the context with which a connection began. */
static const struct wsk__tls_tickets *tickets_of(const SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* Results of on_key(). */
enum { FAILED = -1, NO_KEY = 0, USE = 1, RENEW = 2 };

static int on_key(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                  EVP_MAC_CTX *mac, int encrypts)
{
    const struct wsk__tls_tickets *tickets = tickets_of(ssl);
    struct choice choice;
    struct key key;
    int result = NO_KEY;

    if (encrypts &&
        RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
        return FAILED;
    for (size_t i = 0; result == NO_KEY && choose(tickets, i, &choice); i++) {
        if (!expand(tickets, &choice, ssl, 1, &key))
            result = FAILED;
        else if (encrypts || CRYPTO_memcmp(name, key.part[0], NAME) == 0)
            result = expand(tickets, &choice, ssl, 3, &key) &&
                             set_keys(&key, iv, cipher, mac, encrypts)
                         ? (is_old(tickets, i) ? RENEW : USE)
                         : FAILED;
    }
    if (encrypts && result > 0)
        memcpy(name, key.part[0], NAME);
    OPENSSL_cleanse(&key, sizeof(key));
    return result;
}

/* Return true if the certificate of a session's client has run out. */
static bool has_run_out(const struct wsk__tls_tickets *tickets,
                        SSL_SESSION *session)
{
    X509 *x509 = SSL_SESSION_get0_peer(session);
    time_t now = (time_t)tickets->now(tickets->to);

    return x509 != NULL && X509_cmp_time(X509_get0_notAfter(x509), &now) < 0;
}

/* Say what becomes of a ticket. A client of TLS 1.3 is given a new one for each
 * that it used: it may use it once (RFC 8446 C.4). */
static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session,
                                   const uint8_t *name, size_t len,
                                   SSL_TICKET_STATUS status, void *user)
{
    (void)name, (void)len, (void)user;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return status == SSL_TICKET_EMPTY || status == SSL_TICKET_NO_DECRYPT
                   ? SSL_TICKET_RETURN_IGNORE_RENEW
                   : SSL_TICKET_RETURN_ABORT;
    if (has_run_out(tickets_of(ssl), session))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS_RENEW ||
                   SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION
               ? SSL_TICKET_RETURN_USE_RENEW
               : SSL_TICKET_RETURN_USE;
}

struct wsk__tls_tickets *
wsk__tls_tickets_new(const struct wsk__tls_config *config, const uint8_t *trust)
{
    static const uint8_t SALT[DIGEST] = "wsocket tickets";
    size_t n = config->n_tickets;
    struct wsk__tls_tickets *tickets =
        wsk__calloc(sizeof(*tickets) + (n > 0 ? n : 1) * DIGEST);
    bool good = tickets != NULL;

    if (!good)
        return NULL;
    tickets->now = config->now;
    tickets->to = config->to;
    tickets->n = n;
    memcpy(tickets->trust, trust, DIGEST);
    if (n == 0)
        good = hmac(SALT, config->seed, WSK__TLS_SEED, tickets->secrets[0]);
    for (size_t i = 0; good && i < n; i++)
        good = hmac(SALT, (const uint8_t *)config->tickets[i].text.p,
                    config->tickets[i].text.len, tickets->secrets[i]);
    if (good)
        return tickets;
    wsk__tls_tickets_free(tickets);
    return NULL;
}

void wsk__tls_tickets_free(struct wsk__tls_tickets *tickets)
{
    if (tickets != NULL)
        OPENSSL_cleanse(tickets->secrets,
                        (tickets->n > 0 ? tickets->n : 1) * DIGEST);
    wsk__free(tickets);
}

bool wsk__tls_tickets_use(struct wsk__tls_tickets *tickets,
                          struct ssl_ctx_st *ctx, bool clients)
{
    SSL_CTX_set_timeout(ctx, clients ? CLIENT_LIFETIME : LIFETIME);
    return SSL_CTX_set_app_data(ctx, tickets) == 1 &&
           SSL_CTX_set_session_id_context(ctx, tickets->trust, DIGEST) == 1 &&
           SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_key) == 1 &&
           SSL_CTX_set_session_ticket_cb(ctx, NULL, on_ticket, NULL) == 1;
}

#endif
