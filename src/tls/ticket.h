/* tls/ticket: keys of session tickets, which all processes of a server agree
 * on without a word: next, present and past are derived (RFC 5869) from a seed
 * and the time. A ticket is bound to who may sign clients, and to the name that
 * the client asked for (RFC 6066 3; CVE-2025-23419): anywhere else it is none,
 * and the handshake is a full one. */
#ifndef WSK_TLS_TICKET_H
#define WSK_TLS_TICKET_H

#include "tls/set.h"

struct wsk__tls_tickets;

/* Make the keys for a set; `trust` is a digest of who may sign clients, of
 * WSK__TLS_SEED octets. NULL when memory is out. */
struct wsk__tls_tickets *
wsk__tls_tickets_new(const struct wsk__tls_config *config,
                     const uint8_t *trust);
void wsk__tls_tickets_free(struct wsk__tls_tickets *tickets);

/* Have a context use them; they outlive it, and are its app data. `clients`:
 * tickets vouch for certificates of clients, and live shorter. False: memory is
 * out. */
bool wsk__tls_tickets_use(struct wsk__tls_tickets *tickets,
                          struct ssl_ctx_st *ctx, bool clients);

#endif
