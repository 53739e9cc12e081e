#include "http/conn.h"

#include "base/ascii.h"
#include "base/mem.h"
#include "http/reply.h"

#include <assert.h>
#include <string.h>

enum input {
    INPUT_HEAD, /* awaiting a request; the union holds its first member */
    INPUT_BODY, /* a request is open, its body is arriving */
    INPUT_END,  /* the body is complete; further input waits for the answer */
    INPUT_OVER, /* no further input is taken */
};

enum answer {
    ANSWER_NONE, /* no request is open */
    ANSWER_DUE,
    ANSWER_BODY, /* the head has been queued */
    ANSWER_SENT, /* complete, but a handler still reads the request */
    ANSWER_DONE, /* complete, and no handler reads the request */
};

/* Events, in the order in which next() reports them. */
enum event {
    EVENT_HEAD = 1,
    EVENT_DATA = 2,
    EVENT_END = 4,
    EVENT_FAILED = 8,
};

enum {
    /* Bytes to read of a body that its answer did not wait for. Reading so much
     * costs less than a new connection; RFC 9112 9.3 permits both. */
    DRAIN_MAX = 256 * 1024,
    /* Bytes that are copied to the buffer of a partial head at once: the head
     * and a little more, but not the whole body behind it. */
    PIECE = 2048,
    /* Bytes kept of the line of a refused request, for a log. */
    LINE_KEPT = 1024,
};

/* The caller that queues data sees the length of the queue, and bounds it. */
static const size_t OUT_CAP = SIZE_MAX / 2;

/* An engine of wsk_http_new(), with the settings it points to. */
struct owned {
    struct wsk_http http;
    wsk_limits limits;
    struct wsk__head_store *store;
};

/* ------------------------------------------------------------ phases --- */

static void await_head(struct wsk_http *h)
{
    wsk__buf_init(&h->partial, wsk__head_cap(h->limits) + PIECE);
    h->scan = (struct wsk__head_scan){0};
    h->input = INPUT_HEAD;
    h->answer = ANSWER_NONE;
    h->events = 0;
    h->to_head = false;
    h->cut = false;
}

/* Turn the block of a partial head into the text of the request. */
static void leave_head(struct wsk_http *h)
{
    uint8_t *text = h->partial.block;

    h->text = text;
    h->run = NULL;
    h->run_len = 0;
    h->send_left = 0;
    h->body = (struct wsk__body_scan){0};
}

/* Free the head: the request is answered, or no handler will ask for it. */
static void release_head(struct wsk_http *h)
{
    wsk__free(h->text);
    h->text = NULL;
    if (h->kept) {
        wsk__free(h->store);
        h->store = NULL;
        h->kept = false;
    }
}

/* Take no further input. */
static void end_input(struct wsk_http *h)
{
    if (h->input == INPUT_HEAD) {
        wsk__buf_free(&h->partial);
        leave_head(h);
    }
    h->input = INPUT_OVER;
    h->keep_alive = false;
}

/* Fail the connection: every failure passes through here, and the first wins.
 * An answer that has begun goes on; a complete one is not affected by a fault
 * behind its request. */
static void fail(struct wsk_http *h, int status)
{
    struct wsk__reply refusal = {
        .status = status,
        .date = h->limits->date_header ? h->date : NULL,
        .server = h->limits->server_header,
        .hsts = h->hsts,
        .to_head = h->to_head,
    };

    if (h->input == INPUT_OVER)
        return;
    end_input(h);
    if (h->answer >= ANSWER_SENT)
        return;
    h->status = (uint16_t)status;
    h->events |= EVENT_FAILED;
    if (h->answer == ANSWER_BODY)
        return;
    wsk__reply_refusal(&h->out, &refusal);
    h->answer = h->answer == ANSWER_DUE ? ANSWER_SENT : ANSWER_DONE;
}

/* End the answer. The rest of the request's body is discarded if that is
 * cheaper than a new connection. */
static void end_answer(struct wsk_http *h)
{
    h->answer = ANSWER_SENT;
    h->events &= EVENT_FAILED;
    h->drain = DRAIN_MAX;
    if (!h->keep_alive || h->eof || h->upgraded || h->body.left > h->drain)
        end_input(h);
    if (h->owner)
        wsk__http_release(h);
}

/* ------------------------------------------------------------- input --- */

/* True if the text begins a HEAD request: its refusal must have no body, even
 * if only half of it was read. */
