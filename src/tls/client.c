#include "tls/client.h"

#include "tls/certificate.h"
#include "tls/fault.h"
#include "tls/lib.h"

#ifdef WSK_TLS

static bool trust(SSL_CTX *ctx, const struct wsk__tls_config *config,
                  struct wsk__tls_fault *fault)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    STACK_OF(X509) * signers;
    bool good;

    if (config->ca_certs.path == NULL)
        return SSL_CTX_set_default_verify_paths(ctx) == 1 ||
               wsk__tls_no_memory(fault);
    signers = wsk__tls_read_chain(&config->ca_certs, fault);
    if (signers == NULL)
        return false;
    /* The file says who signs, an intermediate authority included. */
    good = X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
    for (int i = 0; good && i < sk_X509_num(signers); i++)
        good = X509_STORE_add_cert(store, sk_X509_value(signers, i)) == 1;
    sk_X509_pop_free(signers, X509_free);
    return good || wsk__tls_no_memory(fault);
}

/* Let the client show its certificate to a server that asks. */
static bool show(SSL_CTX *ctx, const struct wsk__tls_config *config,
                 struct wsk__tls_fault *fault)
{
    struct wsk__tls_identity id = {.type = 0};
    bool good;

    if (config->n_pairs == 0)
        return true;
    if (!wsk__tls_identity_read(&id, config->pairs, config, fault))
        return false;
    good = SSL_CTX_use_cert_and_key(ctx, id.leaf, id.key, id.chain, 1) == 1 ||
           wsk__tls_fail(fault, true,
                         "the certificate in %s cannot be used: %s",
                         config->pairs->chain.path, wsk__tls_why());
    wsk__tls_identity_free(&id);
    return good;
}

static struct wsk__tls *make(SSL_CTX *ctx, const char *name,
                             struct wsk__tls_fault *fault)
{
    static const wsk_str HTTP = {"http/1.1", 8}; /* RFC 7301 6 */
    struct wsk__tls *tls = wsk__tls_new(ctx, WSK__TLS_CLIENT, NULL, NULL);

    if (tls == NULL || !wsk__tls_speak(tls, &HTTP, 1)) {
        wsk__tls_no_memory(fault);
    } else if (!wsk__tls_reach(tls, name, true)) {
        wsk__tls_fail(fault, false, "no server can be called '%.200s'", name);
    } else {
        return tls;
    }
    wsk__tls_free(tls);
    return NULL;
}

struct wsk__tls *wsk__tls_connect(const struct wsk__tls_config *config,
                                  const char *name,
                                  struct wsk__tls_fault *fault)
{
    struct wsk__tls *tls = NULL;
    SSL_CTX *ctx;

    if (!wsk__tls_ready(fault))
        return NULL;
    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL || !wsk__tls_prepare(ctx, WSK__TLS_CLIENT))
        wsk__tls_no_memory(fault);
    else if (trust(ctx, config, fault) && show(ctx, config, fault))
        tls = make(ctx, name, fault);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return tls;
}

#else

struct wsk__tls *wsk__tls_connect(const struct wsk__tls_config *config,
                                  const char *name,
                                  struct wsk__tls_fault *fault)
{
    static const struct wsk__tls_fault NONE = {"wsocket was built without TLS",
                                               false};

    (void)config, (void)name;
    *fault = NONE;
    return NULL;
}

#endif
