/* HTTP between the descriptor, the engine and the handler. */
#include "net/pump.h"

#include "base/mem.h"
#include "http/proxy.h"
#include "http/reply.h"
#include "net/admit.h"
#include "net/deadline.h"
#include "net/dispatch.h"
#include "net/log/access.h"
#include "net/loop.h"
#include "net/mount.h"
#include "net/parts.h"
#include "net/spill.h"
#include "net/static.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
    KEEP_OUT = 128 << 10, /* a larger block is not kept for the next answer */
    STREAMING_PART = 4,   /* of the threads one in so many may read a body that
                             the server could have buffered */
    SERVED_MAX = 32,      /* requests of one connection in one go */
};

/* ------------------------------------------------------------ life --- */

struct wsk__exchange *wsk__exchange_new(const wsk_limits *limits,
                                        const struct sockaddr_storage *peer,
                                        const struct wsk__address *local)
{
    struct wsk__exchange *h = wsk__calloc(sizeof(*h));

    if (h == NULL)
        return NULL;
    wsk__address_of(peer, &h->peer);
    h->local = *local;
    wsk__http_init(&h->http, limits);
    wsk__buf_init(&h->in, SIZE_MAX / 4);
    wsk__buf_init(&h->body, SIZE_MAX / 4);
    h->spill_fd = -1;
    return h;
}

void wsk__exchange_free(struct wsk__exchange *h)
{
    if (h == NULL)
        return;
    wsk__http_clear(&h->http);
    wsk__buf_free(&h->in);
    wsk__buf_free(&h->body);
    wsk__spill_clear(h);
    wsk__free(h->via);
    wsk__free(h);
}

/* ---------------------------------------------------------- output --- */

/* The queue of an engine with nothing to say borrows this thread's block, so
 * that an answer costs no allocation and an idle connection owns none. */
void wsk__http_lend_out(struct wsk__thread *th, struct wsk_conn *conn)
{
    struct wsk__buf *out = &conn->h->http.out;

    if (out->block == NULL) {
        size_t cap = out->cap;

        *out = th->spare_out;
        out->cap = cap;
        wsk__buf_init(&th->spare_out, SIZE_MAX / 4);
    }
}

static void return_out(struct wsk__thread *th, struct wsk__buf *out)
{
    if (wsk__buf_len(out) > 0)
        return;
    if (th != NULL && th->spare_out.block == NULL && out->size <= KEEP_OUT) {
        size_t cap = out->cap;

        th->spare_out = *out;
        wsk__buf_init(out, cap);
    } else {
        wsk__buf_free(out);
    }
}

uint64_t wsk__http_owed(const struct wsk_conn *conn)
{
    size_t queued;

    wsk_http_out_buf(&conn->h->http, &queued);
    return queued + conn->h->parts_owed;
}

static enum wsk__io flush_queue(struct wsk_conn *conn, int more)
{
    size_t len;
    const uint8_t *data;

    while ((data = wsk_http_out_buf(&conn->h->http, &len)) != NULL) {
        ssize_t n =
            send(conn->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL | more);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
            return WSK__IO_WAIT;
        if (n < 0)
            return WSK__IO_GONE;
        wsk_http_out_ack(&conn->h->http, (size_t)n);
        conn->since_ms = wsk__now_ms();
    }
    return WSK__IO_DONE;
}

/* A refusal of the engine's own is about to leave. One that a handler meets is
 * in the line of its request. */
static void tell_refusal(struct wsk_conn *conn, int status)
{
    const struct wsk_http *http = &conn->h->http;

    conn->h->told = true;
    if (!conn->h->called)
        wsk__access_refused(conn, status,
                            http->to_head ? 0 : wsk__reply_refusal_len(status));
}

static enum wsk__io flush(struct wsk__thread *th, struct wsk_conn *conn,
                          int more)
{
    int refused = wsk__http_refused(&conn->h->http);
    enum wsk__io io = WSK__IO_DONE;

    if (wsk__forked(conn->srv))
        return WSK__IO_GONE;
    if (refused != 0 && !conn->h->told)
        tell_refusal(conn, refused);
    if (conn->h->parts != NULL)
        io = wsk__parts_flush(conn);
    if (io == WSK__IO_DONE)
        io = flush_queue(conn, more);
    return_out(th, &conn->h->http.out);
    return io;
}