static bool is_to_head(const uint8_t *text, size_t len)
{
    size_t at = 0;

    while (at < WSK__BLANK_MAX && len - at >= 2 &&
           memcmp(text + at, "\r\n", 2) == 0)
        at += 2;
    return len - at >= 5 && memcmp(text + at, "HEAD ", 5) == 0;
}

/* Copy the line that a request begins with; owned by the caller. NULL when
 * memory is out, or there is no line. */
static uint8_t *copy_line(const uint8_t *text, size_t len, size_t *n)
{
    size_t at = 0;

    *n = 0;
    while (at < len && (text[at] == '\r' || text[at] == '\n'))
        at++;
    while (*n < LINE_KEPT && at + *n < len && text[at + *n] != '\r' &&
           text[at + *n] != '\n')
        ++*n;
    return *n > 0 ? wsk__memdup(text + at, *n) : NULL;
}

/* Replace the head by its first line: the input has ended. */
static void keep_line(struct wsk_http *h, uint8_t *line, size_t n)
{
    wsk__free(h->text);
    h->text = line;
    h->run = line;
    h->run_len = line != NULL ? n : 0;
}

/* Refuse a head that is bad, or is not awaited any longer. */
static void fail_head(struct wsk_http *h, const uint8_t *text, size_t len,
                      int status)
{
    size_t n;
    uint8_t *line = copy_line(text, len, &n);

    h->to_head = is_to_head(text, len);
    fail(h, status);
    keep_line(h, line, n);
}

static void open_request(struct wsk_http *h)
{
    const wsk_head *head = &h->store->head;
    int status;

    leave_head(h);
    h->input = INPUT_BODY;
    h->to_head = wsk__str_is(head->method, "HEAD");
    status = wsk__body_scan_begin(&h->body, head, h->limits);
    if (status != 0) {
        fail(h, status);
        return;
    }
    h->answer = ANSWER_DUE;
    h->keep_alive = head->keep_alive;
    h->wants_100 = head->expect_continue;
    h->events = EVENT_HEAD;
    if (wsk__body_scan_done(&h->body)) {
        h->input = INPUT_END;
        h->events |= EVENT_END;
    }
}

/* Open the request whose head was found. `in_place`: the head lies in the
 * caller's bytes. A program that embeds the engine keeps those; an engine that
 * stands alone makes a copy. */
static wsk_status take_over(struct wsk_http *h, bool in_place)
{
    uint8_t *text = NULL;

    if (h->owner && in_place) {
        text = wsk__memdup(h->store->head.method.p, h->store->len);
        if (text == NULL) {
            h->scan = (struct wsk__head_scan){0};
            return WSK_E_NOMEM;
        }
        wsk__head_rebase(h->store, (char *)text);
    }
    open_request(h);
    if (text != NULL)
        h->text = text;
    if (h->input == INPUT_OVER) { /* the framing is refused */
        size_t n;

        text = copy_line((const uint8_t *)h->store->head.method.p,
                         h->store->len, &n);
        keep_line(h, text, n);
    }
    return WSK_OK;
}

static wsk_status take_head(struct wsk_http *h, const uint8_t *data, size_t len,
                            size_t *used)
{
    size_t had = wsk__buf_len(&h->partial), head_len = 0;
    const uint8_t *text = data;
    int status = 0;

    if (had > 0) {
        len = len < PIECE ? len : PIECE;
        if (!wsk__buf_put(&h->partial, data, len))
            return WSK_E_NOMEM;
        text = wsk__buf_data(&h->partial);
    }
    *used = len;
    switch (wsk__head_parse((const char *)text, had + len, &h->scan, h->limits,
                            h->store, &head_len, &status)) {
    case WSK__HEAD_PARTIAL:
        if (had > 0 || wsk__buf_put(&h->partial, data, len))
            return WSK_OK;
        h->scan = (struct wsk__head_scan){0};
        return WSK_E_NOMEM;
    case WSK__HEAD_BAD:
        fail_head(h, text, had + len, status);
        return WSK_OK;
    case WSK__HEAD_OK:
        *used = head_len - had;
        break;
    }
    return take_over(h, had == 0);
}

