/* Any octets: our HTTP engine and llhttp, the parser of Node.js (strict, its
 * defaults), read the same request, or differ in a way that is named here and
 * explained in docs/internals/http.md. Built where Debian's node-llhttp is. */
#include "log.h"

#include "base/ascii.h"
#include "wsocket.h"

#include <llhttp.h>

enum { SETTING_LEN = 2 }; /* the corpus is that of fuzz_http */

/* ----------------------------------------------------------- one side --- */

enum outcome { MORE, WHOLE, REFUSED };

/* Result of a parser for the first request of an input. */
struct side {
    enum outcome outcome;
    size_t used;        /* of a WHOLE one, or until it was REFUSED */
    int status;         /* why: ours */
    const char *reason; /* theirs */
    bool has_head, has_length, chunked, http10, keep_alive, websocket;
    uint64_t length;
    struct log method, target, fields, body;
    size_t field, value; /* where the last one begins */
};

static void clear(struct side *s)
{
    free(s->method.p);
    free(s->target.p);
    free(s->fields.p);
    free(s->body.p);
}

/* --------------------------------------------------------------- ours --- */

static void take_head(struct side *s, const wsk_head *head)
{
    s->has_head = true;
    s->has_length = head->has_length;
    s->chunked = head->chunked;
    s->http10 = head->http10;
    s->keep_alive = head->keep_alive;
    s->websocket = head->websocket;
    s->length = head->content_length;
    put(&s->method, head->method.p, head->method.len);
    put(&s->target, head->target.p, head->target.len);
    for (size_t i = 0; i < head->n_headers; i++) {
        put(&s->fields, head->headers[i].name.p, head->headers[i].name.len);
        put(&s->fields, ":", 1);
        put(&s->fields, head->headers[i].value.p, head->headers[i].value.len);
        put(&s->fields, "\n", 1);
    }
}

/* Every request is answered with nothing, and the next one may come. */
static void answer(wsk_http *http)
{
    size_t len;

    REQUIRE(wsk_http_send_head(http, 204, NULL, NULL, 0, 0) == WSK_OK);
    REQUIRE(wsk_http_send_end(http) == WSK_OK);
    wsk_http_out_buf(http, &len);
    wsk_http_out_ack(http, len);
}

static struct side ours(wsk_http *http, const uint8_t *data, size_t size)
{
    struct side s = {.outcome = MORE};
    size_t used;

    for (size_t at = 0; at < size && s.outcome == MORE; at += used) {
        wsk_http_event ev;

        REQUIRE(wsk_http_feed(http, data + at, size - at, &used) == WSK_OK);
        s.used += used;
        while ((ev = wsk_http_next(http)).kind != WSK_HTTP_NONE) {
            if (ev.kind == WSK_HTTP_HEAD)
                take_head(&s, ev.head);
            else if (ev.kind == WSK_HTTP_DATA)
                put(&s.body, ev.data, ev.len);
            else
                s.outcome = ev.kind == WSK_HTTP_END ? WHOLE : REFUSED;
            s.status = ev.status;
        }
    }
    if (s.outcome == WHOLE)
        answer(http);
    return s;
}

/* Return the number of octets after which we refuse a request, found by an
 * engine that is fed them one by one: the octets behind them are no excuse. */
static size_t refusal_point(const uint8_t *data, size_t size, int status)
{
    wsk_http *http = wsk_http_new(NULL);
    enum outcome outcome = MORE;
    size_t at = 0;

    REQUIRE(http != NULL);
    while (outcome == MORE) {
        struct side s;

        REQUIRE(at < size);
        s = ours(http, data + at++, 1);
        outcome = s.outcome;
        REQUIRE(outcome != WHOLE);
        REQUIRE(outcome == MORE || s.status == status);
        clear(&s);
    }
    wsk_http_free(http);
    return at;
}

/* We judge a line when it is complete: here it ends. */
static bool refused_at_last(const uint8_t *data, size_t size)
{
    wsk_http *http = wsk_http_new(NULL);
    struct log longer = {0};
    struct side s;
    bool refused;

    REQUIRE(http != NULL);
    put(&longer, data, size);
    put(&longer, "\r\n\r\n", 4);
    s = ours(http, longer.p, longer.len);
    refused = s.outcome == REFUSED;
    clear(&s);
    free(longer.p);
    wsk_http_free(http);
    return refused;
}

/* ------------------------------------------------------------- theirs --- */

static int on_method(llhttp_t *p, const char *at, size_t len)
{
    put(&((struct side *)p->data)->method, at, len);
    return 0;
}

