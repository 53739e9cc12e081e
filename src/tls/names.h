/* tls/names: which context a client's ClientHello picks (RFC 6066 3), and the
 * name it asked for. */
#ifndef WSK_TLS_NAMES_H
#define WSK_TLS_NAMES_H

#include "wsocket.h"

struct ssl_ctx_st;
struct ssl_st;

/* A name in lower case, "*.example.com" for one label, and its context. */
struct wsk__tls_name {
    wsk_str name;
    struct ssl_ctx_st *ctx;
};

struct wsk__tls_names {
    struct wsk__tls_name *at; /* sorted, each name once */
    size_t n;
};

/* Order names for a search. */
int wsk__tls_name_order(const void *a, const void *b);

/* Return the context of a name in lower case: exact, else with its first label
 * wild; NULL if there is none. */
struct ssl_ctx_st *wsk__tls_names_find(const struct wsk__tls_names *names,
                                       wsk_str name);

/* Have connections that begin with `ctx` look into `names`, which outlives
 * them. False: memory is out. */
bool wsk__tls_names_use(const struct wsk__tls_names *names,
                        struct ssl_ctx_st *ctx);

/* Return the name that the client asked for in its ClientHello, in lower case;
 * empty if it named none. Lives as long as the connection. */
wsk_str wsk__tls_name_asked(const struct ssl_st *ssl);

/* Return true if a text can be the name of a host. */
bool wsk__tls_is_name(wsk_str text);

#endif
