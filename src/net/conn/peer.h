/* net/conn/peer: proxies before us: whom to believe, and what that changes. */
#ifndef WSK_NET_CONN_PEER_H
#define WSK_NET_CONN_PEER_H

#include "base/items.h"
#include "net/os/listen.h"
#include "wsocket.h"

struct wsk__conns;
struct wsk__block;
struct wsk__buf;

enum { WSK__PREFIX_SAID = 128 };

/* A name (RFC 1035 2.3.4), a colon, a port and a NUL. */
enum { WSK__HOST_TEXT = 255 + 1 + 5 + 1 };

/* The options trusted_proxies and forwarded_fields. */
struct wsk__trust {
    struct wsk__block *blocks;
    size_t n;
    unsigned fields; /* a set of enum wsk__forwarded_field */
};

/* Of a connection that may come from a proxy. Owner. */
struct wsk__via {
    struct wsk__address peer, local; /* who it is, before a request says more */
    bool trusted; /* what its requests say of their clients counts */
    bool https;   /* of the open request, to its client */
    /* SCRIPT_NAME: what a proxy took off the path, and then script_name */
    char prefix[WSK__PREFIX_SAID + WSK__SCRIPT_NAME];
    char host[WSK__HOST_TEXT]; /* the authority that its client asked for; "":
                                  the one that stands in its head */
};

/* The two ends of a connection, as its open request tells them. Owner. */
struct wsk__ends {
    struct wsk__address peer, local;
    struct wsk__via *via; /* NULL: no proxy is trusted, and none must speak */
};

/* Return true if the client of the open request speaks https. */
static inline bool wsk__ends_https(const struct wsk__ends *ends)
{
    return ends->via != NULL && ends->via->https;
}

/* False when memory is out, or an item is none. */
bool wsk__trust_read(struct wsk__trust *trust, const wsk_server_config *cfg);
void wsk__trust_clear(struct wsk__trust *trust);

/* Give the ends of a new connection what proxies may say; false when memory is
 * out. */
bool wsk__via_open(const struct wsk__conns *conns, struct wsk__ends *ends);

/* Set the ends of a request that begins, from its head and what proxies before
 * it said. */
void wsk__via_request(const struct wsk__conns *conns, struct wsk__ends *ends,
                      wsk_head *head);

/* Let the application see the host that the client asked for; `host` lives as
 * long as the head. */
void wsk__via_rehost(wsk_head *head, const char *host);

/* Take the header of the PROXY protocol from `in`, the input before the first
 * request: WSK__PROXY_OK once it is through. */
int wsk__via_header(const struct wsk__conns *conns, struct wsk__ends *ends,
                    struct wsk__buf *in);

#endif