static int on_target(llhttp_t *p, const char *at, size_t len)
{
    put(&((struct side *)p->data)->target, at, len);
    return 0;
}

static int on_text(llhttp_t *p, const char *at, size_t len)
{
    struct side *s = p->data;

    if (!s->has_head) /* no trailers */
        put(&s->fields, at, len);
    return 0;
}

static int on_name_end(llhttp_t *p)
{
    struct side *s = p->data;

    on_text(p, ":", 1);
    s->value = s->fields.len;
    return 0;
}

/* Trimmed; none with an underscore (RFC 3875 4.1.18: we drop those). */
static int on_field_end(llhttp_t *p)
{
    struct side *s = p->data;
    struct log *t = &s->fields;
    size_t name_len = s->value - s->field - 1;

    if (s->has_head)
        return 0;
    while (t->len > s->value &&
           (t->p[t->len - 1] == ' ' || t->p[t->len - 1] == '\t'))
        t->len--;
    put(t, "\n", 1);
    if (memchr(t->p + s->field, '_', name_len) != NULL)
        t->len = s->field;
    s->field = t->len;
    return 0;
}

static int on_head_end(llhttp_t *p)
{
    struct side *s = p->data;

    s->has_head = true;
    s->has_length = p->flags & F_CONTENT_LENGTH;
    s->chunked = p->flags & F_CHUNKED;
    s->http10 = p->http_minor == 0;
    s->keep_alive = llhttp_should_keep_alive(p);
    s->length = s->has_length ? p->content_length : 0;
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t len)
{
    put(&((struct side *)p->data)->body, at, len);
    return 0;
}

static int on_end(llhttp_t *p)
{
    ((struct side *)p->data)->outcome = WHOLE;
    return HPE_PAUSED;
}

static void hear(llhttp_t *parser, llhttp_settings_t *settings)
{
    llhttp_settings_init(settings);
    settings->on_method = on_method;
    settings->on_url = on_target;
    settings->on_header_field = on_text;
    settings->on_header_field_complete = on_name_end;
    settings->on_header_value = on_text;
    settings->on_header_value_complete = on_field_end;
    settings->on_headers_complete = on_head_end;
    settings->on_body = on_body;
    settings->on_message_complete = on_end;
    llhttp_init(parser, HTTP_REQUEST, settings);
}

static struct side theirs(llhttp_t *parser, const uint8_t *data, size_t size)
{
    struct side s = {.outcome = MORE};
    llhttp_errno_t error;

    parser->data = &s;
    llhttp_resume(parser); /* from the end of the last request, if any */
    error = llhttp_execute(parser, (const char *)data, size);
    if (error == HPE_PAUSED_UPGRADE && s.outcome == MORE) {
        llhttp_resume_after_upgrade(parser); /* we answered no 101 */
        error = llhttp_execute(parser, (const char *)data, size);
    }
    if (error != HPE_OK) {
        s.used = (size_t)(llhttp_get_error_pos(parser) - (const char *)data);
        s.reason = llhttp_get_error_reason(parser);
    }
    if (error != HPE_OK && s.outcome == MORE)
        s.outcome = REFUSED;
    return s;
}

/* ---------------------------------------------------------- raw octets --- */

/* The octets of a request, looked at by neither parser. */
struct raw {
    const char *begin, *end;
    const char *p;    /* where its request line is */
    const char *body; /* the octets behind its head */
};

/* The next line, up to LF; a CR before that is none of it. */
static bool next_line(const struct raw *raw, const char **at, wsk_str *line)
{
    const char *p = *at, *lf;

    if (p >= raw->end)
        return false;
    lf = memchr(p, '\n', (size_t)(raw->end - p));
    *line = (wsk_str){p, (size_t)((lf != NULL ? lf : raw->end) - p)};
    *at = p + line->len + (lf != NULL);
    if (line->len > 0 && p[line->len - 1] == '\r')
        line->len--;
    return true;
}

static struct raw look_at(const uint8_t *data, size_t size)
{
    struct raw raw = {.begin = (const char *)data, .p = (const char *)data};
    const char *at;
    wsk_str line;

    raw.end = raw.p + size;
    while (raw.p < raw.end && (*raw.p == '\r' || *raw.p == '\n'))
        raw.p++;
    for (at = raw.p; next_line(&raw, &at, &line);)
        if (line.len == 0)
            break;
    raw.body = at;
    return raw;
}

