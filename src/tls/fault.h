/* tls/fault: why something of OpenSSL's failed, in one sentence. */
#ifndef WSK_TLS_FAULT_H
#define WSK_TLS_FAULT_H

#include "tls/set.h"

/* Write the sentence; returns false. `torn`: a file may be replaced just now.
 */
bool wsk__tls_fail(struct wsk__tls_fault *fault, bool torn, const char *format,
                   ...) __attribute__((format(printf, 3, 4)));

/* Make OpenSSL ready, and *fault empty. False with *fault: there is no OpenSSL.
 */
bool wsk__tls_ready(struct wsk__tls_fault *fault);

bool wsk__tls_no_memory(struct wsk__tls_fault *fault);

/* Return what OpenSSL says of the first failure, and forget all; a static text.
 */
const char *wsk__tls_why(void);

#endif
