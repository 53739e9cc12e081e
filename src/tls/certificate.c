#include "tls/certificate.h"

#include "base/address.h"
#include "base/ascii.h"
#include "base/buf.h"
#include "base/mem.h"
#include "tls/fault.h"
#include "tls/lib.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#ifdef WSK_TLS

enum { TEXT_MAX = 1 << 20 }; /* names of one certificate */

/* ------------------------------------------------------------- times --- */

int64_t wsk__tls_time(const struct asn1_string_st *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : INT64_MIN;
}

void wsk__tls_date(int64_t time, char text[WSK__TLS_DATE])
{
    time_t at = (time_t)time;
    struct tm tm;

    if (gmtime_r(&at, &tm) == NULL ||
        strftime(text, WSK__TLS_DATE, "%Y-%m-%d", &tm) == 0)
        snprintf(text, WSK__TLS_DATE, "an unknown day");
}

/* -------------------------------------------------------------- files --- */

BIO *wsk__tls_open_text(const struct wsk__tls_file *file,
                        struct wsk__tls_fault *fault)
{
    BIO *bio = NULL;

    ERR_clear_error();
    if (file->text.len <= INT_MAX)
        bio = BIO_new_mem_buf(file->text.p != NULL ? file->text.p : "",
                              (int)file->text.len);
    if (bio == NULL)
        wsk__tls_no_memory(fault);
    return bio;
}

/* The answer of the callback for passwords, and whether it was asked. */
struct password {
    const char *text;
    bool asked;
};

/* OpenSSL's own callback asks on a terminal. */
static int tell_password(char *to, int size, int writes, void *user)
{
    struct password *password = user;
    size_t len = password->text != NULL ? strlen(password->text) : 0;

    (void)writes;
    password->asked = true;
    if (len == 0 || len > (size_t)size)
        return -1;
    memcpy(to, password->text, len);
    return (int)len;
}

