/* tls/dev: certificates for development on one machine, and an authority that
 * signs them. It can sign for names of this machine only (RFC 5280 4.2.1.10),
 * so a thief of its key can pretend to be no other host. */
#ifndef WSK_TLS_DEV_H
#define WSK_TLS_DEV_H

#include "tls/set.h"

struct wsk__buf;

/* Make an authority for ten years, as PEM: certificate, and key. False with
 * *fault. `now`: seconds since 1970. */
bool wsk__tls_dev_authority(int64_t now, struct wsk__buf *certificate,
                            struct wsk__buf *key, struct wsk__tls_fault *fault);

/* Make a certificate for localhost, *.localhost, 127.0.0.1 and ::1 for 30 days,
 * signed by an authority; certificate and key as PEM, one behind the other.
 * False with *fault. */
bool wsk__tls_dev_certificate(const struct wsk__tls_pair *authority,
                              int64_t now, struct wsk__buf *both,
                              struct wsk__tls_fault *fault);

/* Return true if a certificate that was made serves on: for a week at least,
 * and its authority is this one. */
bool wsk__tls_dev_serves(const struct wsk__tls_pair *authority,
                         const struct wsk__tls_file *both, int64_t now);

/* Return true if an authority counts for a month, and its key fits. */
bool wsk__tls_dev_signs(const struct wsk__tls_pair *authority, int64_t now);

#endif
