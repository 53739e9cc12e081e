/* ws/origin: decide which pages may open a WebSocket here (RFC 6455 10.2).
 * Browsers send the cookies of our site with the handshake of any page, and
 * name the page's site in Origin (RFC 6454). */
#include "base/ascii.h"
#include "base/items.h"
#include "wsocket.h"

/* Host and port of an authority; port 0: the default of its scheme. */
struct site {
    wsk_str host;
    unsigned port;
};

static unsigned default_port(wsk_str scheme)
{
    if (wsk__str_ieq(scheme, "http"))
        return 80;
    return wsk__str_ieq(scheme, "https") ? 443 : 0;
}

static bool read_port(wsk_str text, unsigned *port)
{
    uint64_t n;

    if (!wsk__read_length(text, &n) || n == 0 || n > UINT16_MAX)
        return false;
    *port = (unsigned)n;
    return true;
}

/* Read "host", "host:port" or "[v6]:port". The port `elided` becomes 0, because
 * a Host without a port means the default of the scheme by which the page was
 * loaded. */
static bool read_site(wsk_str text, unsigned elided, struct site *site)
{
    const char *bracket =
        text.len > 0 && text.p[0] == '[' ? memchr(text.p, ']', text.len) : NULL;
    size_t host = bracket != NULL ? (size_t)(bracket - text.p) + 1 : 0;

    while (host < text.len && text.p[host] != ':')
        host++;
    *site = (struct site){.host = {text.p, host}};
    if (host == 0 || memchr(text.p, '@', text.len) != NULL ||
        memchr(text.p, '/', text.len) != NULL)
        return false;
    if (host < text.len &&
        !read_port((wsk_str){text.p + host + 1, text.len - host - 1},
                   &site->port))
        return false;
    if (site->port == elided)
        site->port = 0;
    return true;
}

/* Split "scheme://site" (RFC 6454 6.2); false for "null" and any other text. */
static bool read_origin(wsk_str text, wsk_str *scheme, struct site *site)
{
    size_t n = 0;

    while (n < text.len && text.p[n] != ':')
        n++;
    if (n == 0 || text.len - n < 3 || memcmp(text.p + n, "://", 3) != 0)
        return false;
    *scheme = (wsk_str){text.p, n};
    return read_site((wsk_str){text.p + n + 3, text.len - n - 3},
                     default_port(*scheme), site);
}

static bool same_text(wsk_str a, wsk_str b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++)
        if (wsk__lower(a.p[i]) != wsk__lower(b.p[i]))
            return false;
    return a.len == b.len;
}

static bool same_site(const struct site *a, const struct site *b)
{
    return a->port == b->port && same_text(a->host, b->host);
}

/* True for a name or an address of this machine (RFC 6761 6.3, RFC 1122
 * 3.2.1.3). */
static bool is_loopback(wsk_str host)
{
    static const char NAME[] = ".localhost";
    const size_t n = sizeof(NAME) - 1;

    if (wsk__str_ieq(host, "localhost") || wsk__str_is(host, "[::1]"))
        return true;
    if (host.len > n && wsk__str_ieq((wsk_str){host.p + host.len - n, n}, NAME))
        return true;
    if (host.len < 4 || memcmp(host.p, "127.", 4) != 0)
        return false;
    for (size_t i = 0; i < host.len; i++) /* not 127.0.0.1.example.com */
        if (!wsk__is_digit(host.p[i]) && host.p[i] != '.')
            return false;
    return true;
}

/* True if the page is ours: same host and port; or both are on this machine, so
 * that front-end development servers on another port work. A page of http does
 * not belong to an https site (RFC 6454 4); where TLS may have ended before us,
 * both schemes pass. */
static bool is_same(wsk_str origin, wsk_str host, bool https)
{
    struct site page, here;
    wsk_str scheme;

    if (!read_origin(origin, &scheme, &page) ||
        !(wsk__str_ieq(scheme, "https") ||
          (!https && wsk__str_ieq(scheme, "http"))) ||
        !read_site(host, default_port(scheme), &here))
        return false;
    return same_site(&page, &here) ||
           (is_loopback(page.host) && is_loopback(here.host));
}

/* Match an element of the list: "null", or an origin, whose default port may be
 * written or not. */
static bool is_listed(wsk_str origin, wsk_str item)
{
    wsk_str scheme, other;
    struct site a, b;

    if (same_text(origin, item))
        return true;
    return read_origin(origin, &scheme, &a) && read_origin(item, &other, &b) &&
           same_text(scheme, other) && same_site(&a, &b);
}

bool wsk_ws_origin_allowed(wsk_str origin, wsk_str host, bool https,
                           const char *allowed)
{
    wsk_str item;
    size_t pos = 0;

    if (origin.p == NULL)
        return true;
    while (wsk__words_next(allowed, &pos, &item)) {
        if (wsk__str_is(item, "*") ||
            (wsk__str_is(item, "same") ? is_same(origin, host, https)
                                       : is_listed(origin, item)))
            return true;
    }
    return false;
}
