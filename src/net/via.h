/* net/via: proxies before us: whom to believe, and what that changes. */
#ifndef WSK_NET_VIA_H
#define WSK_NET_VIA_H

#include "base/address.h"
#include "net/listen.h"

struct wsk__thread;
struct wsk_conn;

/* The option trusted_proxies. */
struct wsk__trust {
    struct wsk__block *blocks;
    size_t n;
};

/* False when memory is out, or an item is none. */
bool wsk__trust_read(struct wsk__trust *trust, const char *list);
void wsk__trust_clear(struct wsk__trust *trust);

/* Of a connection that may come from a proxy. Owner. */
struct wsk__via {
    struct wsk__address peer, local; /* who it is, before a request says more */
    bool trusted;    /* what its requests say of their clients counts */
    bool header_due; /* of the PROXY protocol */
    bool forwarded;  /* the open request was */
    bool https;      /* to its client */
    char prefix[128];
    uint64_t since_ms; /* for the header's deadline */
};

/* Whether the connection gets one; false when memory is out. */
bool wsk__via_open(struct wsk_conn *conn);

/* A request begins: who is its client? */
void wsk__via_request(struct wsk_conn *conn);

/* The Host of a head that came that way once more, for a copy of it. */
void wsk__via_rehost(const struct wsk__trust *trust, wsk_head *head);

/* Octets before the first request, in conn->h->in: WSK__PROXY_OK once they are
 * through, or none are due. */
int wsk__via_header(struct wsk_conn *conn);

#endif
