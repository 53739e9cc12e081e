/* tls/clients: which certificates of clients count. */
#ifndef WSK_TLS_CLIENTS_H
#define WSK_TLS_CLIENTS_H

#include "tls/set.h"

struct stack_st_X509;
struct x509_store_st;

enum { WSK__TLS_WARNINGS = 8 }; /* more are not told */

struct wsk__tls_clients {
    enum wsk__tls_verify verify;
    uint8_t digest[WSK__TLS_SEED]; /* of all that decides who counts */
    struct x509_store_st *store;   /* NULL: no client is asked */
    struct stack_st_X509 *signers;
    size_t n_warnings;
    char *warnings[WSK__TLS_WARNINGS];
};

/* Read ca_certs and crl. False with *fault; clear it then, too. */
bool wsk__tls_clients_read(struct wsk__tls_clients *clients,
                           const struct wsk__tls_config *config,
                           struct wsk__tls_fault *fault);
void wsk__tls_clients_clear(struct wsk__tls_clients *clients);

/* Have a context ask. False: memory is out. */
bool wsk__tls_clients_use(const struct wsk__tls_clients *clients,
                          struct ssl_ctx_st *ctx);

#endif
