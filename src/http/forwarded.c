#include "http/forwarded.h"

#include "base/ascii.h"

/* Hops beyond it are not asked for: nobody has so many. */
enum { HOPS = 32 };

/* The members of a list whose fields may be several, the last first. */
struct members {
    wsk_str at[HOPS]; /* at[0] is the rightmost */
    size_t n;
};

/* The end of the member that begins at p: a comma outside of quotes. */
static const char *member_end(const char *p, const char *end)
{
    bool quoted = false;

    for (; p < end; p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (*p == '\\' && quoted && p + 1 < end)
            p++;
        else if (*p == ',' && !quoted)
            break;
    }
    return p;
}

static void push_right(struct members *m, wsk_str member)
{
    size_t keep = m->n < HOPS ? m->n : HOPS - 1;

    memmove(m->at + 1, m->at, keep * sizeof *m->at);
    m->at[0] = member;
    m->n = keep + 1;
}

static void collect(const wsk_head *head, const char *name, struct members *m)
{
    m->n = 0;
    for (size_t i = 0; i < head->n_headers; i++) {
        wsk_str value = head->headers[i].value;
        const char *p = value.p, *end = value.p + value.len;

        if (!wsk__str_ieq(head->headers[i].name, name))
            continue;
        while (p < end) {
            const char *stop = member_end(p, end);
            wsk_str member = wsk__str_trim((wsk_str){p, (size_t)(stop - p)});

            if (member.len > 0)
                push_right(m, member);
            p = stop + (stop < end);
        }
    }
}

static bool read_port(wsk_str text, uint16_t *port)
{
    unsigned n = 0;

    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!wsk__is_digit(text.p[i]))
            return false;
        n = n * 10 + (unsigned)(text.p[i] - '0');
    }
    *port = (uint16_t)n;
    return n > 0 && n <= 65535;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80". */
static bool read_node(wsk_str text, struct wsk__ip *ip, uint16_t *port)
{
    const char *end = text.p + text.len, *close;

    *port = 0;
    if (text.len > 1 && text.p[0] == '[') {
        close = memchr(text.p, ']', text.len);
        if (close == NULL ||
            !wsk__ip_read((wsk_str){text.p + 1, (size_t)(close - text.p) - 1},
                          ip))
            return false;
        return close + 1 == end ||
               (close[1] == ':' &&
                read_port((wsk_str){close + 2, (size_t)(end - close) - 2},
                          port));
    }
    if (wsk__ip_read(text, ip))
        return true;
    close = text.len > 0 ? memchr(text.p, ':', text.len) : NULL;
    return close != NULL &&
           read_port((wsk_str){close + 1, (size_t)(end - close) - 1}, port) &&
           wsk__ip_read((wsk_str){text.p, (size_t)(close - text.p)}, ip);
}

/* An authority that may stand in a Host field and in a link. */
static bool is_host(wsk_str text)
{
    if (text.len == 0 || text.len > 255)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int c = wsk__lower((unsigned char)text.p[i]);

        if (!wsk__is_digit(c) && (c < 'a' || c > 'z') &&
            (c == '\0' || strchr("-._~:[]%", c) == NULL))
            return false;
    }
    return true;
}

static void take_proto(struct wsk__forwarded *f, wsk_str proto)
{
    bool https = wsk__str_ieq(proto, "https") || wsk__str_ieq(proto, "wss");
    bool http = wsk__str_ieq(proto, "http") || wsk__str_ieq(proto, "ws");

    if (https || http) {
        f->https = https;
        f->http = http;
    }
}

/* --------------------------------------------------------- Forwarded --- */

/* One pair of a forwarded-element at *p; false at the end, *bad where it is
 * none. A quoted value with a backslash in it is nothing that we look for. */
