#include "tls/clients.h"

#include "base/mem.h"
#include "tls/certificate.h"
#include "tls/fault.h"
#include "tls/lib.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef WSK_TLS

enum { DIGEST = WSK__TLS_SEED, SUBJECT = 200 };

/* ------------------------------------------------------------ warnings --- */

__attribute__((format(printf, 2, 3))) static bool
warn(struct wsk__tls_clients *clients, const char *format, ...)
{
    struct wsk__tls_fault text;
    char *copy;
    va_list args;

    if (clients->n_warnings == WSK__TLS_WARNINGS)
        return true;
    va_start(args, format);
    vsnprintf(text.text, sizeof(text.text), format, args);
    va_end(args);
    copy = wsk__memdup(text.text, strlen(text.text) + 1);
    if (copy != NULL)
        clients->warnings[clients->n_warnings++] = copy;
    return copy != NULL;
}

/* Write the subject of an authority for a message. */
static void show_subject(X509 *x509, char text[SUBJECT])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n = -1;

    if (bio != NULL && X509_NAME_print_ex(bio, X509_get_subject_name(x509), 0,
                                          XN_FLAG_RFC2253) >= 0)
        n = BIO_read(bio, text, SUBJECT - 1);
    text[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
}

/* ---------------------------------------------------------- revocation --- */

static bool has_list(STACK_OF(X509_CRL) * lists, X509 *signer)
{
    for (int i = 0; i < sk_X509_CRL_num(lists); i++)
        if (X509_NAME_cmp(X509_CRL_get_issuer(sk_X509_CRL_value(lists, i)),
                          X509_get_subject_name(signer)) == 0)
            return true;
    return false;
}

/* Warn of what makes OpenSSL refuse every certificate of an authority: it has
 * no list, or an old one. */
static bool judge_lists(struct wsk__tls_clients *clients,
                        STACK_OF(X509_CRL) * lists,
                        const struct wsk__tls_config *config)
{
    bool good = true;

    for (int i = 0; good && i < sk_X509_num(clients->signers); i++) {
        X509 *signer = sk_X509_value(clients->signers, i);
        char subject[SUBJECT];

        if (has_list(lists, signer))
            continue;
        show_subject(signer, subject);
        good = warn(clients,
                    "%s has no list of %s, whose clients are all refused "
                    "therefore",
                    config->crl.path, subject);
    }
    for (int i = 0; good && i < sk_X509_CRL_num(lists); i++) {
        const ASN1_TIME *next =
            X509_CRL_get0_nextUpdate(sk_X509_CRL_value(lists, i));
        char day[WSK__TLS_DATE];

        if (next == NULL || wsk__tls_time(next) > config->now(config->to))
            continue;
        wsk__tls_date(wsk__tls_time(next), day);
        good = warn(clients,
                    "list %d in %s ran out on %s: clients of its issuer are "
                    "all refused",
                    i + 1, config->crl.path, day);
    }
    return good;
}

/* Read all lists of a file. NULL with *fault; there is one at least. */
static STACK_OF(X509_CRL) *
    read_lists(const struct wsk__tls_file *file, struct wsk__tls_fault *fault)
{
    STACK_OF(X509_CRL) *all = sk_X509_CRL_new_null();
    BIO *bio = wsk__tls_open_text(file, fault);
    X509_CRL *list;

    while (bio != NULL && all != NULL &&
           (list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL)
        if (sk_X509_CRL_push(all, list) <= 0) {
            X509_CRL_free(list);
            break;
        }
    BIO_free(bio);
    if (bio == NULL || all == NULL) {
        wsk__tls_no_memory(fault);
    } else if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        wsk__tls_fail(fault, true,
                      "list %d of revoked certificates in %s cannot be read: "
                      "%s",
                      sk_X509_CRL_num(all) + 1, file->path, wsk__tls_why());
    } else if (sk_X509_CRL_num(all) == 0) {
        wsk__tls_fail(fault, true, "%s has no list of revoked certificates",
                      file->path);
    } else {
        ERR_clear_error();
        return all;
    }
    sk_X509_CRL_pop_free(all, X509_CRL_free);
    return NULL;
}

static bool add_lists(struct wsk__tls_clients *clients,
                      const struct wsk__tls_config *config,
                      struct wsk__tls_fault *fault)
{
    STACK_OF(X509_CRL) * lists;
    bool good;