static void take_body(struct wsk_http *h, const uint8_t *data, size_t len,
                      size_t *used)
{
    bool draining = h->answer >= ANSWER_SENT;
    int status = 0;

    switch (wsk__body_scan_take(&h->body, h->limits, data, len, used, &h->run,
                                &h->run_len, &status)) {
    case WSK__BODY_BAD:
        fail(h, status);
        return;
    case WSK__BODY_DATA:
        if (!draining)
            h->events |= EVENT_DATA;
        break;
    case WSK__BODY_MORE:
    case WSK__BODY_DONE:
        break;
    }
    h->wants_100 = false; /* RFC 9110 10.1.1: not waited for */
    if (draining) {
        if (*used > h->drain || h->body.left > h->drain - *used) {
            end_input(h);
            return;
        }
        h->drain -= (uint32_t)*used;
    }
    if (!wsk__body_scan_done(&h->body))
        return;
    h->input = INPUT_END;
    if (!draining)
        h->events |= EVENT_END;
    else if (h->answer == ANSWER_DONE)
        await_head(h);
}

/* True if more input may be taken: one event at a time, but a head and the body
 * behind it may be reported after one call. Not with chunks: they may be
 * malformed, and an application that answers on the head alone must get the
 * chance first, however the octets were cut. */
static bool may_take_more(const struct wsk_http *h)
{
    return h->events == 0 ||
           (h->events == EVENT_HEAD && !h->store->head.chunked);
}

wsk_status wsk_http_feed(wsk_http *h, const uint8_t *data, size_t len,
                         size_t *used)
{
    wsk_status st = WSK_OK;

    *used = 0;
    assert(!h->eof);
    if (h->input == INPUT_OVER || h->eof)
        return WSK_E_STATE;
    while (st == WSK_OK && *used < len && may_take_more(h)) {
        size_t n = 0;

        switch ((enum input)h->input) {
        case INPUT_HEAD:
            assert(h->store != NULL);
            if (h->store == NULL)
                return WSK_E_STATE;
            st = take_head(h, data + *used, len - *used, &n);
            break;
        case INPUT_BODY:
            take_body(h, data + *used, len - *used, &n);
            break;
        case INPUT_END:
        case INPUT_OVER:
            return WSK_OK;
        }
        if (st == WSK_OK)
            *used += n;
    }
    return st;
}

void wsk_http_feed_eof(wsk_http *h)
{
    h->eof = true;
    switch ((enum input)h->input) {
    case INPUT_HEAD:
        if (wsk__http_head_begun(h))
            wsk__http_fail(h, 400);
        else
            end_input(h);
        break;
    case INPUT_BODY:
        fail(h, 400); /* RFC 9112 8: never to be taken for the whole body */
        break;
    case INPUT_END: /* the answer is sent even after a half-close */
    case INPUT_OVER:
        break;
    }
}

wsk_http_event wsk_http_next(wsk_http *h)
{
    wsk_http_event ev = {.kind = WSK_HTTP_NONE};

    if (h->events & EVENT_HEAD) {
        h->events &= (uint8_t)~EVENT_HEAD;
        ev.kind = WSK_HTTP_HEAD;
        ev.head = &h->store->head;
    } else if (h->events & EVENT_DATA) {
        h->events &= (uint8_t)~EVENT_DATA;
        ev.kind = WSK_HTTP_DATA;
        ev.data = h->run;
        ev.len = h->run_len;
    } else if (h->events & EVENT_END) {
        h->events &= (uint8_t)~EVENT_END;
        ev.kind = WSK_HTTP_END;
    } else if (h->events & EVENT_FAILED) {
        h->events &= (uint8_t)~EVENT_FAILED;
        ev.kind = WSK_HTTP_FAILED;
        ev.status = h->status;
    }
    return ev;
}

/* ------------------------------------------------------------ answer --- */

wsk_status wsk_http_send_continue(wsk_http *h)
{
    static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (h->answer != ANSWER_DUE || h->input != INPUT_BODY || !h->wants_100)
        return WSK_OK;
    if (!wsk__buf_put(&h->out, CONTINUE, sizeof CONTINUE - 1))
        return WSK_E_NOMEM;
    h->wants_100 = false;
    return WSK_OK;
}

wsk_status wsk_http_send_hints(wsk_http *h, const wsk_header *headers, size_t n)
{
    if (h->answer != ANSWER_DUE)
        return WSK_E_STATE;
    if (h->store->head.http10) /* RFC 9110 15.2: HTTP/1.0 knows no 1xx */
        return WSK_OK;
    return wsk__reply_hints(&h->out, headers, n);
}

