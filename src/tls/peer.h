/* tls/peer: what is known of a connection once its handshake is done, made once
 * and read by many requests. */
#ifndef WSK_TLS_PEER_H
#define WSK_TLS_PEER_H

#include "wsocket.h"

struct ssl_st;

/* A variable of mod_ssl: "SSL_PROTOCOL" and "TLSv1.3". Both NUL-terminated. */
struct wsk__tls_variable {
    wsk_str name, value;
};

struct wsk__tls_peer {
    wsk_tls_info info;
    size_t n; /* HTTPS is the first; the order is fixed */
    struct wsk__tls_variable variables[]; /* UTF-8 as far as the certificate's
                                             texts are */
};

/* Make the facts about a connection whose handshake is done: one block of
 * memory, that the caller owns. NULL when memory is out. */
struct wsk__tls_peer *wsk__tls_peer_new(const struct ssl_st *ssl);
void wsk__tls_peer_free(struct wsk__tls_peer *peer); /* NULL is legal */

/* Return the value of a variable; {NULL, 0} if there is none. */
wsk_str wsk__tls_peer_get(const struct wsk__tls_peer *peer, wsk_str name);

#endif
