#include "http/head.h"

#include "base/ascii.h"
#include "base/mem.h"

#include <string.h>

enum {
    METHOD_MAX = 32,    /* longer than any registered method */
    LINE_MIN = 4,       /* the shortest field line: "a:" CR LF */
    SPAN_MAX = 1 << 30, /* larger limits count as this: positions are 32 bits */
};

/* Fields on which the meaning of the head depends. */
struct found {
    wsk_str host, length, type;
    bool repeated; /* one of those came twice */
    bool coded;    /* a Transfer-Encoding came */
    bool chunked;  /* the last coding so far is chunked */
    int coding;    /* status that refuses the codings; 0: none */
    bool close, keep_alive, websocket;
    bool expect_continue, expect_other;
};

struct reader {
    const char *data, *end;
    const wsk_limits *limits;
    wsk_head *head;
    wsk_header *fields;
    size_t cap;
    struct found found;
    int status; /* status of the first failure; 0: none */
};

static size_t span(uint64_t limit)
{
    return limit < SPAN_MAX ? (size_t)limit : SPAN_MAX;
}

size_t wsk__head_cap(const wsk_limits *limits)
{
    /* CRs behind the last octet that may come without a verdict. */
    return WSK__BLANK_MAX + span(limits->max_request_line) +
           span(limits->max_header_bytes) + 2 * sizeof "\r\n";
}

static enum wsk__head_result bad(struct reader *r, int status)
{
    r->status = status;
    return WSK__HEAD_BAD;
}

/* ------------------------------------------------------ request line --- */

static bool is_digit(char c)
{
    return wsk__is_digit((unsigned char)c);
}

/* Check a reg-name (RFC 3986 3.2.2). A comma is refused, because a proxy may
 * have joined two Host fields by it (RFC 9110 5.2). */
static bool is_reg_name(const char *p, const char *end)
{
    while ((p = wsk__skip_common(p, end)) < end) {
        if (*p == '%') {
            if (end - p < 3 || wsk__hex(p[1]) < 0 || wsk__hex(p[2]) < 0)
                return false;
        } else if (*p == '\0' || strchr("_~!$&'()*+;=", *p) == NULL) {
            return false;
        }
        p++;
    }
    return true;
}

/* Check "[...]" with the characters of an IPv6 address (RFC 3986 3.2.2). */
static bool is_ip_literal(const char *p, const char *end)
{
    if (end - p < 4 || *p != '[' || end[-1] != ']')
        return false;
    for (p++; p < end - 1; p++)
        if (wsk__hex(*p) < 0 && *p != ':' && *p != '.')
            return false;
    return true;
}

bool wsk__is_authority(wsk_str s)
{
    const char *end = s.p + s.len, *host_end = end;
    unsigned long port = 0;

    if (s.len > 0 && *s.p == ':')
        return false;
    while (host_end > s.p && is_digit(host_end[-1]))
        host_end--;
    if (host_end > s.p && host_end[-1] == ':') {
        for (const char *p = host_end; p < end && port <= 65535; p++)
            port = port * 10 + (unsigned long)(*p - '0');
        host_end--;
    } else {
        host_end = end;
    }
    if (port > 65535)
        return false;
    return (s.len > 0 && *s.p == '[') ? is_ip_literal(s.p, host_end)
                                      : is_reg_name(s.p, host_end);
}

/* Return the length of "http://" or "https://" at the start of the target; 0
 * when there is neither: no other scheme names a resource of this server (RFC
 * 9110 4.2). */
static size_t scheme_len(wsk_str target)
{
    static const char *const SCHEMES[] = {"http://", "https://"};

    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(SCHEMES[i]);

        if (target.len > n && wsk__str_ieq((wsk_str){target.p, n}, SCHEMES[i]))
            return n;
    }
    return 0;
}

/* Split the text behind the authority into path and query. False for a NUL in
 * the decoded path, which would end a C string early. */
static bool split_path(wsk_head *head, wsk_str s)
{
    const char *mark = memchr(s.p, '?', s.len);
    const char *end = s.p + s.len;

    head->path = s;
    head->query = (wsk_str){end, 0};
    if (mark != NULL) {
        head->path.len = (size_t)(mark - s.p);
        head->query = (wsk_str){mark + 1, (size_t)(end - mark - 1)};
        end = mark;
    }
    for (const char *p = s.p; p < end; p++) {
        p = memchr(p, '%', (size_t)(end - p));
        if (p == NULL)
            return true;
        if (end - p >= 3 && p[1] == '0' && p[2] == '0')
            return false;
    }
    return true;
}