/* True if the connection may stay open after an answer with `status`. */
static bool may_keep_alive(const struct wsk_http *h, int status)
{
    /* RFC 6455 4.1: frames may already follow an attempted handshake. */
    if (h->store->head.websocket && status != 101)
        return false;
    /* RFC 9110 10.1.1: the client may now send the body or the next request,
     * and the octets do not tell which. */
    if (h->wants_100 && h->input == INPUT_BODY)
        return false;
    return h->keep_alive && !h->eof;
}

wsk_status wsk_http_send_head(wsk_http *h, int status, const char *reason,
                              const wsk_header *headers, size_t n,
                              uint64_t length)
{
    struct wsk__reply reply = {
        .status = status,
        .reason = reason,
        .headers = headers,
        .n = n,
        .length = length,
        .date = h->limits->date_header ? h->date : NULL,
        .server = h->limits->server_header,
        .hsts = h->hsts,
        .to_head = h->to_head,
    };
    wsk_status st;

    if (h->answer != ANSWER_DUE)
        return WSK_E_STATE;
    if (status == 101 && h->input != INPUT_END)
        return WSK_E_STATE;
    if (status == 101 && h->store->head.http10) /* 9110 7.8 */
        return WSK_E_ARG;
    reply.http10 = h->store->head.http10;
    reply.keep_alive = may_keep_alive(h, status);
    st = wsk__reply_head(&h->out, &reply);
    if (st != WSK_OK)
        return st;
    h->answer = ANSWER_BODY;
    h->framing = (uint8_t)reply.framing;
    h->send_left = reply.length;
    h->keep_alive = reply.keep_alive;
    h->upgraded = status == 101;
    return WSK_OK;
}

size_t wsk__http_admit_body(struct wsk_http *h, size_t len)
{
    if (h->answer != ANSWER_BODY)
        return 0;
    switch ((enum wsk__framing)h->framing) {
    case WSK__FRAMING_NONE:
        return 0;
    case WSK__FRAMING_LENGTH:
        if (len > h->send_left) {
            len = (size_t)h->send_left;
            h->cut = true;
        }
        h->send_left -= len;
        return len;
    case WSK__FRAMING_CHUNKED:
        return SIZE_MAX;
    case WSK__FRAMING_CLOSE:
        return len;
    }
    return 0;
}

wsk_status wsk_http_send_body(wsk_http *h, const uint8_t *data, size_t len)
{
    uint64_t left = h->send_left;
    size_t n;

    if (h->answer != ANSWER_BODY)
        return WSK_E_STATE;
    if (len == 0) /* an empty chunk would be the last one (9112 7.1) */
        return WSK_OK;
    n = wsk__http_admit_body(h, len);
    if (n == SIZE_MAX)
        return wsk__reply_chunk(&h->out, data, len) ? WSK_OK : WSK_E_NOMEM;
    if (wsk__buf_put(&h->out, data, n))
        return WSK_OK;
    h->send_left = left;
    return WSK_E_NOMEM;
}

wsk_status wsk_http_send_end(wsk_http *h)
{
    bool wrong = h->cut;

    if (h->answer != ANSWER_BODY)
        return WSK_E_STATE;
    if (h->framing == WSK__FRAMING_CHUNKED && !wsk__reply_last_chunk(&h->out))
        return WSK_E_NOMEM;
    if (h->framing == WSK__FRAMING_LENGTH && h->send_left > 0) {
        wrong = true;
        h->keep_alive = false; /* RFC 9112 8: so that the client can tell */
    }
    end_answer(h);
    return wrong ? WSK_E_ARG : WSK_OK;
}

void wsk_http_set_date(wsk_http *h, const char *date)
{
    h->date = date;
}

const uint8_t *wsk_http_out_buf(const wsk_http *h, size_t *len)
{
    *len = wsk__buf_len(&h->out);
    return *len > 0 ? wsk__buf_data(&h->out) : NULL;
}

void wsk_http_out_ack(wsk_http *h, size_t n)
{
    assert(n <= wsk__buf_len(&h->out));
    wsk__buf_ack(&h->out, n);
    /* A server lends the block and takes it back; an engine of wsk_http_new()
     * must free it itself. */
    if (h->owner && wsk__buf_len(&h->out) == 0)
        wsk__buf_free(&h->out);
}

