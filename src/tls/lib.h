/* tls/lib: OpenSSL. Only files of src/tls include this header; it is the only
 * one that includes <openssl/...>. */
#ifndef WSK_TLS_LIB_H
#define WSK_TLS_LIB_H

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

#endif

#endif
