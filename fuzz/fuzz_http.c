/* Any octets, in any pieces: the HTTP engine says the same and answers the
 * same, for itself or embedded; and what it says is lawful. */
#include "log.h"

#include "base/ascii.h"
#include "base/mem.h"
#include "http/conn.h"
#include "wsocket.h"

/* The first octets of an input choose the circumstances. */
struct setting {
    wsk_limits limits;
    uint8_t pieces; /* seed of the sizes of the pieces */
    bool early;     /* answers on the head: unread bodies are drained */
    bool eof;
};
enum { SETTING_LEN = 2 };

static void put_view(struct log *log, wsk_str s)
{
    put(log, &s.len, sizeof s.len);
    put(log, s.p, s.len);
}

struct run {
    const struct setting *setting;
    struct wsk_http *http;
    struct wsk_http embedded;
    struct wsk__head_store *store; /* lent to an embedded engine */
    struct log events, out;
    const wsk_head *head;
    wsk_http_event_kind last;
    uint64_t body; /* octets of it so far */
    bool failed;
};

/* ------------------------------------------------------------- checks --- */

static bool visible(wsk_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

static void check_head(const struct run *r, const wsk_head *head)
{
    const wsk_limits *limits = &r->setting->limits;
    unsigned hosts = 0;

    REQUIRE(wsk__is_token(head->method.p, head->method.len));
    REQUIRE(head->target.len > 0 && visible(head->target));
    REQUIRE(head->path.len > 0 &&
            (*head->path.p == '/' || *head->path.p == '*'));
    REQUIRE(visible(head->path) && visible(head->query) && visible(head->host));
    REQUIRE(head->version.len == 8);
    REQUIRE(head->n_headers <= limits->max_headers);
    REQUIRE(!head->chunked || (!head->has_length && !head->http10));
    REQUIRE(limits->max_body == 0 || head->content_length <= limits->max_body);
    REQUIRE(!head->http10 || (!head->websocket && !head->expect_continue));
    for (size_t i = 0; i < head->n_headers; i++) {
        const wsk_header *h = &head->headers[i];

        REQUIRE(wsk__is_token(h->name.p, h->name.len));
        REQUIRE(memchr(h->name.p, '_', h->name.len) == NULL);
        REQUIRE(wsk__is_field_value(h->value.p, h->value.len));
        REQUIRE(wsk__str_trim(h->value).len == h->value.len);
        hosts += wsk__str_ieq(h->name, "host");
    }
    REQUIRE(hosts == 1 || (hosts == 0 && head->http10));
}

static void put_head(struct log *log, const wsk_head *head)
{
    uint8_t flags[] = {head->has_length,      head->chunked,
                       head->http10,          head->keep_alive,
                       head->expect_continue, head->websocket};

    put_view(log, head->method);
    put_view(log, head->target);
    put_view(log, head->path);
    put_view(log, head->query);
    put_view(log, head->host);
    put_view(log, head->version);
    for (size_t i = 0; i < head->n_headers; i++) {
        put_view(log, head->headers[i].name);
        put_view(log, head->headers[i].value);
    }
    put(log, &head->content_length, sizeof head->content_length);
    put(log, flags, sizeof flags);
}

/* --------------------------------------------------------------- runs --- */

static void read_out(struct run *r)
{
    const uint8_t *data;
    size_t len;

    while ((data = wsk_http_out_buf(r->http, &len)) != NULL) {
        put(&r->out, data, len);
        wsk_http_out_ack(r->http, len);
    }
}

/* Each third answer is chunked, each third is nothing. */
static void answer(struct run *r)
{
    size_t kind = r->head->target.len % 3;
    static const uint8_t TEXT[] = "text";

    REQUIRE(wsk_http_send_head(r->http, kind == 0 ? 204 : 200, NULL, NULL, 0,
                               kind == 1 ? 4 : WSK_LENGTH_UNKNOWN) == WSK_OK);
    REQUIRE(wsk_http_send_body(r->http, TEXT, 4) == WSK_OK);
    REQUIRE(wsk_http_send_end(r->http) == WSK_OK);
    if (r->store != NULL)
        wsk__http_release(r->http);
    r->head = NULL;
}

static void on_event(struct run *r, const wsk_http_event *ev)
{
    bool new_kind = ev->kind != r->last || ev->kind != WSK_HTTP_DATA;

    REQUIRE(!r->failed); /* nothing follows FAILED */
    REQUIRE(ev->kind == WSK_HTTP_FAILED ||
            (ev->kind == WSK_HTTP_HEAD) == (r->head == NULL));
    r->last = ev->kind;
    if (new_kind)
        put(&r->events, &ev->kind, 1);
    switch (ev->kind) {
    case WSK_HTTP_NONE:
        break;
    case WSK_HTTP_HEAD:
        check_head(r, ev->head);
        put_head(&r->events, ev->head);
        r->body = 0;
        r->head = ev->head;
        if (r->store != NULL) {
            REQUIRE(wsk__http_keep_head(r->http) == WSK_OK);
            r->head = wsk__http_head(r->http);
            put_head(&r->events, r->head);
        } else {
            put_head(&r->events, r->head);
        }
        /* Then the cuts decide if a 100 is still due. */
        if (r->setting->early && !r->head->expect_continue)
            answer(r);
        break;
    case WSK_HTTP_DATA:
        REQUIRE(ev->len > 0 && ev->data != NULL);
        put(&r->events, ev->data, ev->len);
        r->body += ev->len;
        REQUIRE(r->setting->limits.max_body == 0 ||
                r->body <= r->setting->limits.max_body);
        break;
    case WSK_HTTP_END:
        REQUIRE(r->head->chunked || r->body == r->head->content_length);
        answer(r);
        break;
    case WSK_HTTP_FAILED:
        REQUIRE(ev->status >= 400 && ev->status <= 505);
        put(&r->events, &ev->status, sizeof ev->status);
        REQUIRE(wsk_http_done(r->http));
        r->failed = true;
        break;
    }
    read_out(r);
}

static size_t take_events(struct run *r)
{
    wsk_http_event ev;
    size_t n = 0;

    for (; (ev = wsk_http_next(r->http)).kind != WSK_HTTP_NONE; n++)
        on_event(r, &ev);
    return n;
}

/* In a block of its exact size, with a store full of something else. */
static void feed(struct run *r, const uint8_t *p, size_t n)
{
    uint8_t *piece = malloc(n);
    size_t at = 0;

    REQUIRE(piece != NULL);
    memcpy(piece, p, n);
    while (at < n && !wsk_http_done(r->http)) {
        size_t used, told;

        if (r->store != NULL) {
            memset(r->store->fields, 0xa5,
                   r->store->cap * sizeof r->store->fields[0]);
            wsk__http_lend(r->http, r->store);
        }
        REQUIRE(wsk_http_feed(r->http, piece + at, n - at, &used) == WSK_OK);
        REQUIRE(used <= n - at);
        at += used;
        told = take_events(r);
        REQUIRE(used > 0 || told > 0 || wsk_http_done(r->http));
    }
    free(piece);
}

static struct run run(const struct setting *s, const uint8_t *p, size_t n,
                      size_t piece, bool embedded)
{
    struct run r = {.setting = s};
    struct wsk_http http;
    unsigned dice = s->pieces;

    r.http = &http;
    if (embedded) {
        r.store = wsk__head_store_new(&s->limits);
        wsk__http_init(r.http, &s->limits);
    } else {
        r.http = wsk_http_new(&s->limits);
    }
    wsk_http_set_date(r.http, "Thu, 01 Jan 1970 00:00:00 GMT");
    for (size_t at = 0, len; at < n; at += len) {
        dice = dice * 1103515245 + 12345;
        len = piece ? piece : (dice >> 16) % 40 + 1;
        len = len < n - at ? len : n - at;
        feed(&r, p + at, len);
    }
    if (s->eof) {
        wsk_http_feed_eof(r.http);
        take_events(&r);
    }
    read_out(&r);
    put(&r.events, &(uint8_t){wsk_http_done(r.http)}, 1);
    if (embedded)
        wsk__http_clear(r.http);
    else
        wsk_http_free(r.http);
    wsk__free(r.store);
    r.store = NULL;
    return r;
}

static void compare(const struct run *whole, const struct setting *s,
                    const uint8_t *p, size_t n, size_t piece, bool embedded)
{
    struct run r = run(s, p, n, piece, embedded);

    REQUIRE(r.events.len == whole->events.len);
    REQUIRE(memcmp(r.events.p, whole->events.p, r.events.len) == 0);
    REQUIRE(r.out.len == whole->out.len);
    REQUIRE(r.out.len == 0 || memcmp(r.out.p, whole->out.p, r.out.len) == 0);
    free(r.events.p);
    free(r.out.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct setting s = {.pieces = 1};
    struct run whole;

    if (size < SETTING_LEN)
        return 0;
    wsk_limits_init(&s.limits);
    if (data[0] & 1) {
        s.limits.max_request_line = 40 + (data[0] >> 4);
        s.limits.max_header_bytes = 100 + (data[0] >> 4);
        s.limits.max_headers = 5;
    }
    s.eof = data[0] & 4;
    s.early = data[0] & 8;
    if (s.early || data[0] & 2)
        s.limits.max_body = 20;
    s.pieces = data[1];
    data += SETTING_LEN;
    size -= SETTING_LEN;

    whole = run(&s, data, size, SIZE_MAX, false);
    compare(&whole, &s, data, size, SIZE_MAX, true);
    compare(&whole, &s, data, size, 1, false);
    compare(&whole, &s, data, size, 1, true);
    compare(&whole, &s, data, size, 0, false);
    compare(&whole, &s, data, size, 0, true);
    free(whole.events.p);
    free(whole.out.p);
    return 0;
}
