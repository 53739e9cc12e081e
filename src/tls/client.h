/* tls/client: the engine of a client, which trusts some authorities. */
#ifndef WSK_TLS_CLIENT_H
#define WSK_TLS_CLIENT_H

#include "tls/engine.h"
#include "tls/set.h"

/*
 * Make the engine of a client that wants to reach `name`, a DNS name or an
 * address, and takes only a certificate that is valid for it. Of `config` count
 * ca_certs, without which the authorities of the system are trusted, the first
 * of `pairs`, with which the client shows who it is, and the clock. NULL with
 * *fault.
 */
struct wsk__tls *wsk__tls_connect(const struct wsk__tls_config *config,
                                  const char *name,
                                  struct wsk__tls_fault *fault);

#endif
