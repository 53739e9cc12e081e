/* tls/lib: OpenSSL. Only files of src/tls include this header; it is the only
 * one that includes <openssl/...>.
 *
 * A library that is built with -Dtls=runtime is not linked with OpenSSL, but
 * loads the system's when TLS is first asked for. The code is the same: each
 * name of functions.h then stands for a pointer in a table. */
#ifndef WSK_TLS_LIB_H
#define WSK_TLS_LIB_H

#include <stdbool.h>
#include <stddef.h>

enum { WSK__TLS_LIB_WHY = 400 }; /* size of a sentence with its NUL */

/* Make OpenSSL ready. Required once before any function of OpenSSL is called;
 * any thread, any number of times. False with a sentence, without a full stop,
 * if there is no OpenSSL, or no TLS in this build. */
bool wsk__tls_lib_open(char why[WSK__TLS_LIB_WHY]);

#ifdef WSK_TLS

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#if OPENSSL_VERSION_NUMBER < 0x30000000L
#error "OpenSSL 3.0 or newer is needed"
#endif

#ifdef WSK_TLS_RUNTIME

#include <stdatomic.h>

#include "functions.h"

/* NULL until wsk__tls_lib_open() has succeeded. */
extern _Atomic(const struct wsk__tls_functions *) wsk__tls_lib_loaded;

static inline const struct wsk__tls_functions *wsk__tls_lib(void)
{
    return atomic_load_explicit(&wsk__tls_lib_loaded, memory_order_acquire);
}

#endif

#endif

#endif
