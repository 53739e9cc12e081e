#include "tls/peer.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/mem.h"
#include "tls/certificate.h"
#include "tls/engine.h"
#include "tls/lib.h"
#include "tls/names.h"

#include <stdio.h>
#include <string.h>

void wsk__tls_peer_free(struct wsk__tls_peer *peer)
{
    wsk__free(peer);
}

bool wsk__tls_peer_info(const struct wsk__tls_peer *peer, wsk_tls_info *info)
{
    if (peer != NULL)
        *info = peer->info;
    return peer != NULL;
}

const wsk_header *wsk__tls_peer_variables(const struct wsk__tls_peer *peer,
                                          size_t *n)
{
    *n = peer != NULL ? peer->n : 0;
    return peer != NULL ? peer->variables : NULL;
}

wsk_str wsk__tls_peer_get(const struct wsk__tls_peer *peer, wsk_str name)
{
    for (size_t i = 0; i < peer->n; i++)
        if (peer->variables[i].name.len == name.len &&
            memcmp(peer->variables[i].name.p, name.p, name.len) == 0)
            return peer->variables[i].value;
    return (wsk_str){NULL, 0};
}

#ifdef WSK_TLS

enum { TEXT_MAX = 1 << 20 };

/* Variables while they are collected: texts one behind the other, name and
 * value by turns, each with a NUL, and where they end. */
struct draft {
    struct wsk__buf texts;
    struct wsk__buf ends; /* offsets in texts, behind each NUL */
    bool failed;          /* memory is out */
};

static void put(struct draft *draft, const void *p, size_t len)
{
    draft->failed |= !wsk__buf_put(&draft->texts, p, len);
}

static void end_text(struct draft *draft)
{
    size_t end;

    put(draft, "", 1);
    end = wsk__buf_len(&draft->texts);
    draft->failed |= !wsk__buf_put(&draft->ends, &end, sizeof(end));
}

static void put_text(struct draft *draft, const char *text)
{
    put(draft, text, strlen(text));
    end_text(draft);
}

static void add(struct draft *draft, const char *name, const char *value)
{
    put_text(draft, name);
    put_text(draft, value);
}

/* Add what was written into a BIO, which is freed, without line ends at its
 * end. */
static void add_bio(struct draft *draft, const char *name, BIO *bio, int good)
{
    char *p;
    long len = bio != NULL && good > 0 ? BIO_get_mem_data(bio, &p) : -1;

    draft->failed |= len < 0;
    if (len >= 0) {
        put_text(draft, name);
        put(draft, p, (size_t)len);
        end_text(draft);
    }
    BIO_free(bio);
}

static void add_subject(struct draft *draft, const char *name,
                        const X509_NAME *subject)
{
    BIO *bio = BIO_new(BIO_s_mem());
    /* RFC 2253; characters beyond ASCII stay UTF-8. */
    int n = bio != NULL
                ? X509_NAME_print_ex(bio, subject, 0,
                                     XN_FLAG_RFC2253 &
                                         ~(unsigned long)ASN1_STRFLGS_ESC_MSB)
                : -1;

    add_bio(draft, name, bio, n >= 0);
}

static void add_time(struct draft *draft, const char *name,
                     const ASN1_TIME *time)
{
    BIO *bio = BIO_new(BIO_s_mem());

    add_bio(draft, name, bio, bio != NULL ? ASN1_TIME_print(bio, time) : 0);
}

/* Names that hold anything but visible ASCII are left out: no environ, and no
 * log line, says what they would mean. */
static bool is_plain(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] <= ' ' || p[i] >= 0x7f)
            return false;
    return len > 0;
}

static void add_names(struct draft *draft, const X509 *x509, int type,
                      const char *prefix)
{
    GENERAL_NAMES *all =
        X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    unsigned n = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        int is;
        const ASN1_STRING *value =
            GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all, i), &is);
        char name[64];

        if (is != type || !is_plain(ASN1_STRING_get0_data(value),
                                    (size_t)ASN1_STRING_length(value)))
            continue;
        snprintf(name, sizeof(name), "%s%u", prefix, n++);
        put_text(draft, name);
        put(draft, ASN1_STRING_get0_data(value),
            (size_t)ASN1_STRING_length(value));
        end_text(draft);
    }
    GENERAL_NAMES_free(all);
}