static wsk_str request_line(const struct raw *raw)
{
    const char *at = raw->p;
    wsk_str line = {raw->p, 0};

    next_line(raw, &at, &line);
    return line;
}

/* The next line of the head, the first being that behind the request line. */
static bool next_field(const struct raw *raw, const char **at, wsk_str *line)
{
    if (*at == NULL) {
        *at = raw->p;
        next_line(raw, at, line);
    }
    return *at < raw->body && next_line(raw, at, line);
}

/* How many fields have this name; the value of the last one. */
static unsigned fields(const struct raw *raw, const char *name, wsk_str *value)
{
    size_t len = strlen(name);
    const char *at = NULL;
    unsigned n = 0;
    wsk_str line;

    while (next_field(raw, &at, &line)) {
        if (line.len <= len || line.p[len] != ':' ||
            !wsk__str_ieq((wsk_str){line.p, len}, name))
            continue;
        n++;
        *value = wsk__str_trim((wsk_str){line.p + len + 1, line.len - len - 1});
    }
    return n;
}

static bool consists_of(wsk_str s, const char *octets)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] == '\0' || strchr(octets, s.p[i]) == NULL)
            return false;
    return true;
}

static bool bare_line_end(const char *p, const char *end)
{
    for (const char *q = p; q < end; q++) {
        if (*q == '\n' && (q == p || q[-1] != '\r'))
            return true;
        if (*q == '\r' && q + 1 < end && q[1] != '\n')
            return true;
    }
    return false;
}

/* ------------------------------------------ where we are the stricter --- */

/* In the head: each says whether it holds for these octets. */

/* The last octet is an LF alone, or follows a CR alone (9112 2.2). */
static bool a_line_end(const struct raw *raw)
{
    const char *end = raw->end;
    bool after_cr = end - raw->begin > 1 && end[-2] == '\r';

    return (end[-1] == '\n') != after_cr;
}

static bool is_folded(wsk_str line) /* 9112 5.2 */
{
    return line.len > 0 && (*line.p == ' ' || *line.p == '\t');
}

static bool is_misnamed(wsk_str line) /* 9112 5.1: a token, at once ":" */
{
    const char *colon = memchr(line.p, ':', line.len);

    return line.len > 0 &&
           (colon == NULL || !wsk__is_token(line.p, (size_t)(colon - line.p)));
}

static bool is_any_field(const struct raw *raw, bool (*is)(wsk_str line))
{
    const char *at = NULL;
    wsk_str line;

    while (next_field(raw, &at, &line))
        if (is(line))
            return true;
    return false;
}

/* The field that we refused was the last we had read. */
static bool a_field(const struct raw *raw)
{
    const char *at = NULL;
    wsk_str line = {0};

    while (next_field(raw, &at, &line))
        continue;
    return is_folded(line) || is_misnamed(line);
}

static bool a_space(const struct raw *raw) /* 9112 3: two of them, one each */
{
    wsk_str line = request_line(raw);
    unsigned spaces = 0;

    for (size_t i = 0; i < line.len; i++)
        spaces += line.p[i] == ' ';
    return spaces != 2;
}

static bool is_http10(const struct raw *raw)
{
    wsk_str line = request_line(raw);

    return line.len >= 8 && memcmp(line.p + line.len - 8, "HTTP/1.0", 8) == 0;
}

/* 9112 3.2; what is plainly a name or an IPv4 address is no difference. */
static bool a_host(const struct raw *raw)
{
    static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
    wsk_str value = {0};
    unsigned n = fields(raw, "host", &value);

    return n > 1 || (n == 0 && !is_http10(raw)) ||
           (n == 1 && !consists_of(value, PLAIN));
}

static bool a_version(const struct raw *raw) /* 9112 2.3 */
{
    wsk_str line = request_line(raw);
    const char *v = line.p + line.len - 8;

    return line.len < 8 ||
           (memcmp(v, "HTTP/1.0", 8) != 0 && memcmp(v, "HTTP/1.1", 8) != 0);
}

static bool a_target(const struct raw *raw) /* 9112 3.2 */
{
    wsk_str line = request_line(raw);
    const char *p = memchr(line.p, ' ', line.len);
    const char *end = line.p + line.len, *q;

    if (p == NULL || p + 1 == end || *++p != '/')
        return true;
    for (q = p; q < end && (unsigned char)*q > 0x20; q++)
        if (*q == '#' || *q == 0x7f || (unsigned char)*q >= 0x80)
            return true;
    return q == end || *q != ' ' ||
           memmem(p, (size_t)(q - p), "%00", 3) != NULL;
}