static bool next_pair(const char **p, const char *end, wsk_str *name,
                      wsk_str *value, bool *bad)
{
    const char *at = *p, *from;

    while (at < end && (*at == ' ' || *at == '\t' || *at == ';'))
        at++;
    if (at == end)
        return false;
    from = at;
    while (at < end && wsk__is_tchar((unsigned char)*at))
        at++;
    *name = (wsk_str){from, (size_t)(at - from)};
    if (name->len == 0 || at == end || *at++ != '=') {
        *bad = true;
        return false;
    }
    from = at;
    if (at < end && *at == '"') {
        from = ++at;
        while (at < end && *at != '"')
            at += *at == '\\' && at + 1 < end ? 2 : 1;
        *bad = at >= end;
        *value = (wsk_str){from, (size_t)(at - from)};
        at += !*bad;
    } else {
        while (at < end && *at != ';' && *at != ' ' && *at != '\t')
            at++;
        *value = (wsk_str){from, (size_t)(at - from)};
    }
    *p = at;
    return !*bad;
}

/* What one hop says of the one before. False: it cannot be read. *node: its
 * for=, or none. */
static bool read_element(wsk_str element, struct wsk__forwarded *f,
                         wsk_str *node)
{
    const char *p = element.p, *end = element.p + element.len;
    wsk_str name, value;
    bool bad = false;

    *node = (wsk_str){NULL, 0};
    while (next_pair(&p, end, &name, &value, &bad)) {
        if (wsk__str_ieq(name, "for"))
            *node = value;
        else if (wsk__str_ieq(name, "proto"))
            take_proto(f, value);
        else if (wsk__str_ieq(name, "host") && is_host(value))
            f->host = value;
    }
    return !bad;
}

/* Take the address of the next hop to the left. True: it is trusted, too, and
 * what it says counts. */
static bool step(struct wsk__forwarded *f, wsk_str node,
                 const struct wsk__block *trusted, size_t n)
{
    struct wsk__ip ip;
    uint16_t port;

    if (!read_node(node, &ip, &port))
        return false;
    f->ip = ip;
    f->ip_port = port;
    f->known = true;
    return wsk__blocks_have(trusted, n, &ip);
}

/* Nobody is behind "*": the leftmost address is the client's. */
static void read_rfc(const struct members *m, const struct wsk__block *trusted,
                     size_t n, struct wsk__forwarded *f)
{
    for (size_t i = 0; i < m->n; i++) {
        wsk_str node;

        if (!read_element(m->at[i], f, &node) || !step(f, node, trusted, n))
            return;
    }
}

/* ------------------------------------------------------- X-Forwarded --- */

/* What the nearest proxy says. */
static wsk_str rightmost(const wsk_head *head, const char *name)
{
    struct members m;

    collect(head, name, &m);
    return m.n > 0 ? m.at[0] : (wsk_str){NULL, 0};
}

static bool is_prefix(wsk_str text)
{
    if (text.len < 2 || text.p[0] != '/' || text.p[1] == '/')
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] <= 0x20 || text.p[i] >= 0x7f ||
            strchr("?#\\\"<>", text.p[i]) != NULL)
            return false;
    return true;
}

static void read_x(const wsk_head *head, struct wsk__forwarded *f)
{
    wsk_str host = rightmost(head, "X-Forwarded-Host");

    take_proto(f, rightmost(head, "X-Forwarded-Proto"));
    if (is_host(host))
        f->host = host;
    if (!read_port(rightmost(head, "X-Forwarded-Port"), &f->port))
        f->port = 0;
}

bool wsk__forwarded_read(const wsk_head *head, const struct wsk__block *trusted,
                         size_t n, struct wsk__forwarded *f)
{
    struct members m;
    wsk_str prefix = rightmost(head, "X-Forwarded-Prefix");

    *f = (struct wsk__forwarded){0};
    collect(head, "Forwarded", &m);
    if (m.n > 0) {
        read_rfc(&m, trusted, n, f);
    } else {
        collect(head, "X-Forwarded-For", &m);
        for (size_t i = 0; i < m.n && step(f, m.at[i], trusted, n); i++)
            continue;
        read_x(head, f);
    }
    while (prefix.len > 1 && prefix.p[prefix.len - 1] == '/')
        prefix.len--;
    if (is_prefix(prefix))
        f->prefix = prefix;
    return f->known || f->https || f->http || f->host.len > 0 || f->port > 0 ||
           f->prefix.len > 0;
}