/* Read a target in origin, absolute or asterisk form (RFC 9112 3.2). */
static bool read_target(wsk_head *head)
{
    wsk_str t = head->target, authority;
    size_t scheme, n = 0;

    if (t.len == 0 || !wsk__is_target(t.p, t.p + t.len))
        return false;
    if (*t.p == '/')
        return split_path(head, t);
    if (wsk__str_is(t, "*")) {
        head->path = t;
        return wsk__str_is(head->method, "OPTIONS");
    }
    scheme = scheme_len(t);
    if (scheme == 0)
        return false;
    authority = (wsk_str){t.p + scheme, t.len - scheme};
    while (n < authority.len && authority.p[n] != '/' && authority.p[n] != '?')
        n++;
    authority.len = n;
    head->host = authority;
    if (n == 0 || !wsk__is_authority(authority))
        return false; /* RFC 9110 4.2.1: an empty host is invalid */
    if (!split_path(head, (wsk_str){t.p + scheme + n, t.len - scheme - n}))
        return false;
    if (head->path.len == 0) /* RFC 9110 4.2.3: the path is "/"; the slash
                                before the authority serves */
        head->path = (wsk_str){authority.p - 1, 1};
    return true;
}

/* Read "method SP request-target SP HTTP-version" (RFC 9112 3). */
static int read_request_line(struct reader *r, const char *p, const char *end)
{
    static const size_t VERSION_LEN = sizeof "HTTP/1.1" - 1;
    wsk_head *head = r->head;
    const char *q = p, *version;

    while (q < end && wsk__is_tchar((unsigned char)*q))
        q++;
    if (q - p > METHOD_MAX)
        return 501; /* 9110 15.6.2, as before its end: see judge_method() */
    if (q == p || q == end || *q != ' ')
        return 400;
    head->method = (wsk_str){p, (size_t)(q - p)};
    q++;
    if ((size_t)(end - q) <= VERSION_LEN)
        return 400;
    version = end - VERSION_LEN;
    if (version[-1] != ' ' || memcmp(version, "HTTP/", 5) != 0 ||
        !is_digit(version[5]) || version[6] != '.' || !is_digit(version[7]))
        return 400;
    head->target = (wsk_str){q, (size_t)(version - 1 - q)};
    head->version = (wsk_str){version, VERSION_LEN};
    if (wsk__str_is(head->method, "CONNECT"))
        return 501; /* this server is no tunnel (RFC 9110 9.3.6) */
    if (!read_target(head))
        return 400;
    if (version[5] != '1')
        return 505;
    head->http10 = version[7] == '0';
    return 0;
}

/* ------------------------------------------------------------ fields --- */

static void only_once(struct found *f, wsk_str *slot, wsk_str value)
{
    f->repeated |= slot->p != NULL;
    *slot = value;
}

/* Note the members of Expect (RFC 9110 10.1.1). */
static void note_expect(struct found *f, wsk_str list)
{
    wsk_str item;
    size_t pos = 0;

    while (wsk__list_next(list, &pos, &item)) {
        if (wsk__str_ieq(item, "100-continue"))
            f->expect_continue = true;
        else
            f->expect_other = true;
    }
}

/* Note the codings of a line of Transfer-Encoding (RFC 9112 6.1, 7). The only
 * one supported frames the body; therefore it must be the last, and come once.
 * An element that is no token is malformed. All lines of the field are one list
 * (RFC 9110 5.3). */
static void note_coding(struct found *f, wsk_str list)
{
    const char *p = list.p, *end = list.p + list.len, *comma;

    f->coded = true;
    do {
        wsk_str item = {p, 0};

        comma = memchr(p, ',', (size_t)(end - p));
        item.len = (size_t)((comma ? comma : end) - p);
        item = wsk__str_trim(item);
        if (f->chunked || !wsk__is_token(item.p, item.len))
            f->coding = 400;
        f->chunked = wsk__str_ieq(item, "chunked");
        if (!f->chunked && f->coding == 0)
            f->coding = 501;
        p = comma != NULL ? comma + 1 : end;
    } while (comma != NULL);
}

static void note_field(struct found *f, wsk_str name, wsk_str value)
{
    switch (name.len) {
    case 4:
        if (wsk__name_is(name, "host"))
            only_once(f, &f->host, value);
        break;
    case 6:
        if (wsk__name_is(name, "expect"))
            note_expect(f, value);
        break;
    case 7:
        if (wsk__name_is(name, "upgrade"))
            f->websocket |= wsk__list_has(value, "websocket");
        break;
    case 10:
        if (wsk__name_is(name, "connection")) {
            f->close |= wsk__list_has(value, "close");
            f->keep_alive |= wsk__list_has(value, "keep-alive");
        }
        break;
    case 12:
        if (wsk__name_is(name, "content-type"))
            only_once(f, &f->type, value);
        break;
    case 14:
        if (wsk__name_is(name, "content-length"))
            only_once(f, &f->length, value);
        break;
    case 17:
        if (wsk__name_is(name, "transfer-encoding"))
            note_coding(f, value);
        break;
    }
}