static bool a_method(const struct raw *raw) /* 9110 9.1, 9.3.6 */
{
    wsk_str line = request_line(raw);
    const char *space = memchr(line.p, ' ', line.len);

    return space == NULL || space - line.p > 32 ||
           wsk__str_is((wsk_str){line.p, (size_t)(space - line.p)}, "CONNECT");
}

static bool a_length(const struct raw *raw) /* 9110 8.6 */
{
    wsk_str value = {0};
    unsigned n = fields(raw, "content-length", &value);

    return n > 1 ||
           (n == 1 && (value.len == 0 || !consists_of(value, "0123456789")));
}

static bool an_overflow(const struct raw *raw) /* 9110 8.6 */
{
    wsk_str value = {0};

    return fields(raw, "content-length", &value) == 1 && value.len > 18;
}

static bool a_long_body(const struct raw *raw) /* 9110 15.5.14 */
{
    wsk_str value = {0};
    uint64_t length;

    return fields(raw, "content-length", &value) == 1 &&
           wsk__read_length(value, &length) && length > 1073741824;
}

static bool a_coding(const struct raw *raw) /* 9112 6.1, 6.3 */
{
    wsk_str value = {0}, other;
    unsigned n = fields(raw, "transfer-encoding", &value);

    return n > 1 ||
           (n == 1 && (is_http10(raw) || !wsk__str_ieq(value, "chunked") ||
                       fields(raw, "content-length", &other) > 0));
}

static bool a_type(const struct raw *raw) /* 9110 8.3 */
{
    wsk_str value;

    return fields(raw, "content-type", &value) > 1;
}

static bool an_expectation(const struct raw *raw) /* 9110 10.1.1 */
{
    wsk_str value = {0};
    unsigned n = fields(raw, "expect", &value);

    return n > 1 || (n == 1 && !wsk__str_ieq(value, "100-continue"));
}

static bool has_control(const char *p, const char *end) /* 9110 5.5 */
{
    for (; p < end; p++)
        if ((unsigned char)*p < 0x20 ? *p != '\t' && *p != '\r' && *p != '\n'
                                     : *p == 0x7f)
            return true;
    return false;
}

/* The last octet is one. */
static bool a_control(const struct raw *raw)
{
    return has_control(raw->end - 1, raw->end);
}

static bool a_blank(const struct raw *raw) /* 9112 2.2: eight are enough */
{
    return raw->p - raw->begin > 16;
}

/* 9112 3: what begins like this is awaited no further. */
static bool no_method(const struct raw *raw)
{
    return raw->end - raw->p == 1 && !wsk__is_tchar((unsigned char)*raw->p);
}

static bool a_long_line(const struct raw *raw) /* 9112 3 */
{
    return request_line(raw).len > 16384;
}

static bool a_long_method(const struct raw *raw)
{
    return a_long_line(raw) && a_method(raw);
}

static bool many_or_long(const struct raw *raw) /* RFC 6585 5 */
{
    const char *at = NULL;
    unsigned lines = 0;
    wsk_str line;

    while (next_field(raw, &at, &line))
        lines++;
    return lines > 100 || raw->end - raw->p > 65536;
}

/* Where the octets end that we needed to refuse a head. */
enum place {
    BEFORE,    /* among empty lines */
    IN_LINE,   /* of the request, or of a field */
    AFTER,     /* the request line */
    AFTER_ONE, /* field line */
    AFTER_ALL, /* and the empty one */
};

static enum place place_of(const struct raw *raw)
{
    wsk_str line = request_line(raw);
    size_t n = (size_t)(raw->end - raw->p);

    if (n == 0)
        return BEFORE;
    if (n < 2 || memcmp(raw->end - 2, "\r\n", 2) != 0)
        return IN_LINE;
    if (line.p + line.len + 2 == raw->end)
        return AFTER;
    return memcmp(raw->end - 4, "\r\n\r\n", 4) == 0 ? AFTER_ALL : AFTER_ONE;
}

