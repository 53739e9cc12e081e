/* net/conn/peer: the two ends of a connection, as trusted proxies tell them. */
#ifndef WSK_NET_CONN_PEER_H
#define WSK_NET_CONN_PEER_H

#include "base/items.h"
#include "net/os/listen.h"
#include "wsocket.h"

struct wsk__conns;
struct wsk__block;
struct wsk__buf;
struct wsk__tls_peer;

/* Room for a prefix that a proxy tells. */
enum { WSK__PREFIX_SAID = 128 };

/* Room for a name (RFC 1035 2.3.4), a colon, a port and a NUL. */
enum { WSK__HOST_TEXT = 255 + 1 + 5 + 1 };

/* The options trusted_proxies and forwarded_fields. */
struct wsk__trust {
    struct wsk__block *blocks;
    size_t n;
    unsigned fields; /* a set of enum wsk__forwarded_field */
};

/* The facts that proxies give of a connection. Owner. */
struct wsk__proxy_info {
    struct wsk__address peer, local; /* the ends before a request says more */
    bool trusted; /* the fields of requests about their clients count */
    bool https;   /* the client of the open request speaks https */
    /* SCRIPT_NAME: the prefix that a proxy took off the path, script_name. */
    char prefix[WSK__PREFIX_SAID + WSK__SCRIPT_NAME];
    char host[WSK__HOST_TEXT]; /* the authority that the client asked for; "":
                                  the one in the head of the request */
};

/* The two ends of a connection, as its open request tells them. Owner. */
struct wsk__ends {
    struct wsk__address peer, local;
    /* NULL: no proxy is trusted, and none must speak. */
    struct wsk__proxy_info *proxy;
    /* The facts of TLS, which the connection keeps; NULL: there is none. */
    const struct wsk__tls_peer *tls;
};

/* Return true if the client of the open request speaks https. */
static inline bool wsk__ends_https(const struct wsk__ends *ends)
{
    return ends->proxy != NULL ? ends->proxy->https : ends->tls != NULL;
}

/* Read the options. False: memory is out, or an item is no address. */
bool wsk__trust_read(struct wsk__trust *trust, const wsk_server_config *cfg);

/* Free what was read. */
void wsk__trust_clear(struct wsk__trust *trust);

/* Prepare the ends of a new connection for what proxies may say. False: memory
 * is out. */
bool wsk__ends_open(const struct wsk__conns *conns, struct wsk__ends *ends);

/* Set the ends of a request that begins, from its head and the fields of
 * proxies. */
void wsk__ends_begin_request(const struct wsk__conns *conns,
                             struct wsk__ends *ends, wsk_head *head);

/* Replace the host of a head by the one that the client asked for; `host` lives
 * as long as the head. */
void wsk__head_set_host(wsk_head *head, const char *host);

/* Read the header of the PROXY protocol from `in`, the input before the first
 * request. WSK__PROXY_OK: the header is complete. */
int wsk__ends_read_header(const struct wsk__conns *conns,
                          struct wsk__ends *ends, struct wsk__buf *in);

#endif
