#include "tls/dev.h"

#include "base/buf.h"
#include "tls/certificate.h"
#include "tls/fault.h"
#include "tls/lib.h"

#include <string.h>

#ifdef WSK_TLS

enum { DAY = 86400, AUTHORITY_DAYS = 3650, DAYS = 30, SERIAL = 16 };

static const char NAMES[] = "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:::1";
static const char PERMITTED[] =
    "critical,permitted;DNS:localhost,permitted;IP:127.0.0.0/255.0.0.0,"
    "permitted;IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";

static bool extend(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509_EXTENSION *extension;
    X509V3_CTX how;
    bool good;

    X509V3_set_ctx_nodb(&how);
    X509V3_set_ctx(&how, issuer, x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &how, nid, value);
    good = extension != NULL && X509_add_ext(x509, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static bool set_serial(X509 *x509)
{
    uint8_t serial[SERIAL];

    if (RAND_bytes(serial, SERIAL) != 1)
        return false;
    serial[0] = (uint8_t)((serial[0] & 0x3f) | 0x40); /* positive */
    return ASN1_STRING_set(X509_get_serialNumber(x509), serial, SERIAL) == 1;
}

static bool add_name(X509_NAME *to, const char *type, const char *text)
{
    return X509_NAME_add_entry_by_txt(to, type, MBSTRING_UTF8,
                                      (const uint8_t *)text, -1, -1, 0) == 1;
}

/* Fill all but the extensions and the signature. */
static bool fill(X509 *x509, EVP_PKEY *key, const char *name, int64_t now,
                 int days)
{
    X509_NAME *subject = X509_get_subject_name(x509);

    return X509_set_version(x509, X509_VERSION_3) == 1 && set_serial(x509) &&
           ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)(now - 3600)) !=
               NULL &&
           ASN1_TIME_set(X509_getm_notAfter(x509),
                         (time_t)(now + (int64_t)days * DAY)) != NULL &&
           add_name(subject, "O", "wsocket") && add_name(subject, "CN", name) &&
           X509_set_pubkey(x509, key) == 1;
}

static bool put_bio(struct wsk__buf *to, BIO *bio)
{
    char *p;
    long len = BIO_get_mem_data(bio, &p);

    return len > 0 && wsk__buf_put(to, p, (size_t)len);
}

static bool put_x509(struct wsk__buf *to, X509 *x509)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool good = bio != NULL && PEM_write_bio_X509(bio, x509) == 1 &&
                put_bio(to, bio);

    BIO_free(bio);
    return good;
}

static bool put_key(struct wsk__buf *to, EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool good = bio != NULL &&
                PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) ==
                    1 &&
                put_bio(to, bio);

    BIO_free(bio);
    return good;
}

bool wsk__tls_dev_authority(int64_t now, struct wsk__buf *certificate,
                            struct wsk__buf *key, struct wsk__tls_fault *fault)
{
    EVP_PKEY *pair;
    X509 *x509;
    bool good;

    if (!wsk__tls_ready(fault))
        return false;
    pair = EVP_EC_gen("P-256");
    x509 = X509_new();
    good = pair != NULL && x509 != NULL &&
           fill(x509, pair, "wsocket development authority", now,
                AUTHORITY_DAYS) &&
           X509_set_issuer_name(x509, X509_get_subject_name(x509)) == 1 &&
           extend(x509, x509, NID_basic_constraints,
                  "critical,CA:TRUE,pathlen:0") &&
           extend(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           extend(x509, x509, NID_name_constraints, PERMITTED) &&
           extend(x509, x509, NID_subject_key_identifier, "hash") &&
           X509_sign(x509, pair, EVP_sha256()) > 0 &&
           put_x509(certificate, x509) && put_key(key, pair);

    X509_free(x509);
    EVP_PKEY_free(pair);
    if (!good)
        wsk__tls_fail(fault, false, "no authority can be made: %s",
                      wsk__tls_why());
    ERR_clear_error();
    return good;
}

static int64_t say_now(void *now)
{
    return *(int64_t *)now;
}

/* Read a pair as a set would. */
static bool read_pair(struct wsk__tls_identity *id,
                      const struct wsk__tls_pair *pair, int64_t now,
                      struct wsk__tls_fault *fault)
{
    const struct wsk__tls_config config = {.now = say_now, .to = &now};