static const struct {
    enum place place;
    int status;
    bool (*holds)(const struct raw *raw);
} HEAD_CLASSES[] = {
    {BEFORE, 400, a_line_end},
    {BEFORE, 400, a_blank},
    {IN_LINE, 400, a_line_end},
    {IN_LINE, 400, no_method},
    {IN_LINE, 400, a_control},
    {IN_LINE, 414, a_long_line},
    {IN_LINE, 501, a_long_method},
    {IN_LINE, 431, many_or_long},
    {AFTER, 400, a_space},
    {AFTER, 400, a_version},
    {AFTER, 400, a_target},
    {AFTER, 501, a_method},
    {AFTER, 505, a_version},
    {AFTER_ONE, 400, a_field},
    {AFTER_ONE, 431, many_or_long},
    {AFTER_ALL, 400, a_host},
    {AFTER_ALL, 400, an_overflow},
    {AFTER_ALL, 400, a_coding},
    {AFTER_ALL, 400, a_type},
    {AFTER_ALL, 413, a_long_body},
    {AFTER_ALL, 417, an_expectation},
    {AFTER_ALL, 501, a_coding},
};

/* True if the head breaks a rule that no accepted one may break. */
static bool breaks_a_rule(const struct raw *raw)
{
    return bare_line_end(raw->begin, raw->body) ||
           has_control(raw->p, raw->body) || is_any_field(raw, is_folded) ||
           is_any_field(raw, is_misnamed) || a_space(raw) || a_length(raw) ||
           a_coding(raw) || a_type(raw);
}

static size_t chunk_size(wsk_str line)
{
    size_t size = 0;

    for (size_t i = 0; i < line.len && wsk__hex(line.p[i]) >= 0; i++)
        size = size << 4 | (size_t)wsk__hex(line.p[i]);
    return size;
}

/* True if the last chunk ends before the octets do. */
static bool in_trailers(const struct raw *raw)
{
    const char *at = raw->body;
    wsk_str line;

    while (next_line(raw, &at, &line)) {
        size_t size = chunk_size(line);

        if (size == 0)
            return at < raw->end;
        if (size + 2 < size || size + 2 >= (size_t)(raw->end - at))
            return false;
        at += size + 2;
    }
    return false;
}

/* A trailer, of which the last octet is what we did not like. */
static bool a_trailer(wsk_str line) /* 9112 7.1.2, 5 */
{
    size_t before = line.len - 1;
    char last = line.p[before];

    return has_control(&last, &last + 1) ||
           (memchr(line.p, ':', before) == NULL &&
            (last == ':' ? before == 0 : !wsk__is_tchar((unsigned char)last)));
}

/* In the body: the line that ends with the octet we did not like. */
static bool is_body_class(const struct raw *raw, int status)
{
    const char *p = raw->end - 1;
    wsk_str line;

    while (p > raw->body && p[-1] != '\n')
        p--;
    line = (wsk_str){p, (size_t)(raw->end - p)};
    if (status == 413)
        return chunk_size(line) > 1073741824;
    if (status == 431)
        return in_trailers(raw) && raw->end - raw->body > 2 * 100;
    return a_line_end(raw) || (in_trailers(raw) && a_trailer(line)) ||
           memchr(line.p, ';', line.len) != NULL || /* 9112 7.1.1 */
           chunk_size(line) > INT64_MAX;
}

static bool is_our_class(const uint8_t *data, size_t size, const struct side *s)
{
    struct raw raw = look_at(data, refusal_point(data, size, s->status));
    enum place place = place_of(&raw);

    if (s->has_head)
        return is_body_class(&raw, s->status);
    for (size_t i = 0; i < sizeof HEAD_CLASSES / sizeof *HEAD_CLASSES; i++)
        if (HEAD_CLASSES[i].place == place &&
            HEAD_CLASSES[i].status == s->status && HEAD_CLASSES[i].holds(&raw))
            return true;
    return false;
}

/* ---------------------------------------- where they are the stricter --- */

#define INVALID_CODING "Request has invalid `Transfer-Encoding`"

enum part { IN_HEAD, IN_BODY, IN_TRAILERS };