/* Read a field line, "name: value" (RFC 9112 5). A folded line begins with
 * white space, which no name does (5.2). */
static int read_field(struct reader *r, const char *p, const char *end)
{
    const char *q = wsk__skip_common(p, end);
    unsigned kinds = 0, kind;
    wsk_str name, value;

    while (q < end && (kind = wsk__tchar[(unsigned char)*q]) != 0) {
        kinds |= kind;
        q++;
    }
    if (q == p || q == end || *q != ':')
        return 400; /* RFC 9112 5.1: no white space before the colon, either */
    name = (wsk_str){p, (size_t)(q - p)};
    value = wsk__str_trim((wsk_str){q + 1, (size_t)(end - q - 1)});
    if (kinds &
        WSK__UNDERSCORE) /* RFC 3875 4.1.18: HTTP_A_B already means A-B */
        return 0;
    if (r->head->n_headers == r->cap)
        return 431;
    r->fields[r->head->n_headers++] = (wsk_header){name, value};
    note_field(&r->found, name, value);
    return 0;
}

/* ------------------------------------------------------------- lines --- */

/* Return the status that refuses the beginning of a request line, or 0. When
 * the line begins like no request (a greeting of another protocol, or a method
 * without an end), its end may never come, so it is not awaited (RFC 9112 3).
 * Only octets up to the cap are read: the verdict must not depend on how they
 * were cut. */
static int judge_method(const struct reader *r, const struct wsk__head_scan *s)
{
    const char *line = r->data + s->line;
    size_t len = s->at - s->line, most = span(r->limits->max_request_line) + 1;

    if (s->fields > 0)
        return 0;
    if (most > METHOD_MAX + 1)
        most = METHOD_MAX + 1;
    if (len > most)
        len = most;
    for (size_t i = 0; i < len; i++)
        if (!wsk__is_tchar((unsigned char)line[i]))
            return line[i] == ' ' && i > 0 ? 0 : 400;
    return len > METHOD_MAX ? 501 : 0;
}

/* Refuse a line that holds a forbidden control. */
static enum wsk__head_result broken(struct reader *r,
                                    const struct wsk__head_scan *s)
{
    int status = judge_method(r, s);

    return bad(r, status != 0 ? status : 400);
}

static enum wsk__head_result unfinished(struct reader *r,
                                        const struct wsk__head_scan *s)
{
    int status = judge_method(r, s);

    return status != 0 ? bad(r, status) : WSK__HEAD_PARTIAL;
}

static enum wsk__head_result too_long(struct reader *r,
                                      const struct wsk__head_scan *s)
{
    int status = judge_method(r, s);

    if (s->fields > 0)
        return bad(r, 431);
    return bad(r, status != 0 ? status : 414);
}

/* Read one complete line, without its CRLF. */
static int read_line(struct reader *r, struct wsk__head_scan *s,
                     const char *line, const char *end)
{
    if (s->fields == 0)
        return read_request_line(r, line, end);
    if (++s->lines > r->limits->max_headers)
        return 431;
    return read_field(r, line, end);
}

/*
 * Read on, from the first line that is not complete to the empty line. RFC 9112
 * 2.2 lets a lone LF end a line, but a proxy may then see other lines than we
 * do: therefore only CRLF ends a line, and any other control is an error.
 */
static enum wsk__head_result read_lines(struct reader *r,
                                        struct wsk__head_scan *s)
{
    size_t line_cap = span(r->limits->max_request_line);
    size_t fields_cap = span(r->limits->max_header_bytes);

    for (;;) {
        const char *line = r->data + s->line;
        const char *stop = wsk__find_control(r->data + s->at, r->end);
        int status;

        s->at = (uint32_t)(stop - r->data);
        if (s->fields > 0 ? s->at - s->fields > fields_cap
                          : s->at - s->line > line_cap)
            return too_long(r, s);
        if (stop == r->end)
            return unfinished(r, s);
        if (*stop != '\r')
            return broken(r, s);
        if (stop + 1 == r->end)
            return unfinished(r, s);
        if (stop[1] != '\n')
            return broken(r, s);
        s->line = s->at = s->at + 2;
        if (stop == line) {
            if (s->fields > 0)
                return WSK__HEAD_OK;
            if (s->line > WSK__BLANK_MAX)
                return bad(r, 400);
            continue;
        }
        status = read_line(r, s, line, stop);
        if (status != 0)
            return bad(r, status);
        if (s->fields == 0)
            s->fields = s->line;
    }
}

/* ----------------------------------------------------------- meaning --- */

/* Decide how the body is framed (RFC 9112 6.3). A proxy and this server must
 * never differ about where it ends. */