    if (config->crl.path == NULL)
        return true;
    lists = read_lists(&config->crl, fault);
    if (lists == NULL)
        return false;
    good = judge_lists(clients, lists, config);
    for (int i = 0; good && i < sk_X509_CRL_num(lists); i++)
        good = X509_STORE_add_crl(clients->store,
                                  sk_X509_CRL_value(lists, i)) == 1;
    sk_X509_CRL_pop_free(lists, X509_CRL_free);
    good = good && X509_STORE_set_flags(clients->store,
                                        X509_V_FLAG_CRL_CHECK |
                                            X509_V_FLAG_CRL_CHECK_ALL) == 1;
    return good || wsk__tls_no_memory(fault);
}

/* An authority of ca_certs is trusted because the file has it: it needs no list
 * of its own issuer. */
static int on_verify(int good, X509_STORE_CTX *ctx)
{
    int depth = X509_STORE_CTX_get_error_depth(ctx);

    if (good || depth == 0 ||
        X509_STORE_CTX_get_error(ctx) != X509_V_ERR_UNABLE_TO_GET_CRL ||
        depth != sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) - 1)
        return good;
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

/* ------------------------------------------------------------- signers --- */

/* A ticket vouches for its client as long as nothing here changes. */
static bool digest(struct wsk__tls_clients *clients,
                   const struct wsk__tls_config *config)
{
    const struct wsk__tls_file *files[] = {&config->ca_certs, &config->crl};
    uint8_t *digest = clients->digest;

    memset(digest, 0, DIGEST);
    digest[0] = (uint8_t)config->verify;
    for (size_t i = 0; i < 2; i++) {
        wsk_str text = files[i]->path != NULL ? files[i]->text
                                              : (wsk_str){"", 0};

        if (HMAC(EVP_sha256(), digest, DIGEST, (const uint8_t *)text.p,
                 text.len, digest, NULL) == NULL)
            return false;
    }
    return true;
}

static bool add_signers(struct wsk__tls_clients *clients,
                        const struct wsk__tls_config *config,
                        struct wsk__tls_fault *fault)
{
    bool good;

    clients->signers = wsk__tls_read_chain(&config->ca_certs, fault);
    if (clients->signers == NULL)
        return false;
    clients->store = X509_STORE_new();
    good = clients->store != NULL;
    for (int i = 0; good && i < sk_X509_num(clients->signers); i++)
        good = X509_STORE_add_cert(clients->store,
                                   sk_X509_value(clients->signers, i)) == 1;
    /* The file says who signs, an intermediate authority included. */
    good = good &&
           X509_STORE_set_flags(clients->store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
    return good || wsk__tls_no_memory(fault);
}

static bool warn_of_no_use(struct wsk__tls_clients *clients,
                           const struct wsk__tls_config *config)
{
    const char *what = config->ca_certs.path != NULL ? "ca_certs"
                       : config->crl.path != NULL    ? "crl"
                                                     : NULL;

    return what == NULL ||
           warn(clients, "%s has no effect: cert_reqs is none", what);
}

bool wsk__tls_clients_read(struct wsk__tls_clients *clients,
                           const struct wsk__tls_config *config,
                           struct wsk__tls_fault *fault)
{
    clients->verify = config->verify;
    if (!digest(clients, config))
        return wsk__tls_no_memory(fault);
    if (config->verify == WSK__TLS_VERIFY_NONE)
        return warn_of_no_use(clients, config) || wsk__tls_no_memory(fault);
    if (config->ca_certs.path == NULL)
        return wsk__tls_fail(fault, false,
                             "cert_reqs asks clients for certificates, and "
                             "there are no ca_certs that sign them");
    return add_signers(clients, config, fault) &&
           add_lists(clients, config, fault);
}

void wsk__tls_clients_clear(struct wsk__tls_clients *clients)
{
    X509_STORE_free(clients->store);
    sk_X509_pop_free(clients->signers, X509_free);
    for (size_t i = 0; i < clients->n_warnings; i++)
        wsk__free(clients->warnings[i]);
}

bool wsk__tls_clients_use(const struct wsk__tls_clients *clients,
                          struct ssl_ctx_st *ctx)
{
    int mode = SSL_VERIFY_PEER;

    if (clients->verify == WSK__TLS_VERIFY_NONE)
        return true;
    if (clients->verify == WSK__TLS_VERIFY_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, on_verify);
    SSL_CTX_set1_cert_store(ctx, clients->store);
    for (int i = 0; i < sk_X509_num(clients->signers); i++)
        if (SSL_CTX_add_client_CA(ctx, sk_X509_value(clients->signers, i)) != 1)
            return false;
    return true;
}

#endif