static const struct {
    const char *text;
    enum part part;
} THEIR_REASONS[] = {
    /* A closed list of methods; 9110 9.1: any token. */
    {"Invalid method encountered", IN_HEAD},
    {"Expected space after method", IN_HEAD},
    /* PRI begins the preface of HTTP/2 (9113 3.4), and is a token like others
     * where it does not. */
    {"Expected HTTP/2 Connection Preface", IN_HEAD},
    /* 9110 2.5: a higher minor version is served as the highest we know. */
    {"Invalid HTTP version", IN_HEAD},
    /* 9112 5: HTAB behind "chunked" is none of it. */
    {INVALID_CODING, IN_BODY},
    /* 9112 5: nor HTAB behind a length. */
    {"Invalid character in Content-Length", IN_HEAD},
    /* 9112 7.1.1: BWS is read (9110 5.6.3), a value may be quoted (5.6.4). */
    {"Invalid character in chunk size", IN_BODY},
    {"Invalid character in chunk extensions", IN_BODY},
    {"Invalid character in chunk extensions name", IN_BODY},
    {"Invalid character in chunk extensions value", IN_BODY},
    {"Invalid character in chunk extensions quote value", IN_BODY},
    {"Invalid character in chunk extensions quoted value", IN_BODY},
    /* We read trailers and forget them; 9110 6.5.1: never merged. */
    {"Invalid `Transfer-Encoding` header value", IN_TRAILERS},
    {"Content-Length can't be present with Transfer-Encoding", IN_TRAILERS},
    {"Invalid character in Content-Length", IN_TRAILERS},
    {"Content-Length overflow", IN_TRAILERS},
    {"Duplicate Content-Length", IN_TRAILERS},
    {"Empty Content-Length", IN_TRAILERS},
};

static bool is_known(const uint8_t *data, const struct side *them)
{
    struct raw raw = look_at(data, them->used);
    enum part part = !them->has_head     ? IN_HEAD
                     : in_trailers(&raw) ? IN_TRAILERS
                                         : IN_BODY;

    for (size_t i = 0; i < sizeof THEIR_REASONS / sizeof *THEIR_REASONS; i++)
        if (THEIR_REASONS[i].part == part &&
            strcmp(them->reason, THEIR_REASONS[i].text) == 0)
            return true;
    return false;
}

/* ------------------------------------------------------------- the two --- */

/* 9112 9.3: "close" goes first. llhttp looks for keep-alive alone on 1.0, and
 * reads Proxy-Connection (9112 C.2.2), which is meant for no server. */
static bool may_disagree_on_close(const struct raw *raw, const struct side *us)
{
    wsk_str value;

    return fields(raw, "proxy-connection", &value) > 0 ||
           (us->http10 && !us->keep_alive);
}

static void compare_heads(const struct raw *raw, const struct side *us,
                          const struct side *them)
{
    REQUIRE(same(&us->method, &them->method));
    REQUIRE(same(&us->target, &them->target));
    REQUIRE(same(&us->fields, &them->fields));
    REQUIRE(us->has_length == them->has_length);
    REQUIRE(
        us->chunked == them->chunked ||
        (them->reason != NULL && strcmp(them->reason, INVALID_CODING) == 0));
    REQUIRE(us->http10 == them->http10);
    REQUIRE(us->keep_alive == them->keep_alive ||
            may_disagree_on_close(raw, us));
    REQUIRE(us->length == them->length);
    REQUIRE(begins_with(&us->body, &them->body) ||
            begins_with(&them->body, &us->body));
}

/* True if both found one whole request. */
static bool compare(const uint8_t *data, size_t size, const struct side *us,
                    const struct side *them)
{
    struct raw raw = look_at(data, size);

    REQUIRE(!us->has_head || !breaks_a_rule(&raw));
    if (us->has_head && them->has_head)
        compare_heads(&raw, us, them);
    if (us->outcome == them->outcome) {
        REQUIRE(us->outcome != WHOLE || us->used == them->used);
        REQUIRE(us->outcome == REFUSED || same(&us->body, &them->body));
        return us->outcome == WHOLE;
    }
    if (us->outcome == REFUSED) {
        REQUIRE(is_our_class(data, size, us));
        return false;
    }
    REQUIRE(them->outcome == REFUSED);
    REQUIRE(is_known(data, them) || (us->outcome == MORE && !us->has_head &&
                                     refused_at_last(data, size)));
    return false;
}

/* One connection, request by request, each of which is answered; what they left
 * behind in the parsers is compared with the next one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wsk_http *http = wsk_http_new(NULL);
    llhttp_settings_t settings;
    llhttp_t parser;
    bool whole = true;

    REQUIRE(http != NULL);
    hear(&parser, &settings);
    for (size_t at = SETTING_LEN; whole && at < size;) {
        struct side us = ours(http, data + at, size - at);
        struct side them = theirs(&parser, data + at, size - at);

        whole = compare(data + at, size - at, &us, &them);
        at += us.used;
        if (whole && wsk_http_done(http)) { /* 9112 9.6: nothing is read */
            REQUIRE(!us.keep_alive || us.websocket);
            whole = false;
        } else if (whole) {
            REQUIRE(us.keep_alive);
            whole = them.keep_alive;
        }
        clear(&us);
        clear(&them);
    }
    wsk_http_free(http);
    return 0;
}