/* Return true if the last failure says that no more PEM is there. */
static bool is_end(void)
{
    unsigned long error = ERR_peek_last_error();

    return ERR_GET_LIB(error) == ERR_LIB_PEM &&
           ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

struct stack_st_X509 *wsk__tls_read_chain(const struct wsk__tls_file *file,
                                          struct wsk__tls_fault *fault)
{
    struct password none = {NULL, false};
    STACK_OF(X509) *all = sk_X509_new_null();
    BIO *bio = wsk__tls_open_text(file, fault);
    X509 *x509;

    while (bio != NULL && all != NULL &&
           (x509 = PEM_read_bio_X509(bio, NULL, tell_password, &none)) != NULL)
        if (sk_X509_push(all, x509) <= 0) {
            X509_free(x509);
            break;
        }
    BIO_free(bio);
    if (bio != NULL && is_end() && sk_X509_num(all) > 0) {
        ERR_clear_error();
        return all;
    }
    if (bio != NULL && is_end())
        wsk__tls_fail(fault, true, "%s has no certificate", file->path);
    else if (bio != NULL)
        wsk__tls_fail(fault, true, "certificate %d in %s cannot be read: %s",
                      sk_X509_num(all) + 1, file->path, wsk__tls_why());
    ERR_clear_error();
    sk_X509_pop_free(all, X509_free);
    return NULL;
}

static bool has_text(wsk_str text, const char *what)
{
    return text.len > 0 && memmem(text.p, text.len, what, strlen(what)) != NULL;
}

static bool no_key(const struct wsk__tls_pair *pair,
                   const struct wsk__tls_file *file,
                   const struct password *password,
                   struct wsk__tls_fault *fault)
{
    const char *path = file->path;

    if (password->asked && password->text == NULL)
        return wsk__tls_fail(fault, false,
                             "the key in %s is encrypted, and there is no "
                             "keyfile_password",
                             path);
    if (password->asked)
        return wsk__tls_fail(
            fault, true, "keyfile_password does not open the key in %s", path);
    if (has_text(file->text, "PRIVATE KEY-----"))
        return wsk__tls_fail(fault, true, "the key in %s cannot be read: %s",
                             path, wsk__tls_why());
    return wsk__tls_fail(fault, true,
                         pair->key.path != NULL
                             ? "%s has no private key"
                             : "%s has no private key, and there is no keyfile "
                               "for it",
                         path);
}

static bool read_key(struct wsk__tls_identity *id,
                     const struct wsk__tls_pair *pair, const char *password,
                     struct wsk__tls_fault *fault)
{
    const struct wsk__tls_file *file = pair->key.path != NULL ? &pair->key
                                                              : &pair->chain;
    struct password told = {password, false};
    BIO *bio = wsk__tls_open_text(file, fault);

    if (bio == NULL)
        return false;
    id->key = PEM_read_bio_PrivateKey(bio, NULL, tell_password, &told);
    BIO_free(bio);
    if (id->key == NULL) {
        no_key(pair, file, &told, fault);
        ERR_clear_error();
        return false;
    }
    id->type = EVP_PKEY_get_base_id(id->key);
    if (X509_check_private_key(id->leaf, id->key) == 1)
        return true;
    ERR_clear_error();
    return wsk__tls_fail(fault, true,
                         "the key in %s does not fit the certificate in %s",
                         file->path, pair->chain.path);
}

/* -------------------------------------------------------------- names --- */

/* Append a name in lower case, and a blank before it if it is not the first.
 * What is no name of a host is left out: a client cannot ask for it. */
static bool put_name(struct wsk__buf *to, const uint8_t *p, size_t len)
{
    uint8_t *room;

    if (len == 0 || len > WSK__TLS_NAME)
        return true;
    for (size_t i = 0; i < len; i++)
        if (p[i] <= ' ' || p[i] >= 0x7f)
            return true;
    if (wsk__buf_len(to) > 0 && !wsk__buf_put(to, " ", 1))
        return false;
    room = wsk__buf_room(to, len);
    if (room == NULL)
        return false;
    for (size_t i = 0; i < len; i++)
        room[i] = (uint8_t)wsk__lower(p[i]);
    wsk__buf_grow_tail(to, len);
    return true;
}

static bool put_address(struct wsk__buf *to, const uint8_t *p, size_t len)
{
    struct wsk__ip ip = {{[10] = 0xff, [11] = 0xff}};
    char text[WSK__IP_TEXT];

    if (len != 4 && len != 16)
        return true;
    memcpy(ip.octets + 16 - len, p, len);
    wsk__ip_write(&ip, text);
    return put_name(to, (const uint8_t *)text, strlen(text));
}

/* Append the names of the subject: those of the extension (RFC 9525 6.3). */
static bool put_names(struct wsk__buf *to, const X509 *leaf)
{
    GENERAL_NAMES *all =
        X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    bool good = true;

    for (int i = 0; good && i < sk_GENERAL_NAME_num(all); i++) {
        int type;
        const ASN1_STRING *value =
            GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all, i), &type);

        if (type == GEN_DNS)
            good = put_name(to, ASN1_STRING_get0_data(value),
                            (size_t)ASN1_STRING_length(value));
        else if (type == GEN_IPADD)
            good = put_address(to, ASN1_STRING_get0_data(value),
                               (size_t)ASN1_STRING_length(value));
    }
    GENERAL_NAMES_free(all);
    return good;
}

bool wsk__tls_put_serial(struct wsk__buf *to, const struct x509_st *x509)
{
    static const char HEX[] = "0123456789ABCDEF";
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x509);
    const uint8_t *p = ASN1_STRING_get0_data(serial);
    size_t len = (size_t)ASN1_STRING_length(serial);
    bool good = true;

    for (size_t i = 0; good && i < len; i++) {
        const char both[2] = {HEX[p[i] >> 4], HEX[p[i] & 15]};

        good = wsk__buf_put(to, both, 2);
    }
    return good;
}

/* Return the text in a buffer, which is given up; the caller owns it. */
static char *take_text(struct wsk__buf *from)
{
    char *text = NULL;

    if (wsk__buf_put(from, "", 1))
        text = wsk__memdup(wsk__buf_data(from), wsk__buf_len(from));
    wsk__buf_free(from);
    return text;
}

static bool describe(struct wsk__tls_identity *id, const char *path)
{
    struct wsk__tls_certificate *about = &id->about;
    struct wsk__buf names, serial;
    const char *name;
    bool good;

    wsk__buf_init(&names, TEXT_MAX);
    wsk__buf_init(&serial, TEXT_MAX);
    good = put_names(&names, id->leaf) &&
           wsk__tls_put_serial(&serial, id->leaf);
    about->names = take_text(&names);
    about->serial = take_text(&serial);
    about->path = wsk__memdup(path, strlen(path) + 1);
    about->start = wsk__tls_time(X509_get0_notBefore(id->leaf));
    about->end = wsk__tls_time(X509_get0_notAfter(id->leaf));
    if (!good || about->names == NULL || about->serial == NULL ||
        about->path == NULL)
        return false;
    name = about->names[0] != '\0' ? about->names : about->path;
    about->name = wsk__memdup(name, strlen(name) + 1);
    if (about->name == NULL)
        return false;
    if (name == about->names)
        ((char *)(uintptr_t)about->name)[strcspn(name, " ")] = '\0';
    return true;
}

