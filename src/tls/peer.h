/* tls/peer: what is known of a connection once its handshake is done, made once
 * and read by many requests. */
#ifndef WSK_TLS_PEER_H
#define WSK_TLS_PEER_H

#include "wsocket.h"

struct wsk__tls;

struct wsk__tls_peer {
    wsk_tls_info info;
    size_t n;               /* variables; HTTPS is the first */
    wsk_header variables[]; /* with the names of mod_ssl; all NUL-terminated */
};

/* Make the facts about a connection whose handshake is done. The caller owns
 * them; they do not need the engine. NULL when memory is out. */
struct wsk__tls_peer *wsk__tls_peer_new(const struct wsk__tls *tls);
void wsk__tls_peer_free(struct wsk__tls_peer *peer); /* NULL is legal */

/* Write, and return, what wsk_request_tls() and wsk_request_tls_variables() do;
 * `peer` may be NULL. */
bool wsk__tls_peer_info(const struct wsk__tls_peer *peer, wsk_tls_info *info);
const wsk_header *wsk__tls_peer_variables(const struct wsk__tls_peer *peer,
                                          size_t *n);

/* Return the value of a variable; {NULL, 0} if there is none. */
wsk_str wsk__tls_peer_get(const struct wsk__tls_peer *peer, wsk_str name);

#endif
