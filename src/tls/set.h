/* tls/set: the contexts of all names of a server, made whole or not at all.
 *
 * A set is immutable. Its owner replaces it by another one; a connection keeps
 * the one with which it began. A set is made of the octets of files, and asks
 * config.now for the time: files and clocks are read above. */
#ifndef WSK_TLS_SET_H
#define WSK_TLS_SET_H

#include "wsocket.h"

struct ssl_ctx_st;
struct wsk__tls;
struct wsk__tls_set;

/* Octets of a PEM file, or of a file of ticket keys. A NULL path: not given. */
struct wsk__tls_file {
    const char *path; /* for messages */
    wsk_str text;
};

/* A certificate: its chain, leaf first, and its key. Without a key file the key
 * stands in the chain's. */
struct wsk__tls_pair {
    struct wsk__tls_file chain, key;
};

/* Which certificate a client must have. */
enum wsk__tls_verify {
    WSK__TLS_VERIFY_NONE,
    WSK__TLS_VERIFY_OPTIONAL, /* none will do, a bad one will not */
    WSK__TLS_VERIFY_REQUIRED,
};

enum { WSK__TLS_SEED = 32, WSK__TLS_TICKET_FILE = 80 };

/* Borrowed for the call of wsk__tls_set_new(), but for `now` and `to`. */
struct wsk__tls_config {
    const struct wsk__tls_pair *pairs; /* one at least; the first is the default
                                          of clients that name no other */
    size_t n_pairs;
    const char *password; /* of encrypted keys; NULL: none. Never printed */
    struct wsk__tls_file ca_certs, crl;
    enum wsk__tls_verify verify;
    const char *min;     /* "1.2" or "1.3" */
    const char *ciphers; /* of TLS 1.2, as OpenSSL writes them */
    const char *groups;  /* names between colons; the unknown are left out */
    const uint8_t *seed; /* WSK__TLS_SEED octets that all processes share */
    const struct wsk__tls_file *tickets; /* of WSK__TLS_TICKET_FILE octets,
                                            instead of the seed; the first
                                            encrypts */
    size_t n_tickets;
    bool strict; /* an expired certificate and a chain out of order are faults,
                    not warnings */
    int64_t (*now)(void *to); /* seconds since 1970; called by any thread, until
                                 the last reference is gone */
    void *to;
};

/* Why there is no set. */
struct wsk__tls_fault {
    char text[480]; /* one sentence with the file; without a full stop */
    bool
        torn; /* a chain and a key may be of two moments: worth a second look */
};

/* Facts about one certificate of a set. */
struct wsk__tls_certificate {
    const char *path;    /* of its chain */
    const char *name;    /* the first name; the path if there is none */
    const char *names;   /* all of them, with blanks between */
    const char *serial;  /* in hexadecimal */
    const char *warning; /* NULL: none; else a sentence with the file */
    int64_t start, end;  /* seconds since 1970: notBefore, notAfter */
    bool out_of_order;   /* the chain is */
};

/* Make a set, which the caller holds. NULL with *fault. */
struct wsk__tls_set *wsk__tls_set_new(const struct wsk__tls_config *config,
                                      struct wsk__tls_fault *fault);

/* References; any thread. NULL is legal for unref. */
struct wsk__tls_set *wsk__tls_set_ref(struct wsk__tls_set *set);
void wsk__tls_set_unref(struct wsk__tls_set *set);

/* The context with which every connection begins: the ClientHello picks that of
 * its name. Lives as long as the set. */
struct ssl_ctx_st *wsk__tls_set_context(const struct wsk__tls_set *set);

/* Make the engine of a connection that was accepted; it holds the set. NULL
 * when memory is out. */
struct wsk__tls *wsk__tls_accept(struct wsk__tls_set *set);

/* Return the facts about certificate `i`, in the order of config.pairs; NULL
 * past the last. Lives as long as the set. */
const struct wsk__tls_certificate *
wsk__tls_set_certificate(const struct wsk__tls_set *set, size_t i);

/* Return the warning `i` about a file that is no certificate, such as a list of
 * revoked ones that has run out; NULL past the last. Lives as long as the set.
 */
const char *wsk__tls_set_warning(const struct wsk__tls_set *set, size_t i);

#endif