static void add_client(struct draft *draft, X509 *x509)
{
    BIO *pem = BIO_new(BIO_s_mem());

    add_bio(draft, "SSL_CLIENT_CERT", pem,
            pem != NULL ? PEM_write_bio_X509(pem, x509) : 0);
    add_subject(draft, "SSL_CLIENT_S_DN", X509_get_subject_name(x509));
    add_subject(draft, "SSL_CLIENT_I_DN", X509_get_issuer_name(x509));
    put_text(draft, "SSL_CLIENT_M_SERIAL");
    draft->failed |= !wsk__tls_put_serial(&draft->texts, x509);
    end_text(draft);
    add_time(draft, "SSL_CLIENT_V_START", X509_get0_notBefore(x509));
    add_time(draft, "SSL_CLIENT_V_END", X509_get0_notAfter(x509));
    add_names(draft, x509, GEN_EMAIL, "SSL_CLIENT_SAN_Email_");
    add_names(draft, x509, GEN_DNS, "SSL_CLIENT_SAN_DNS_");
}

/* A certificate is here only if it was verified: another one ends the
 * handshake. */
static void collect(struct draft *draft, const struct wsk__tls_facts *facts,
                    const char *sni, const uint8_t *der, size_t len)
{
    X509 *x509;

    add(draft, "HTTPS", "on");
    add(draft, "SSL_PROTOCOL", facts->version);
    add(draft, "SSL_CIPHER", facts->cipher);
    add(draft, "SSL_TLS_SNI", sni);
    add(draft, "SSL_CLIENT_VERIFY", der != NULL ? "SUCCESS" : "NONE");
    if (der == NULL)
        return;
    x509 = d2i_X509(NULL, &(const uint8_t *){der}, (long)len);
    if (x509 != NULL)
        add_client(draft, x509);
    draft->failed |= x509 == NULL;
    X509_free(x509);
}

/* Put together one block: the facts, the variables, their texts, the DER. */
static struct wsk__tls_peer *assemble(const struct draft *draft,
                                      const struct wsk__tls_facts *facts,
                                      const uint8_t *der, size_t der_len)
{
    const size_t *ends = (const size_t *)(const void *)wsk__buf_data(
        (const struct wsk__buf *)&draft->ends);
    size_t n = wsk__buf_len(&draft->ends) / sizeof(*ends) / 2, from = 0;
    size_t texts = wsk__buf_len(&draft->texts);
    size_t head = sizeof(struct wsk__tls_peer) + n * sizeof(wsk_header);
    struct wsk__tls_peer *peer = wsk__alloc(head + texts + der_len);
    char *at = (char *)peer + head;

    if (peer == NULL)
        return NULL;
    memcpy(at, wsk__buf_data(&draft->texts), texts);
    if (der_len > 0)
        memcpy(at + texts, der, der_len);
    peer->n = n;
    for (size_t i = 0; i < 2 * n; i++) {
        wsk_str text = {at + from, ends[i] - 1 - from};

        *(i % 2 == 0 ? &peer->variables[i / 2].name
                     : &peer->variables[i / 2].value) = text;
        from = ends[i];
    }
    peer->info = (wsk_tls_info){
        .version = peer->variables[1].value.p,
        .cipher = peer->variables[2].value.p,
        .sni = peer->variables[3].value.p,
        .resumed = facts->resumed,
        .certificate = {der_len > 0 ? at + texts : NULL, der_len},
    };
    return peer;
}

/* Write the name that the client asked for in lower case; "" if it named none.
 */
static void lower_name(const char *name, char text[WSK__TLS_NAME + 1])
{
    wsk_str asked = {name, name != NULL ? strlen(name) : 0};

    text[0] = '\0';
    if (!wsk__tls_is_name(asked))
        return;
    for (size_t i = 0; i <= asked.len; i++)
        text[i] = (char)wsk__lower((unsigned char)name[i]);
}

struct wsk__tls_peer *wsk__tls_peer_new(const struct wsk__tls *tls)
{
    struct draft draft = {.failed = false};
    struct wsk__tls_peer *peer = NULL;
    struct wsk__tls_facts facts;
    char sni[WSK__TLS_NAME + 1];
    uint8_t *der;
    size_t len;

    if (!wsk__tls_peer_der(tls, &der, &len))
        return NULL;
    wsk__buf_init(&draft.texts, TEXT_MAX);
    wsk__buf_init(&draft.ends, TEXT_MAX);
    wsk__tls_facts(tls, &facts);
    lower_name(facts.name, sni);
    collect(&draft, &facts, sni, der, len);
    if (!draft.failed)
        peer = assemble(&draft, &facts, der, der != NULL ? len : 0);
    wsk__buf_free(&draft.texts);
    wsk__buf_free(&draft.ends);
    wsk__free(der);
    ERR_clear_error();
    return peer;
}

#else

struct wsk__tls_peer *wsk__tls_peer_new(const struct wsk__tls *tls)
{
    (void)tls;
    return NULL;
}

#endif
