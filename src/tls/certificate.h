/* tls/certificate: a certificate with its chain and its key, read and judged.
 */
#ifndef WSK_TLS_CERTIFICATE_H
#define WSK_TLS_CERTIFICATE_H

#include "tls/set.h"

struct asn1_string_st;
struct bio_st;
struct evp_pkey_st;
struct stack_st_X509;
struct x509_st;

/* Longest name of a server (RFC 1035 2.3.4). */
enum { WSK__TLS_NAME = 255 };

struct wsk__tls_identity {
    struct wsk__tls_certificate about; /* with owned texts */
    struct x509_st *leaf;
    struct stack_st_X509 *chain; /* without the leaf */
    struct evp_pkey_st *key;
    int type; /* of the key: a context has one certificate of each */
};

/* Read the octets of a pair. False with *fault, and `id` is empty. */
bool wsk__tls_identity_read(struct wsk__tls_identity *id,
                            const struct wsk__tls_pair *pair,
                            const struct wsk__tls_config *config,
                            struct wsk__tls_fault *fault);

/* Give up what OpenSSL has of it: the contexts hold what they need. */
void wsk__tls_identity_forget(struct wsk__tls_identity *id);
void wsk__tls_identity_free(struct wsk__tls_identity *id);

/* Set the warning, unless there is one. False: memory is out. */
bool wsk__tls_identity_warn(struct wsk__tls_identity *id, const char *format,
                            ...) __attribute__((format(printf, 2, 3)));

/* Return a BIO with the text of a file. NULL with *fault. */
struct bio_st *wsk__tls_open_text(const struct wsk__tls_file *file,
                                  struct wsk__tls_fault *fault);

/* Read the certificates of a PEM file, those of other things aside. NULL with
 * *fault; there is one at least. */
struct stack_st_X509 *wsk__tls_read_chain(const struct wsk__tls_file *file,
                                          struct wsk__tls_fault *fault);

/* Return a time as seconds since 1970; INT64_MIN if it is none. */
int64_t wsk__tls_time(const struct asn1_string_st *time);

enum { WSK__TLS_DATE = 20 };

/* Write the day, "2027-01-31". */
void wsk__tls_date(int64_t time, char text[WSK__TLS_DATE]);

/* Append the serial number of a certificate, in hexadecimal. */
struct wsk__buf;
bool wsk__tls_put_serial(struct wsk__buf *to, const struct x509_st *x509);

#endif