enum wsk__io wsk__http_flush(struct wsk__thread *th, struct wsk_conn *conn)
{
    return flush(th, conn, 0);
}

/* The leader's flush: what ends a connection leaves in one segment with the
 * end, which finish_connection() says at once. A reset says none. */
static enum wsk__io flush_in_turn(struct wsk__thread *th, struct wsk_conn *conn)
{
    bool ends = wsk_http_done(&conn->h->http) && !conn->h->reset;

    if (conn->h->http.out.block == NULL && conn->h->parts == NULL)
        return WSK__IO_DONE; /* as at the beginning of most turns */
    return flush(th, conn, ends ? MSG_MORE : 0);
}

/* ----------------------------------------------------------- input --- */

/* Body octets: a body that came in one piece stays where it is. */
static bool take_body(struct wsk_conn *conn, const uint8_t *data, size_t len)
{
    conn->h->body_len += len;
    if (!conn->h->head->chunked && wsk__buf_len(&conn->h->body) == 0 &&
        conn->h->body_view.len == 0 && len == conn->h->head->content_length) {
        conn->h->body_view = (wsk_str){(const char *)data, len};
        return true;
    }
    return wsk__buf_put(&conn->h->body, data, len);
}

static void out_of_memory(struct wsk_conn *conn)
{
    wsk__http_fail(&conn->h->http, 503);
}

/* Whether the handler shall decide if the body is wanted at all. A few may
 * read a body as it comes; slow clients that wait for a 100 (Continue) would
 * occupy one handler each otherwise. */
static bool may_stream(wsk_server *srv)
{
    unsigned part = srv->cfg.threads / STREAMING_PART;

    return srv->buffering == WSK__BUFFER_NEVER ||
           (srv->buffering == WSK__BUFFER_AUTO &&
            atomic_load(&srv->streaming) < (part > 0 ? part : 1));
}

static void count_streaming(struct wsk_conn *conn, bool streams)
{
    if (conn->h->streams == streams)
        return;
    conn->h->streams = streams;
    if (streams)
        atomic_fetch_add(&conn->srv->streaming, 1);
    else
        atomic_fetch_sub(&conn->srv->streaming, 1);
}

static enum wsk__feed begin_request(struct wsk_conn *conn, const wsk_head *head)
{
    conn->h->head = head;
    conn->h->failed = false;
    conn->h->body_done = false;
    conn->h->body_len = 0;
    conn->h->body_view = (wsk_str){NULL, 0};
    wsk__pace_begin(&conn->h->arrival, conn->since_ms);
    wsk__via_request(conn);
    if (!wsk__admits_host(conn)) { /* RFC 9110 15.5.20 */
        wsk__http_fail(&conn->h->http, 421);
        conn->h->failed = true;
        return WSK__FEED_OVER;
    }
    if (!wsk__mount_request(conn)) {
        wsk__http_fail(&conn->h->http, 404);
        conn->h->failed = true;
        return WSK__FEED_OVER;
    }
    if (!head->expect_continue)
        return WSK__FEED_MORE;
    if (may_stream(conn->srv))
        return WSK__FEED_READY;
    if (wsk_http_send_continue(&conn->h->http) != WSK_OK)
        out_of_memory(conn);
    return WSK__FEED_SAY;
}

static enum wsk__feed on_event(struct wsk_conn *conn, wsk_http_event ev)
{
    switch (ev.kind) {
    case WSK_HTTP_HEAD:
        return begin_request(conn, ev.head);
    case WSK_HTTP_DATA:
        if (conn->h->head == NULL) /* what is left of an answered request */
            return WSK__FEED_MORE;
        if (!take_body(conn, ev.data, ev.len)) {
            out_of_memory(conn);
            return WSK__FEED_MORE;
        }
        if (conn->h->called)
            return WSK__FEED_DATA;
        return wsk__spill_due(conn) ? WSK__FEED_SPILL : WSK__FEED_MORE;
    case WSK_HTTP_END:
        if (conn->h->head == NULL)
            return WSK__FEED_MORE;
        conn->h->body_done = true;
        return WSK__FEED_READY;
    case WSK_HTTP_FAILED:
        conn->h->failed = true;
        return WSK__FEED_OVER;
    case WSK_HTTP_NONE:
        break;
    }
    return WSK__FEED_MORE;
}