static int judge_framing(wsk_head *head, const struct found *f)
{
    head->has_length = f->length.p != NULL;
    head->chunked = f->coded;
    if (head->chunked && (head->has_length || head->http10))
        return 400;
    if (head->has_length && !wsk__read_length(f->length, &head->content_length))
        return 400;
    return f->coding;
}

static int judge(wsk_head *head, const struct found *f)
{
    int status;

    /* RFC 9112 3.2: one valid Host; an HTTP/1.0 client may send none. */
    if (f->repeated || (f->host.p == NULL && !head->http10))
        return 400;
    if (f->host.p != NULL && !wsk__is_authority(f->host))
        return 400;
    if (head->host.p == NULL)
        head->host = f->host;
    status = judge_framing(head, f);
    if (status != 0)
        return status;
    /* RFC 9110 10.1.1 and 7.8: HTTP/1.0 knows neither Expect nor Upgrade. */
    if (!head->http10) {
        if (f->expect_other)
            return 417;
        head->expect_continue = f->expect_continue;
        head->websocket = f->websocket;
    }
    /* RFC 9112 9.3. */
    head->keep_alive = !f->close && (!head->http10 || f->keep_alive);
    return 0;
}

enum wsk__head_result wsk__head_parse(const char *data, size_t len,
                                      struct wsk__head_scan *scan,
                                      const wsk_limits *limits,
                                      struct wsk__head_store *store,
                                      size_t *used, int *status)
{
    struct reader r = {.data = data,
                       .end = data + len,
                       .limits = limits,
                       .head = &store->head,
                       .fields = store->fields,
                       .cap = store->cap};
    bool resumed = scan->fields > 0;
    enum wsk__head_result result;

    store->head = (wsk_head){.headers = store->fields};
    result = read_lines(&r, scan);
    if (result == WSK__HEAD_OK && resumed) {
        /* The views of lines that earlier calls read are lost. */
        *scan = (struct wsk__head_scan){0};
        store->head = (wsk_head){.headers = store->fields};
        r.found = (struct found){0};
        result = read_lines(&r, scan);
    }
    if (result == WSK__HEAD_OK) {
        r.status = judge(&store->head, &r.found);
        if (r.status != 0)
            result = WSK__HEAD_BAD;
        *used = scan->line;
        store->len = (size_t)(data + scan->line - store->head.method.p);
    }
    *status = r.status;
    return result;
}

/* ------------------------------------------------------------- store --- */

struct wsk__head_store *wsk__head_store_new(const wsk_limits *limits)
{
    struct wsk__head_store *store;
    size_t cap = span(limits->max_header_bytes) / LINE_MIN;

    if (cap > limits->max_headers)
        cap = limits->max_headers;
    store = wsk__alloc(sizeof *store + cap * sizeof store->fields[0]);
    if (store != NULL) {
        store->head = (wsk_head){.headers = store->fields};
        store->len = 0;
        store->cap = cap;
    }
    return store;
}

/* Move a view that points into the old text. Others stay, such as the authority
 * that a proxy names: net/conn/peer composes that. */
static void move_view(wsk_str *s, wsk_str from, const char *to)
{
    uintptr_t at = (uintptr_t)s->p - (uintptr_t)from.p;

    if (s->p != NULL && at <= from.len)
        s->p = to + at;
}

void wsk__head_rebase(struct wsk__head_store *store, const char *to)
{
    wsk_head *head = &store->head;
    wsk_str from = {head->method.p, store->len};

    move_view(&head->method, from, to);
    move_view(&head->target, from, to);
    move_view(&head->path, from, to);
    move_view(&head->query, from, to);
    move_view(&head->host, from, to);
    move_view(&head->version, from, to);
    for (size_t i = 0; i < head->n_headers; i++) {
        move_view(&store->fields[i].name, from, to);
        move_view(&store->fields[i].value, from, to);
    }
}

struct wsk__head_store *wsk__head_copy(const struct wsk__head_store *store)
{
    size_t fields = store->head.n_headers * sizeof store->fields[0];
    struct wsk__head_store *copy =
        wsk__alloc(sizeof *store + fields + store->len);

    char *text;

    if (copy == NULL)
        return NULL;
    text = (char *)copy + sizeof *store + fields;
    memcpy(copy, store, sizeof *store + fields);
    copy->cap = store->head.n_headers;
    copy->head.headers = copy->fields;
    memcpy(text, store->head.method.p, store->len);
    wsk__head_rebase(copy, text);
    return copy;
}

wsk_str wsk_head_get(const wsk_head *head, const char *name)
{
    for (size_t i = 0; i < head->n_headers; i++)
        if (wsk__str_ieq(head->headers[i].name, name))
            return head->headers[i].value;
    return (wsk_str){NULL, 0};
}
