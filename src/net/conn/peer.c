#include "net/conn/peer.h"

#include "base/address.h"
#include "base/ascii.h"
#include "base/buf.h"
#include "base/items.h"
#include "base/mem.h"
#include "http/forwarded.h"
#include "http/proxy.h"
#include "net/conn/conns.h"
#include "net/os/listen.h"
#include "wsocket.h"

#include <stdio.h>
#include <string.h>

bool wsk__trust_read(struct wsk__trust *trust, const wsk_server_config *cfg)
{
    const char *list = cfg->trusted_proxies;
    size_t pos = 0, n = 0;
    wsk_str item;

    while (wsk__items_next(list, &pos, &item))
        n++;
    wsk__trust_clear(trust);
    if (!wsk__forwarded_fields(cfg->forwarded_fields, &trust->fields))
        return false;
    if (n == 0)
        return true;
    trust->blocks = wsk__calloc(n * sizeof(*trust->blocks));
    if (trust->blocks == NULL)
        return false;
    pos = 0;
    while (wsk__items_next(list, &pos, &item))
        if (!wsk__block_read(item, &trust->blocks[trust->n++]))
            return false;
    return true;
}

void wsk__trust_clear(struct wsk__trust *trust)
{
    wsk__free(trust->blocks);
    *trust = (struct wsk__trust){NULL, 0, 0};
}

/* Return true if a peer is trusted; one without an address came through a Unix
 * socket. */
static bool is_trusted(const struct wsk__trust *trust,
                       const struct wsk__address *peer)
{
    struct wsk__ip ip;
    wsk_str text = {peer->text, strlen(peer->text)};

    if (text.len == 0)
        return wsk__blocks_have(trust->blocks, trust->n, NULL);
    return wsk__ip_read(text, &ip) &&
           wsk__blocks_have(trust->blocks, trust->n, &ip);
}

bool wsk__ends_open(const struct wsk__conns *conns, struct wsk__ends *ends)
{
    struct wsk__proxy_info *proxy;

    if (conns->trust.n == 0 && !conns->cfg->proxy_protocol)
        return true;
    proxy = ends->proxy = wsk__calloc(sizeof(*proxy));
    if (proxy == NULL)
        return false;
    proxy->peer = ends->peer;
    proxy->local = ends->local;
    proxy->trusted = is_trusted(&conns->trust, &proxy->peer);
    return true;
}

static void show(struct wsk__address *to, const struct wsk__ip *ip,
                 uint16_t port)
{
    wsk__ip_write(ip, to->text);
    to->port = port;
}

/* Set the address of a client that is not known (RFC 7239 6.2). The proxy's own
 * address would give the client what is allowed to the proxy. */
static void hide(struct wsk__address *to)
{
    *to = (struct wsk__address){.text = "unknown"};
}

int wsk__ends_read_header(const struct wsk__conns *conns,
                          struct wsk__ends *ends, struct wsk__buf *in)
{
    struct wsk__proxy_info *proxy = ends->proxy;
    struct wsk__proxied said;
    size_t used;
    int got;

    if (conns->trust.n > 0 && !proxy->trusted)
        return WSK__PROXY_BAD;
    got = (int)wsk__proxy_parse(wsk__buf_data(in), wsk__buf_len(in), &used,
                                &said);
    if (got != WSK__PROXY_OK)
        return got;
    wsk__buf_ack(in, used);
    switch (said.client) {
    case WSK__PROXIED_LOCAL:
        break;
    case WSK__PROXIED_KNOWN:
        show(&proxy->peer, &said.from, said.from_port);
        show(&proxy->local, &said.to, said.to_port);
        proxy->trusted = is_trusted(&conns->trust, &proxy->peer);
        break;
    case WSK__PROXIED_HIDDEN:
        hide(&proxy->peer);
        proxy->trusted = false;
        break;
    }
    return got;
}

void wsk__head_set_host(wsk_head *head, const char *host)
{
    wsk_header *fields = (wsk_header *)(uintptr_t)head->headers;

    head->host = (wsk_str){host, strlen(host)};
    for (size_t i = 0; i < head->n_headers; i++)
        if (wsk__str_ieq(fields[i].name, "host"))
            fields[i].value = head->host;
}

/* Cut an authority into its host and its port; 0: it has none. */
static uint16_t split_port(wsk_str *host)
{
    size_t i = host->len;
    unsigned n = 0;

    while (i > 0 && wsk__is_digit(host->p[i - 1]))
        i--;
    if (i == 0 || host->p[i - 1] != ':' || host->len - i > 5)
        return 0;
    for (size_t k = i; k < host->len; k++)
        n = n * 10 + (unsigned)(host->p[k] - '0');
    host->len = i - 1;
    return n <= UINT16_MAX ? (uint16_t)n : 0;
}

/* Put together the authority that the client asked for: a proxy may tell host
 * and port in fields of their own. Set proxy->host, and the local *port. */
static void compose(struct wsk__proxy_info *proxy, const wsk_head *head,
                    const struct wsk__forwarded *said, uint16_t *port)
{
    wsk_str whole = said->host.len > 0 ? said->host : head->host, host = whole;
    uint16_t usual = said->https ? 443 : 80, named = split_port(&host);

    named = said->port > 0 ? said->port : named;
    if (said->https || said->http || said->host.len > 0 || said->port > 0)
        *port = named > 0 ? named : usual;
    if (said->port == 0)
        host = said->host; /* as the proxy wrote it, if it did */
    if (host.len == 0 || host.len > WSK__HOST_TEXT - sizeof(":65535"))
        return;
    snprintf(proxy->host, sizeof(proxy->host), "%.*s", (int)host.len, host.p);
    if (said->port > 0 && said->port != usual)
        snprintf(proxy->host + host.len, sizeof(proxy->host) - host.len, ":%u",
                 (unsigned)named);
}

void wsk__ends_begin_request(const struct wsk__conns *conns,
                             struct wsk__ends *ends, wsk_head *head)
{
    struct wsk__proxy_info *proxy = ends->proxy;
    const struct wsk__trust *trust = &conns->trust;
    struct wsk__forwarded said;

    if (proxy == NULL)
        return;
    ends->peer = proxy->peer;
    ends->local = proxy->local;
    proxy->https = ends->tls != NULL;
    proxy->prefix[0] = proxy->host[0] = '\0';
    if (!proxy->trusted || !wsk__forwarded_read(head, trust->blocks, trust->n,
                                                trust->fields, &said))
        return;
    if (said.https || said.http)
        proxy->https = said.https;
    if (said.known)
        show(&ends->peer, &said.ip, said.ip_port);
    else if (said.hidden)
        hide(&ends->peer);
    compose(proxy, head, &said, &ends->local.port);
    if (proxy->host[0] != '\0')
        wsk__head_set_host(head, proxy->host);
    if (said.prefix.len > 0 && said.prefix.len < WSK__PREFIX_SAID) {
        memcpy(proxy->prefix, said.prefix.p, said.prefix.len);
        proxy->prefix[said.prefix.len] = '\0';
    }
}
