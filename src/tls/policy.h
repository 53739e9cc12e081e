/* tls/policy: versions, ciphers and groups, as the options say. */
#ifndef WSK_TLS_POLICY_H
#define WSK_TLS_POLICY_H

#include "tls/set.h"

/* Check what does not depend on a certificate. False with *fault. */
bool wsk__tls_policy_check(const struct wsk__tls_config *config,
                           struct wsk__tls_fault *fault);

/* Set it. False with *fault. */
bool wsk__tls_policy_use(const struct wsk__tls_config *config,
                         struct ssl_ctx_st *ctx, struct wsk__tls_fault *fault);

#endif