/* What was received and not fed outlives this thread's receive buffer. */
static bool keep_span(struct wsk__thread *th, struct wsk_conn *conn)
{
    size_t len = th->span.len;

    th->span.len = 0;
    return len == 0 || wsk__buf_put(&conn->h->in, th->span.p, len);
}

bool wsk__http_hold(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk_http_event ev;

    if (!keep_span(th, conn))
        return false;
    if (conn->h->head == NULL)
        return true;
    /* A head that is called for before its body has come may have the beginning
     * of the body behind it, still in the receive buffer. */
    while ((ev = wsk_http_next(&conn->h->http)).kind != WSK_HTTP_NONE)
        on_event(conn, ev);
    if (wsk__http_keep_head(&conn->h->http) != WSK_OK)
        return false;
    if (conn->h->body_view.len > 0) {
        if (!wsk__buf_put(&conn->h->body, conn->h->body_view.p,
                          conn->h->body_view.len))
            return false;
        conn->h->body_view.len = 0;
    }
    conn->h->head = wsk__http_head(&conn->h->http);
    wsk__buf_ack(&conn->h->in, conn->h->in_fed);
    conn->h->in_fed = 0;
    return true;
}

/* Octets into the engine: those that wait in conn->h->in first. NOTHING: there
 * are none. */
enum fed { FED_SOME, FED_NOTHING, FED_OVER };

static enum fed feed_waiting(struct wsk__thread *th, struct wsk_conn *conn)
{
    size_t used = 0;
    wsk_status st = WSK_OK;

    if (wsk__buf_len(&conn->h->in) > conn->h->in_fed) {
        st = wsk_http_feed(&conn->h->http,
                           wsk__buf_data(&conn->h->in) + conn->h->in_fed,
                           wsk__buf_len(&conn->h->in) - conn->h->in_fed, &used);
        conn->h->in_fed += used;
    } else if (th->span.len > 0) {
        st = wsk_http_feed(&conn->h->http, (const uint8_t *)th->span.p,
                           th->span.len, &used);
        th->span.p += used;
        th->span.len -= used;
    } else {
        return FED_NOTHING;
    }
    if (st == WSK_E_NOMEM)
        out_of_memory(conn);
    else if (st != WSK_OK)
        return FED_OVER;
    return used > 0 || st == WSK_E_NOMEM ? FED_SOME : FED_NOTHING;
}

/* Read once from the descriptor. */
static enum wsk__feed receive(struct wsk__thread *th, struct wsk_conn *conn)
{
    ssize_t n;

    if (!wsk__http_hold(th, conn)) {
        out_of_memory(conn);
        return WSK__FEED_DATA; /* the engine has something to say */
    }
    if (conn->h->head == NULL) {
        wsk__buf_ack(&conn->h->in, conn->h->in_fed);
        conn->h->in_fed = 0;
    }
    if (conn->eof)
        return WSK__FEED_OVER;
    if (conn->drained)
        return WSK__FEED_MORE;
    do
        n = recv(conn->fd, th->rx, WSK__RX_SIZE, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return WSK__FEED_MORE;
    if (n <= 0) {
        conn->eof = true;
        if (n == 0)
            wsk_http_feed_eof(&conn->h->http);
        return n == 0 ? WSK__FEED_DATA : WSK__FEED_OVER;
    }
    /* A short read has emptied the descriptor: what comes later is a new event
     * (an end that came along was seen as conn->hup). */
    conn->drained = (size_t)n < WSK__RX_SIZE && !conn->hup;
    th->span = (wsk_str){(const char *)th->rx, (size_t)n};
    conn->h->spoken = true;
    conn->since_ms = wsk__now_ms();
    if (conn->h->head != NULL || wsk__http_draining(&conn->h->http))
        wsk__pace_moved(&conn->h->arrival, conn->since_ms, (uint64_t)n,
                        conn->srv->cfg.body_rate);
    return WSK__FEED_DATA;
}

/* Whether the open request can be called with what has come so far. */
static bool is_ready(const struct wsk_conn *conn)
{
    return conn->h->head != NULL && !conn->h->called &&
           (conn->h->body_done || conn->srv->buffering == WSK__BUFFER_NEVER);
}

/* The header of the PROXY protocol, before all HTTP. DATA: it is through. A
 * peer that sends anything else is told nothing. */
static enum wsk__feed take_proxy(struct wsk__thread *th, struct wsk_conn *conn)
{
    enum wsk__feed got;

