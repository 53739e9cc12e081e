#include "http/forwarded.h"

#include "base/ascii.h"
#include "http/head.h"

/* A walk over the members of a list, which may be spread over several fields,
 * from the last to the first. Proxies append at the right; therefore nothing
 * that the client wrote, such as a quote that it left open, is read before what
 * they wrote. */
struct walk {
    const wsk_head *head;
    const char *name;
    bool quotes;   /* a comma in a quoted-string separates nothing */
    size_t fields; /* number of fields of the head that are still to be read */
    const char *from, *end; /* the rest of the current field */
};

static struct walk walk(const wsk_head *head, const char *name, bool quotes)
{
    return (struct walk){.head = head,
                         .name = name,
                         .quotes = quotes,
                         .fields = head->n_headers};
}

/* True if an odd number of backslashes stands before p. */
static bool is_escaped(const char *from, const char *p)
{
    const char *at = p;

    while (at > from && at[-1] == '\\')
        at--;
    return (p - at) % 2 != 0;
}

/* Return the beginning of the last member of from..end. */
static const char *member_start(const char *from, const char *end, bool quotes)
{
    const char *p = end;
    bool quoted = false;

    while (p > from && (quoted || p[-1] != ',')) {
        p--;
        if (quotes && *p == '"' && !(quoted && is_escaped(from, p)))
            quoted = !quoted;
    }
    return p;
}

/* Go to the next field of that name to the left. */
static bool next_field(struct walk *w)
{
    while (w->fields > 0) {
        const wsk_header *field = &w->head->headers[--w->fields];

        if (field->value.len > 0 && wsk__str_ieq(field->name, w->name)) {
            w->from = field->value.p;
            w->end = w->from + field->value.len;
            return true;
        }
    }
    return false;
}

/* Take the next member to the left that is not empty (RFC 9110 5.6.1.2). */
static bool next_member(struct walk *w, wsk_str *member)
{
    do {
        const char *start;

        if (w->from == w->end && !next_field(w))
            return false;
        start = member_start(w->from, w->end, w->quotes);
        *member = wsk__str_trim((wsk_str){start, (size_t)(w->end - start)});
        w->end = start > w->from ? start - 1 : w->from;
    } while (member->len == 0);
    return true;
}

static bool read_port(wsk_str text, uint16_t *port)
{
    unsigned n;

    if (!wsk__read_decimal(text, 5, UINT16_MAX, &n) || n == 0)
        return false;
    *port = (uint16_t)n;
    return true;
}

/* Read "192.0.2.1", "192.0.2.1:80", "2001:db8::1" or "[2001:db8::1]:80". */
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

/* True for an authority that may stand in a Host field and in a link. */
static bool is_host(wsk_str text)
{
    if (text.len == 0 || text.len > 255 || !wsk__is_authority(text))
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

/* Read one pair of a forwarded-element at *p. False at the end; *bad is set
 * where there is no pair. A quoted value with a backslash in it is skipped,
 * because none of the parameters we read needs one. */
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

/* The parameters of one hop that are read. */
struct element {
    wsk_str node, proto, host; /* NULL: absent */
};

/* Read an element. False when it is none, or has a parameter twice (RFC 7239
 * 4). */
static bool read_element(wsk_str text, struct element *e)
{
    const char *p = text.p, *end = text.p + text.len;
    wsk_str name, value;
    bool bad = false;

    *e = (struct element){{NULL, 0}, {NULL, 0}, {NULL, 0}};
    while (next_pair(&p, end, &name, &value, &bad)) {
        wsk_str *slot = wsk__str_ieq(name, "for")     ? &e->node
                        : wsk__str_ieq(name, "proto") ? &e->proto
                        : wsk__str_ieq(name, "host")  ? &e->host
                                                      : NULL;

        if (slot == NULL)
            continue;
        bad |= slot->p != NULL;
        *slot = value;
    }
    return !bad;
}

/* Take the address of the next hop to the left. True if that is trusted, too,
 * so that what it wrote counts. "unknown" and identifiers that a proxy made up
 * (RFC 7239 6.2, 6.3) are no address, nor is a Unix socket's, nor what cannot
 * be read. */
static bool step(struct wsk__forwarded *f, wsk_str node,
                 const struct wsk__block *trusted, size_t n)
{
    f->known = read_node(node, &f->ip, &f->ip_port);
    f->hidden = !f->known;
    return f->known && wsk__blocks_have(trusted, n, &f->ip);
}

/* Read Forwarded. Where every hop is trusted ("*"), the leftmost address is the
 * client's. */
static void read_rfc(const wsk_head *head, const struct wsk__block *trusted,
                     size_t n, struct wsk__forwarded *f)
{
    struct walk w = walk(head, "Forwarded", true);
    wsk_str member;

    while (next_member(&w, &member)) {
        struct element e;

        if (!read_element(member, &e)) {
            f->known = false;
            f->hidden = true;
            return;
        }
        take_proto(f, e.proto);
        if (is_host(e.host))
            f->host = e.host;
        if (e.node.p == NULL || !step(f, e.node, trusted, n))
            return;
    }
}

/* ------------------------------------------------------- X-Forwarded --- */

/* Return the member that the nearest proxy wrote; none if the field does not
 * count. */
static wsk_str rightmost(const wsk_head *head, const char *name, bool counts)
{
    struct walk w = walk(head, name, false);
    wsk_str member;

    return counts && next_member(&w, &member) ? member : (wsk_str){NULL, 0};
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

static void read_for(const wsk_head *head, const struct wsk__block *trusted,
                     size_t n, struct wsk__forwarded *f)
{
    struct walk w = walk(head, "X-Forwarded-For", false);
    wsk_str member;

    while (next_member(&w, &member) && step(f, member, trusted, n))
        continue;
}

static void read_x(const wsk_head *head, unsigned fields,
                   struct wsk__forwarded *f)
{
    wsk_str host = rightmost(head, "X-Forwarded-Host", fields & WSK__X_HOST);
    wsk_str port = rightmost(head, "X-Forwarded-Port", fields & WSK__X_PORT);
    wsk_str prefix =
        rightmost(head, "X-Forwarded-Prefix", fields & WSK__X_PREFIX);

    take_proto(f, rightmost(head, "X-Forwarded-Proto", fields & WSK__X_PROTO));
    if (is_host(host))
        f->host = host;
    if (!read_port(port, &f->port))
        f->port = 0;
    while (prefix.len > 1 && prefix.p[prefix.len - 1] == '/')
        prefix.len--;
    if (is_prefix(prefix))
        f->prefix = prefix;
}

bool wsk__forwarded_read(const wsk_head *head, const struct wsk__block *trusted,
                         size_t n, unsigned fields, struct wsk__forwarded *f)
{
    *f = (struct wsk__forwarded){0};
    if (fields & WSK__FORWARDED)
        read_rfc(head, trusted, n, f);
    if (fields & WSK__X_FOR)
        read_for(head, trusted, n, f);
    read_x(head, fields, f);
    return f->known || f->hidden || f->https || f->http || f->host.len > 0 ||
           f->port > 0 || f->prefix.len > 0;
}