    return wsk__tls_identity_read(id, pair, &config, fault);
}

static bool sign(X509 *x509, EVP_PKEY *key, const struct wsk__tls_identity *by,
                 int64_t now)
{
    return fill(x509, key, "localhost", now, DAYS) &&
           X509_set_issuer_name(x509, X509_get_subject_name(by->leaf)) == 1 &&
           extend(x509, by->leaf, NID_basic_constraints, "critical,CA:FALSE") &&
           extend(x509, by->leaf, NID_key_usage, "critical,digitalSignature") &&
           extend(x509, by->leaf, NID_ext_key_usage, "serverAuth") &&
           extend(x509, by->leaf, NID_subject_alt_name, NAMES) &&
           extend(x509, by->leaf, NID_subject_key_identifier, "hash") &&
           extend(x509, by->leaf, NID_authority_key_identifier, "keyid") &&
           X509_sign(x509, by->key, EVP_sha256()) > 0;
}

bool wsk__tls_dev_certificate(const struct wsk__tls_pair *authority,
                              int64_t now, struct wsk__buf *both,
                              struct wsk__tls_fault *fault)
{
    struct wsk__tls_identity by;
    EVP_PKEY *key;
    X509 *x509;
    bool good;

    if (!wsk__tls_ready(fault) || !read_pair(&by, authority, now, fault))
        return false;
    key = EVP_EC_gen("P-256");
    x509 = X509_new();
    good = key != NULL && x509 != NULL && sign(x509, key, &by, now) &&
           put_x509(both, x509) && put_key(both, key);
    X509_free(x509);
    EVP_PKEY_free(key);
    if (!good)
        wsk__tls_fail(fault, false, "no certificate can be signed by %s: %s",
                      authority->chain.path, wsk__tls_why());
    wsk__tls_identity_free(&by);
    ERR_clear_error();
    return good;
}

bool wsk__tls_dev_signs(const struct wsk__tls_pair *authority, int64_t now)
{
    struct wsk__tls_identity by;
    struct wsk__tls_fault fault;
    bool good;

    if (!wsk__tls_ready(&fault))
        return false;
    good = read_pair(&by, authority, now, &fault) &&
           by.about.end > now + (int64_t)DAYS * DAY;
    wsk__tls_identity_free(&by);
    ERR_clear_error();
    return good;
}

bool wsk__tls_dev_serves(const struct wsk__tls_pair *authority,
                         const struct wsk__tls_file *both, int64_t now)
{
    const struct wsk__tls_pair pair = {*both, {NULL, {NULL, 0}}};
    struct wsk__tls_identity by, id = {.type = 0};
    struct wsk__tls_fault fault;
    bool good;

    if (!wsk__tls_ready(&fault))
        return false;
    good = read_pair(&by, authority, now, &fault) &&
           read_pair(&id, &pair, now, &fault) && id.about.end > now + 7 * DAY &&
           X509_verify(id.leaf, X509_get0_pubkey(by.leaf)) == 1;
    wsk__tls_identity_free(&by);
    wsk__tls_identity_free(&id);
    ERR_clear_error();
    return good;
}

#else

static const struct wsk__tls_fault NONE = {
    "wsocket was built without TLS: certfile cannot be used", false};

bool wsk__tls_dev_authority(int64_t now, struct wsk__buf *certificate,
                            struct wsk__buf *key, struct wsk__tls_fault *fault)
{
    (void)now, (void)certificate, (void)key;
    *fault = NONE;
    return false;
}

bool wsk__tls_dev_certificate(const struct wsk__tls_pair *authority,
                              int64_t now, struct wsk__buf *both,
                              struct wsk__tls_fault *fault)
{
    (void)authority, (void)now, (void)both;
    *fault = NONE;
    return false;
}

bool wsk__tls_dev_signs(const struct wsk__tls_pair *authority, int64_t now)
{
    (void)authority, (void)now;
    return false;
}

bool wsk__tls_dev_serves(const struct wsk__tls_pair *authority,
                         const struct wsk__tls_file *both, int64_t now)
{
    (void)authority, (void)both, (void)now;
    return false;
}

#endif