/* -------------------------------------------------------------- chain --- */

bool wsk__tls_identity_warn(struct wsk__tls_identity *id, const char *format,
                            ...)
{
    struct wsk__tls_fault text;
    va_list args;

    if (id->about.warning != NULL)
        return true;
    va_start(args, format);
    vsnprintf(text.text, sizeof(text.text), format, args);
    va_end(args);
    id->about.warning = wsk__memdup(text.text, strlen(text.text) + 1);
    return id->about.warning != NULL;
}

/* Look at the order: each certificate issued the one before it (RFC
 * 5246 7.4.2).
 */
static bool judge_chain(struct wsk__tls_identity *id, bool strict,
                        struct wsk__tls_fault *fault)
{
    const char *path = id->about.path;
    X509 *before = id->leaf;
    int n = sk_X509_num(id->chain);

    for (int i = 0; i < n; i++) {
        X509 *x509 = sk_X509_value(id->chain, i);

        if (X509_check_issued(x509, before) != X509_V_OK) {
            id->about.out_of_order = true;
            if (strict)
                return wsk__tls_fail(fault, true,
                                     "the chain in %s is out of order: "
                                     "certificate %d did not issue the one "
                                     "before it",
                                     path, i + 2);
            return wsk__tls_identity_warn(id,
                                          "the chain in %s is out of order: "
                                          "certificate %d did not issue the "
                                          "one before it",
                                          path, i + 2) ||
                   wsk__tls_no_memory(fault);
        }
        before = x509;
    }
    /* A public authority says where its certificate is (RFC 5280 4.2.2.1); few
     * clients fetch it. */
    if (n == 0 && X509_check_issued(id->leaf, id->leaf) != X509_V_OK &&
        X509_get_ext_by_NID(id->leaf, NID_info_access, -1) >= 0)
        return wsk__tls_identity_warn(
                   id,
                   "%s has no certificate of the issuer behind its own: many "
                   "clients will not trust it",
                   path) ||
               wsk__tls_no_memory(fault);
    return true;
}

static bool judge_time(const struct wsk__tls_identity *id,
                       const struct wsk__tls_config *config,
                       struct wsk__tls_fault *fault)
{
    char day[WSK__TLS_DATE];

    if (!config->strict || id->about.end >= config->now(config->to))
        return true;
    wsk__tls_date(id->about.end, day);
    return wsk__tls_fail(fault, false, "the certificate in %s expired on %s",
                         id->about.path, day);
}

bool wsk__tls_identity_read(struct wsk__tls_identity *id,
                            const struct wsk__tls_pair *pair,
                            const struct wsk__tls_config *config,
                            struct wsk__tls_fault *fault)
{
    *id = (struct wsk__tls_identity){.type = 0};
    id->chain = wsk__tls_read_chain(&pair->chain, fault);
    if (id->chain == NULL)
        return false;
    id->leaf = sk_X509_shift(id->chain);
    if (read_key(id, pair, config->password, fault)) {
        if (!describe(id, pair->chain.path))
            wsk__tls_no_memory(fault);
        else if (judge_chain(id, config->strict, fault) &&
                 judge_time(id, config, fault))
            return true;
    }
    wsk__tls_identity_free(id);
    return false;
}

void wsk__tls_identity_forget(struct wsk__tls_identity *id)
{
    X509_free(id->leaf);
    sk_X509_pop_free(id->chain, X509_free);
    EVP_PKEY_free(id->key);
    id->leaf = NULL;
    id->chain = NULL;
    id->key = NULL;
}

static void free_text(const char *text)
{
    wsk__free((void *)(uintptr_t)text);
}

void wsk__tls_identity_free(struct wsk__tls_identity *id)
{
    wsk__tls_identity_forget(id);
    free_text(id->about.path);
    free_text(id->about.name);
    free_text(id->about.names);
    free_text(id->about.serial);
    free_text(id->about.warning);
    *id = (struct wsk__tls_identity){.type = 0};
}

#endif