    for (;;) {
        if (!keep_span(th, conn))
            return WSK__FEED_OVER;
        switch (wsk__via_header(conn)) {
        case WSK__PROXY_OK:
            return WSK__FEED_DATA;
        case WSK__PROXY_BAD:
            wsk__limit_hit(conn->srv, WSK__LIMIT_PROXY);
            conn->eof = true;
            return WSK__FEED_OVER;
        }
        got = receive(th, conn);
        if (got != WSK__FEED_DATA)
            return got;
    }
}

static bool proxy_due(const struct wsk_conn *conn)
{
    return conn->h->via != NULL && conn->h->via->header_due;
}

enum wsk__feed wsk__http_feed_some(struct wsk__thread *th,
                                   struct wsk_conn *conn)
{
    enum wsk__feed got;

    if (proxy_due(conn) && (got = take_proxy(th, conn)) != WSK__FEED_DATA)
        return got;
    for (;;) {
        wsk_http_event ev = wsk_http_next(&conn->h->http);

        if (ev.kind != WSK_HTTP_NONE) {
            got = on_event(conn, ev);
            if (got != WSK__FEED_MORE)
                return got;
            continue;
        }
        if (wsk_http_done(&conn->h->http))
            return WSK__FEED_OVER;
        if (conn->h->head == NULL)
            wsk__http_lend(&conn->h->http, th->heads);
        switch (feed_waiting(th, conn)) {
        case FED_SOME:
            continue;
        case FED_OVER:
            return WSK__FEED_OVER;
        case FED_NOTHING:
            if (is_ready(conn))
                return WSK__FEED_READY;
            if (wsk__load_is_over(conn))
                return WSK__FEED_FULL;
            got = receive(th, conn);
            if (got != WSK__FEED_DATA)
                return got;
        }
    }
}

/* ------------------------------------------------------------ calls --- */

/* May this attempt become a WebSocket? Then a place is reserved for it. */
static wsk_ws_verdict judge_attempt(struct wsk_conn *conn)
{
    const wsk_server_config *cfg = &conn->srv->cfg;
    const wsk_head *head = conn->h->head;
    wsk_ws_verdict verdict = wsk_ws_judge(head, cfg->ws_allow_drafts);

    if (verdict.status != 101)
        return verdict;
    if (!wsk__admits_origin(conn)) {
        verdict.status = 403;
        verdict.reason = "pages of this origin may not open WebSockets here";
    } else if (!wsk__socket_reserve(conn->srv)) {
        wsk__limit_hit(conn->srv, WSK__LIMIT_PARKED);
        verdict.status = 503;
        verdict.reason = "too many WebSockets are open";
    }
    return verdict;
}

/* A WebSocket attempt that can be no WebSocket is answered here: no handler
 * needs to know why. What may be wrong with its version is told with the one we
 * speak (RFC 6455 4.2.2, 4.4). */
static bool refuse_attempt(struct wsk_conn *conn)
{
    static const wsk_header VERSION[] = {
        {{"Sec-WebSocket-Version", 21}, {"13", 2}},
        {{"Sec-WebSocket-Version", 21}, {"13, 8, 7", 8}}};
    static const wsk_header UPGRADE = {{"Upgrade", 7}, {"websocket", 9}};
    static const wsk_header ALLOW = {{"Allow", 5}, {"GET", 3}};
    static const wsk_header LATER = {{"Retry-After", 11}, {"1", 1}};
    wsk_header headers[3] = {{{"Content-Type", 12}, {"text/plain", 10}}};
    wsk_ws_verdict verdict = judge_attempt(conn);
    size_t n = 1;

    if (verdict.status == 101)
        return false;
    if (verdict.status == 426 || verdict.status == 400)
        headers[n++] = VERSION[conn->srv->cfg.ws_allow_drafts];
    if (verdict.status == 426)
        headers[n++] = UPGRADE;
    if (verdict.status == 405)
        headers[n++] = ALLOW;
    if (verdict.status == 503) /* 9110 15.6.4: it will pass */
        headers[n++] = LATER;
    if (wsk_http_send_head(&conn->h->http, verdict.status, NULL, headers, n,
                           strlen(verdict.reason)) != WSK_OK ||
        wsk_http_send_body(&conn->h->http, (const uint8_t *)verdict.reason,
                           strlen(verdict.reason)) != WSK_OK ||
        wsk_http_send_end(&conn->h->http) != WSK_OK)
        wsk__http_fail(&conn->h->http, 503);
    else
        wsk__access_refused(conn, verdict.status, strlen(verdict.reason));
    conn->h->failed = true;
    return true;
}

/* The answer is complete: forget the request. */
static void close_request(struct wsk_conn *conn)
{
    wsk__http_release(&conn->h->http);
    conn->h->failed |=
        !conn->h->body_done; /* what may still come is not read */
    conn->h->called = false;
    count_streaming(conn, false);
    conn->h->head_ms = 0;
    conn->h->head = NULL;
    conn->h->body_view = (wsk_str){NULL, 0};
    wsk__buf_free(&conn->h->body);
    wsk__spill_clear(conn->h);
    wsk__buf_ack(&conn->h->in, conn->h->in_fed);
    conn->h->in_fed = 0;
    if (wsk__buf_len(&conn->h->in) == 0)
        wsk__buf_free(&conn->h->in);
    wsk__load_account(conn);
    conn->since_ms = wsk__now_ms();
}

void wsk__http_set_date(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk__date_refresh(&th->date);
    wsk_http_set_date(&conn->h->http, th->date.text);
}

static void open_request(struct wsk__thread *th, struct wsk_conn *conn)
{
    th->span.len = 0; /* of another connection */
    th->req = (struct wsk_request){.conn = conn,
                                   .thread = th,
                                   .head = conn->h->head,
                                   .began = wsk__access_begin(conn->srv)};
    conn->h->called = true;
    wsk__http_lend_out(th, conn);
}

/* It has waited, but its client was told that it took too long, or has reset
 * the connection. A half-close alone says nothing (RFC 9112 9.6). */
static bool is_left_alone(wsk_request *req)
{
    if (!wsk__is_overdue(req->conn)) {
        if (!atomic_load(&req->conn->gone))
            return false;
        req->status = 499; /* for the log; so others call it, too */
    }
    req->aborted = true;
    return true;
}

static void answer_open(struct wsk__thread *th, wsk_request *req,
                        enum wsk__how how)
{
    wsk_server *srv = th->srv;