bool wsk_http_done(const wsk_http *h)
{
    return h->input == INPUT_OVER && h->answer != ANSWER_BODY && !h->upgraded;
}

/* -------------------------------------------------------- the server --- */

void wsk__http_init(struct wsk_http *h, const wsk_limits *limits)
{
    *h = (struct wsk_http){.limits = limits};
    wsk__buf_init(&h->out, OUT_CAP);
    await_head(h);
}

void wsk__http_clear(struct wsk_http *h)
{
    end_input(h);
    release_head(h);
    h->answer = ANSWER_DONE;
    wsk__buf_free(&h->out);
}

size_t wsk__http_partial_size(const struct wsk_http *h)
{
    return h->input == INPUT_HEAD ? h->partial.size : 0;
}

bool wsk__http_draining(const struct wsk_http *h)
{
    return h->input == INPUT_BODY && h->answer == ANSWER_DONE;
}

void wsk__http_lend(struct wsk_http *h, struct wsk__head_store *store)
{
    if (h->input == INPUT_HEAD || wsk__http_draining(h))
        h->store = store;
}

wsk_status wsk__http_keep_head(struct wsk_http *h)
{
    struct wsk__head_store *copy;

    if (wsk__http_head(h) == NULL)
        return WSK_E_STATE;
    if (h->kept || h->owner)
        return WSK_OK;
    copy = wsk__head_copy(h->store);
    if (copy == NULL)
        return WSK_E_NOMEM;
    h->store = copy;
    h->kept = true;
    wsk__free(h->text);
    h->text = NULL;
    return WSK_OK;
}

const wsk_head *wsk__http_head(const struct wsk_http *h)
{
    bool open = h->answer == ANSWER_DUE || h->answer == ANSWER_BODY ||
                h->answer == ANSWER_SENT;

    return open ? &h->store->head : NULL;
}

const char *wsk__http_head_text(const struct wsk_http *h, size_t *len)
{
    *len = h->store->len;
    return h->store->head.method.p;
}

bool wsk__http_head_begun(const struct wsk_http *h)
{
    return h->input == INPUT_HEAD &&
           (h->scan.fields > 0 || h->scan.at > h->scan.line);
}

bool wsk__http_idle(const struct wsk_http *h)
{
    return h->input == INPUT_HEAD && h->events == 0 && !wsk__http_head_begun(h);
}

void wsk__http_release(struct wsk_http *h)
{
    if (h->answer != ANSWER_SENT || h->upgraded)
        return;
    release_head(h);
    h->answer = ANSWER_DONE;
    if (h->input == INPUT_END)
        await_head(h);
}

void wsk__http_last(struct wsk_http *h)
{
    h->keep_alive = false;
}

void wsk__http_cut(struct wsk_http *h)
{
    end_input(h);
    h->answer = ANSWER_SENT;
}

void wsk__http_fail(struct wsk_http *h, int status)
{
    if (h->input == INPUT_HEAD)
        fail_head(h, wsk__buf_data(&h->partial), wsk__buf_len(&h->partial),
                  status);
    else
        fail(h, status);
}

int wsk__http_refused(const struct wsk_http *h)
{
    return h->status;
}

wsk_str wsk__http_refused_line(const struct wsk_http *h)
{
    if (h->input != INPUT_OVER || h->text == NULL || h->run != h->text)
        return (wsk_str){"", 0};
    return (wsk_str){(const char *)h->run, h->run_len};
}

void wsk__http_upgraded(struct wsk_http *h)
{
    h->upgraded = true;
    h->answer = ANSWER_SENT;
    end_input(h);
}

/* --------------------------------------------------------- by itself --- */

wsk_http *wsk_http_new(const wsk_limits *limits)
{
    struct owned *o = wsk__calloc(sizeof *o);

    if (o == NULL)
        return NULL;
    if (limits != NULL)
        o->limits = *limits;
    else
        wsk_limits_init(&o->limits);
    o->store = wsk__head_store_new(&o->limits);
    if (o->store == NULL) {
        wsk__free(o);
        return NULL;
    }
    wsk__http_init(&o->http, &o->limits);
    o->http.owner = true;
    o->http.store = o->store;
    return &o->http;
}

void wsk_http_free(wsk_http *h)
{
    struct owned *o = (struct owned *)(void *)h;

    if (h == NULL)
        return;
    wsk__http_clear(h);
    wsk__free(o->store);
    wsk__free(o);
}
