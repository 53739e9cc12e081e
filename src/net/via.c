#include "net/via.h"

#include "base/ascii.h"
#include "base/mem.h"
#include "http/forwarded.h"
#include "http/proxy.h"
#include "net/server.h"

/* -------------------------------------------------------------- trust --- */

bool wsk__trust_read(struct wsk__trust *trust, const char *list)
{
    size_t pos = 0, n = 0;
    wsk_str item;

    while (wsk__items_next(list, &pos, &item))
        n++;
    wsk__trust_clear(trust);
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
    *trust = (struct wsk__trust){NULL, 0};
}

/* A peer without an address came through a Unix socket. */
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

bool wsk__via_open(struct wsk_conn *conn)
{
    const wsk_server *srv = conn->srv;
    struct wsk__via *via;

    if (srv->trust.n == 0 && !srv->cfg.proxy_protocol)
        return true;
    via = conn->h->via = wsk__calloc(sizeof(*via));
    if (via == NULL)
        return false;
    via->peer = conn->h->peer;
    via->local = conn->h->local;
    via->trusted = is_trusted(&srv->trust, &via->peer);
    via->header_due = srv->cfg.proxy_protocol;
    via->since_ms = wsk__now_ms();
    return true;
}

/* ----------------------------------------------------- PROXY protocol --- */

static void show(struct wsk__address *to, const struct wsk__ip *ip,
                 uint16_t port)
{
    wsk__ip_write(ip, to->text);
    to->port = port;
}

int wsk__via_header(struct wsk_conn *conn)
{
    struct wsk__via *via = conn->h->via;
    struct wsk__buf *in = &conn->h->in;
    struct wsk__proxied said;
    size_t used;
    int got;

    if (via == NULL || !via->header_due)
        return WSK__PROXY_OK;
    if (conn->srv->trust.n > 0 && !via->trusted)
        return WSK__PROXY_BAD;
    got = (int)wsk__proxy_parse(wsk__buf_data(in), wsk__buf_len(in), &used,
                                &said);
    if (got != WSK__PROXY_OK)
        return got;
    wsk__buf_ack(in, used);
    via->header_due = false;
    if (said.known) {
        show(&via->peer, &said.from, said.from_port);
        show(&via->local, &said.to, said.to_port);
        via->trusted = is_trusted(&conn->srv->trust, &via->peer);
    }
    return got;
}

/* ------------------------------------------------------------ requests --- */

/* The application sees the host that the client asked for. */
static void set_host(wsk_head *head, wsk_str host)
{
    wsk_header *fields = (wsk_header *)(uintptr_t)head->headers;

    head->host = host;
    for (size_t i = 0; i < head->n_headers; i++)
        if (wsk__str_ieq(fields[i].name, "host"))
            fields[i].value = host;
}

void wsk__via_rehost(const struct wsk__trust *trust, wsk_head *head)
{
    struct wsk__forwarded said;

    if (wsk__forwarded_read(head, trust->blocks, trust->n, &said) &&
        said.host.len > 0)
        set_host(head, said.host);
}

/* The port at the end of an authority; 0: it has none. */
static uint16_t port_in(wsk_str host)
{
    unsigned n = 0;
    size_t i = host.len;

    while (i > 0 && wsk__is_digit(host.p[i - 1]))
        i--;
    if (i == 0 || i == host.len || host.p[i - 1] != ':' || host.len - i > 5)
        return 0;
    for (; i < host.len; i++)
        n = n * 10 + (unsigned)(host.p[i] - '0');
    return n <= 65535 ? (uint16_t)n : 0;
}

static uint16_t port_of(const struct wsk__forwarded *said, uint16_t ours)
{
    uint16_t port = said->port > 0 ? said->port : port_in(said->host);

    if (port > 0 || (!said->https && !said->http && said->host.len == 0))
        return port > 0 ? port : ours;
    return said->https ? 443 : 80;
}

void wsk__via_request(struct wsk_conn *conn)
{
    struct wsk__via *via = conn->h->via;
    const struct wsk__trust *trust = &conn->srv->trust;
    wsk_head *head = &conn->h->http.store->head;
    struct wsk__forwarded said;

    if (via == NULL)
        return;
    conn->h->peer = via->peer;
    conn->h->local = via->local;
    via->https = false;
    via->prefix[0] = '\0';
    via->forwarded = via->trusted &&
                     wsk__forwarded_read(head, trust->blocks, trust->n, &said);
    if (!via->forwarded)
        return;
    via->https = said.https;
    if (said.known)
        show(&conn->h->peer, &said.ip, said.ip_port);
    conn->h->local.port = port_of(&said, via->local.port);
    if (said.host.len > 0)
        set_host(head, said.host);
    if (said.prefix.len > 0 && said.prefix.len < sizeof(via->prefix)) {
        memcpy(via->prefix, said.prefix.p, said.prefix.len);
        via->prefix[said.prefix.len] = '\0';
    }
}