    if (how == WSK__CALL_FILE) {
        wsk__gate_leave(th);
        wsk__static_answer(srv->statics, req);
        return;
    }
    if (how == WSK__CALL_QUEUED) {
        wsk__http_set_date(th, req->conn);
        if (is_left_alone(req))
            return;
    }
    wsk__gate_enter(th);
    srv->handler(req, srv->user);
}

bool wsk__http_call(struct wsk__thread *th, struct wsk_conn *conn,
                    enum wsk__how how)
{
    wsk_server *srv = conn->srv;
    wsk_request *req = &th->req;
    bool attempt = conn->h->head->websocket;

    open_request(th, conn);
    answer_open(th, req, how);
    if (wsk__forked(srv))
        return false;
    if (attempt)
        wsk__socket_release(srv);
    if (conn->ws != NULL) {
        count_streaming(conn, false);
        wsk__ws_handler_done(conn);
        wsk__load_forget(conn);
        wsk__exchange_free(conn->h);
        conn->h = NULL;
        return true;
    }
    if (!req->finished)
        wsk__request_end(req);
    if (conn->taken) { /* by this thread; no octet of HTTP follows */
        wsk__http_cut(&conn->h->http);
        conn->h->failed = true;
    }
    /* What a streamed body brought along belongs to the next request. */
    if (!keep_span(th, conn))
        wsk__http_last(&conn->h->http);
    if (conn->h->parts != NULL) /* lent by this thread, which waits for it */
        wsk__http_flush(th, conn);
    wsk__parts_give_back(conn);
    if (conn->h->spill_fd >= 0) { /* freeing its blocks takes a while */
        wsk__gate_leave(th);
        wsk__http_flush(th, conn);
    }
    close_request(conn);
    return false;
}

static bool cannot_call(struct wsk_conn *conn)
{
    if (conn->h->head->websocket)
        wsk__socket_release(conn->srv);
    count_streaming(conn, false);
    out_of_memory(conn);
    conn->busy = false;
    return true;
}

void wsk__http_refuse(struct wsk__thread *th, struct wsk_conn *conn,
                      enum wsk__limit limit)
{
    wsk__http_set_date(th, conn);
    wsk__limit_hit(conn->srv, limit);
    cannot_call(conn);
}

/* Here and now, or not at all. */
static bool begin_call(struct wsk__thread *th, struct wsk_conn *conn,
                       enum wsk__how *how)
{
    *how = WSK__CALL_NOW;
    if (!wsk__static_is(conn->srv->statics, conn->h->head))
        return wsk__call_begin(th, conn);
    *how = WSK__CALL_FILE;
    wsk__call_begin_aside(th, conn);
    return true;
}

/* The leader has a request: make the call here, or queue it. False: the lead
 * was lost. */
static bool call_or_queue(struct wsk__thread *th, struct wsk_conn *conn)
{
    bool leads, upgraded;
    enum wsk__limit limit;
    enum wsk__how how;

    conn->busy = true;
    /* A body still to come is read by the handler into this thread's buffer;
     * what came behind the request is the next owner's. */
    if (conn->h->body_done ? !keep_span(th, conn) : !wsk__http_hold(th, conn))
        return cannot_call(conn);
    wsk__watch(conn, 0);
    if (!conn->h->body_done) {
        conn->h->away_ms = wsk__now_ms();
        count_streaming(conn, true);
    }
    wsk__overdue_arm(conn);
    if (!begin_call(th, conn, &how)) {
        if (!wsk__http_hold(th, conn))
            return cannot_call(conn);
        wsk__load_account(conn);
        limit = wsk__call_queue(conn->srv, conn);
        if (limit != WSK__LIMITS)
            wsk__http_refuse(th, conn, limit);
        else
            wsk__wait_arm(conn);
        return true;
    }
    upgraded = wsk__http_call(th, conn, how);
    leads = wsk__call_end(th);
    if (leads) {
        conn->busy = false;
    } else {
        if (!upgraded)
            wsk__http_flush(th, conn);
        wsk__post(conn, WSK__POST_RUN);
    }
    if (upgraded)
        wsk_conn_unref(conn);
    return leads;
}

static bool input_is_left(const struct wsk_conn *conn)
{
    char one;

    return conn->h->failed || wsk__buf_len(&conn->h->in) > 0 ||
           recv(conn->fd, &one, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Everything is said. Octets the peer sent in vain would turn a plain close
 * into a reset, which destroys what it has not read yet (RFC 9112 9.6). */
static void finish_connection(struct wsk_conn *conn)
{
    static const struct linger RESET = {.l_onoff = 1};

    if (conn->h->reset) /* only so can the client tell that its answer is cut */
        setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &RESET, sizeof(RESET));
    if (!conn->h->reset && !conn->eof && input_is_left(conn)) {
        wsk__conn_linger(conn);
        return;
    }
    /* What may still come unread makes close() a reset, and that forgets what
     * MSG_MORE holds back; but behind this the answer is on its way. */
    if (!conn->h->reset && !conn->eof)
        shutdown(conn->fd, SHUT_WR);
    wsk__conn_close(conn);
}

/* Nothing to read now. */
static void await_input(struct wsk_conn *conn)
{
    bool begun = wsk__http_head_begun(&conn->h->http);

    if (conn->srv->draining && conn->h->head == NULL && !begun) {
        wsk__conn_close(conn);
        return;
    }
    if (!begun)
        conn->h->head_ms = 0;
    else if (conn->h->head_ms == 0)
        conn->h->head_ms = wsk__now_ms();
    wsk__load_account(conn);
    wsk__watch(conn, WSK__READ);
    wsk__rearm(conn);
    if (!begun && conn->h->head == NULL)
        wsk__conn_rests(conn);
}

/* A peer that does not read gets no more requests read. */
static void await_reader(struct wsk_conn *conn, unsigned want)
{
    if (!conn->h->stalled)
        wsk__stall_begin(conn);
    conn->h->stalled = true;
    wsk__watch(conn, want);
    wsk__rearm(conn);
}

/* So much of a body has come that it must go to a file. True: the disk has it.
 */
static bool spill(struct wsk__thread *th, struct wsk_conn *conn)
{
    if (!wsk__http_hold(th, conn)) {
        out_of_memory(conn);
        return false;
    }
    wsk__watch(conn, 0);
    conn->h->away_ms = wsk__now_ms();
    wsk__load_account(conn);
    return wsk__spill_write(conn);
}

static void refuse_spilled(struct wsk_conn *conn)
{
    int status = wsk__spill_failed(conn);

    if (status == 0)
        return;
    conn->h->spill_errno = 0;
    wsk__http_fail(&conn->h->http, status);
}

/* The same as wsk__http_feed_some(), but who would become a WebSocket waits for
 * memory first. */
static enum wsk__feed feed(struct wsk__thread *th, struct wsk_conn *conn)
{
    enum wsk__feed got = wsk__http_feed_some(th, conn);

    return got == WSK__FEED_READY && conn->h->head->websocket &&
                   wsk__load_is_over(conn)
               ? WSK__FEED_FULL
               : got;
}

/* The usual end of a turn: all is answered, and a read would find nothing. */
static bool has_run_dry(const struct wsk__thread *th,
                        const struct wsk_conn *conn)
{
    return conn->drained && !conn->eof && th->span.len == 0 &&
           wsk__buf_len(&conn->h->in) == 0 && wsk__http_idle(&conn->h->http);
}

/* Before all is done: what it holds outlives this thread's receive buffer, or
 * the connection is closed. */
static bool turn_ends(struct wsk__thread *th, struct wsk_conn *conn)
{
    if (!wsk__http_hold(th, conn))
        wsk__conn_close(conn);
    return true;
}

static bool run(struct wsk__thread *th, struct wsk_conn *conn)
{
    for (int served = 0;; served++) {
        enum wsk__io io = flush_in_turn(th, conn);

        switch (io) {
        case WSK__IO_GONE:
            wsk__conn_close(conn);
            return true;
        case WSK__IO_WAIT:
        case WSK__IO_LATER:
            await_reader(conn, io == WSK__IO_WAIT ? WSK__WRITE : 0);
            return turn_ends(th, conn);
        case WSK__IO_DONE:
            conn->h->stalled = false;
            break;
        }
        if (served > 0 && has_run_dry(th, conn)) {
            await_input(conn);
            return true;
        }
        if (served == SERVED_MAX) { /* others have a turn, too */
            wsk__post(conn, WSK__POST_LOOK);
            return turn_ends(th, conn);
        }
        switch (feed(th, conn)) {
        case WSK__FEED_MORE:
            await_input(conn);
            return true;
        case WSK__FEED_OVER:
            if (flush_in_turn(th, conn) == WSK__IO_WAIT) {
                await_reader(conn, WSK__WRITE);
                return turn_ends(th, conn);
            }
            finish_connection(conn);
            return true;
        case WSK__FEED_FULL:
            wsk__load_wait(conn);
            return turn_ends(th, conn);
        case WSK__FEED_SAY:
            continue;
        case WSK__FEED_SPILL:
            if (spill(th, conn))
                return true;
            refuse_spilled(conn);
            continue;
        case WSK__FEED_DATA:
        case WSK__FEED_READY:
            if (conn->h->head->websocket && refuse_attempt(conn)) {
                close_request(conn);
                continue;
            }
            if (!call_or_queue(th, conn))
                return false;
            if (conn->busy)
                return true;
            if (conn->ws != NULL)
                return wsk__ws_serve(th, conn);
        }
    }
}

bool wsk__http_run(struct wsk__thread *th, struct wsk_conn *conn)
{
    bool leads;

    th->span.len = 0;
    if (atomic_load(&conn->h->at_disk)) {
        wsk__watch(conn, 0); /* it will be looked at again */
        return true;
    }
    wsk__http_set_date(th, conn);
    refuse_spilled(conn);
    wsk__arrival_resume(conn);
    leads = run(th, conn);
    /* What is left belongs to a connection that is over: never to the next
     * one that this thread has to do with. */
    th->span.len = 0;
    return leads;
}
