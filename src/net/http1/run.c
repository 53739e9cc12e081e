#include "net/http1/run.h"

#include "base/buf.h"
#include "http/conn.h"
#include "net/bridge/bridge.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/drain.h"
#include "net/conn/protocol.h"
#include "net/dispatch/call.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/dispatch.h"
#include "net/dispatch/gate.h"
#include "net/dispatch/thread.h"
#include "net/http1/answer.h"
#include "net/http1/deadline.h"
#include "net/http1/exchange.h"
#include "net/http1/input.h"
#include "net/http1/load.h"
#include "net/http1/output.h"
#include "net/http1/thread.h"
#include "net/log/access.h"
#include "net/log/limits.h"
#include "net/log/metrics.h"
#include "net/loop/loop.h"
#include "net/loop/source.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/locks.h"
#include "net/os/poller.h"
#include "net/os/stream.h"
#include "net/request/body.h"
#include "net/request/body_file.h"
#include "net/request/builtin.h"
#include "net/request/call.h"
#include "net/request/redirect.h"
#include "net/request/request.h"
#include "net/request/segments.h"
#include "net/request/site.h"
#include "net/request/timeout.h"
#include "net/request/upgrade.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <string.h>

enum {
    SERVED_MAX = 32, /* requests of one connection in one turn */
};

static void refuse(struct wsk__thread *th, struct wsk__conn *conn, int status)
{
    wsk__http_set_date(th, conn);
    wsk__http_fail(&conn->h->http, status);
    wsk__http_flush(th, conn);
    /* The connection lingers; its memory need not. */
    wsk__buf_free(&conn->h->body.buf);
    wsk__buf_free(&conn->h->in);
    conn->h->in_fed = 0;
    wsk__load_forget(conn);
    wsk__conn_linger(conn);
}

wsk__leads wsk__http_expired(struct wsk__thread *th, struct wsk__conn *conn)
{
    struct wsk__exchange *h = conn->h;

    if (h->memory_ms != 0 && wsk__load_is_past(conn)) {
        wsk__limit_hit(conn->conns->logs, WSK__LIMIT_MEMORY);
        refuse(th, conn, 503);
    } else if (h->memory_ms != 0) {
        h->memory_ms = 0;
        return wsk__http_run(th, conn);
    } else if (h->stalled) {
        if (wsk__stall_is_too_long(conn))
            wsk__conn_close(conn);
        else
            wsk__rearm(conn);
    } else if (h->head != NULL || wsk__head_has_begun(conn)) {
        refuse(th, conn, 408);
    } else if (wsk__stream_peek(&conn->stream)) {
        /* A request has come of which the poller has not told yet. */
        wsk__conn_expect_input(conn);
        return wsk__http_run(th, conn);
    } else {
        /* A connection without a byte of a request ends in silence: browsers
         * open some ahead of time, and would take a 408 for an answer. */
        wsk__conn_close(conn);
    }
    return true;
}

/* Return when a client may try again (RFC 9110 15.6.4): soon, or, when the
 * server leaves, not all at once. */
static wsk_str retry_after(const struct wsk__conn *conn)
{
    static const char DIGITS[] = "12345";

    return (wsk_str){
        DIGITS + (conn->conns->draining ? wsk__drain_retry_s(conn) - 1 : 0), 1};
}

/* Queue an answer of ours that is a text. */
static bool answer_text(struct wsk__conn *conn, int status,
                        const wsk_header *headers, size_t n, const char *text)
{
    struct wsk_http *http = &conn->h->http;
    size_t len = strlen(text);

    if (wsk_http_send_head(http, status, NULL, headers, n, len) != WSK_OK ||
        wsk_http_send_body(http, (const uint8_t *)text, len) != WSK_OK ||
        wsk_http_send_end(http) != WSK_OK)
        return false;
    wsk__http_log_refusal(conn, status, http->to_head ? 0 : len);
    return true;
}

/* Answer an attempt that can be no WebSocket: no handler needs to know why.
 * Name our versions where its own may be wrong (RFC 6455 4.2.2, 4.4). */
static bool refuse_attempt(struct wsk__conn *conn)
{
    static const wsk_header VERSION[] = {
        {{"Sec-WebSocket-Version", 21}, {"13", 2}},
        {{"Sec-WebSocket-Version", 21}, {"13, 8, 7", 8}}};
    static const wsk_header UPGRADE = {{"Upgrade", 7}, {"websocket", 9}};
    static const wsk_header ALLOW = {{"Allow", 5}, {"GET", 3}};
    wsk_header headers[3] = {{{"Content-Type", 12}, {"text/plain", 10}}};
    wsk_ws_verdict verdict;
    size_t n = 1;

    if (!conn->h->head->websocket ||
        conn->admin) /* there it is a request like others */
        return false;
    verdict = wsk__upgrade_judge(conn->conns, conn->h->head, &conn->h->ends);
    if (verdict.status == 101)
        return false;
    if (verdict.status == 426 || verdict.status == 400)
        headers[n++] = VERSION[conn->conns->cfg->ws_allow_drafts];
    if (verdict.status == 426)
        headers[n++] = UPGRADE;
    if (verdict.status == 405)
        headers[n++] = ALLOW;
    if (verdict.status == 503)
        headers[n++] = (wsk_header){{"Retry-After", 11}, retry_after(conn)};
    if (!answer_text(conn, verdict.status, headers, n, verdict.reason))
        wsk__http_fail(&conn->h->http, 503);
    conn->h->failed = true;
    return true;
}

/* Lead the request to https (RFC 9110 15.4.9: with its method and body), and
 * end the connection, which will not be needed again. */
static bool redirect(struct wsk__conn *conn)
{
    struct wsk__buf url;
    wsk_header fields[] = {{{"Location", 8}, {NULL, 0}},
                           {{"Content-Type", 12}, {"text/plain", 10}}};

    if (!conn->h->redirected)
        return false;
    wsk__buf_init(&url, SIZE_MAX / 4);
    wsk__http_last(&conn->h->http);
    if (wsk__redirect_location(&url, conn->h->head, conn->conns->https_port)) {
        fields[0].value.p = (const char *)wsk__buf_data(&url);
        fields[0].value.len = wsk__buf_len(&url);
    }
    if (fields[0].value.len == 0 ||
        !answer_text(conn, 308, fields, 2, "308 use https\n"))
        wsk__http_fail(&conn->h->http, 503);
    wsk__buf_free(&url);
    return true;
}

/* Forget the request: its answer is complete. */
static void close_request(struct wsk__conn *conn)
{
    wsk__http_release(&conn->h->http);
    conn->h->failed |=
        !conn->h->body.done; /* the rest of the body is not read */
    conn->h->called = false;
    wsk__http_count_streaming(conn, false);
    conn->h->head_ms = 0;
    conn->h->head = NULL;
    wsk__body_free(&conn->h->body);
    wsk__buf_ack(&conn->h->in, conn->h->in_fed);
    conn->h->in_fed = 0;
    if (wsk__buf_len(&conn->h->in) == 0)
        wsk__buf_free(&conn->h->in);
    wsk__load_account(conn);
    conn->since_ms = wsk__now_ms();
}

/* Return the time at which a request begins; 0: it is not asked for. Leader:
 * once the call has begun, the lead may be another thread's. */
static uint64_t begin_clock(const struct wsk__conns *conns)
{
    return conns->metrics != NULL
               ? wsk__metrics_now(conns->metrics, conns->loop->turn)
               : wsk__access_begin(conns->logs);
}

static void open_request(struct wsk__thread *th, struct wsk__conn *conn,
                         uint64_t began_ns)
{
    th->span.len = 0; /* another connection's */
    wsk__http1_of(th)->req = (struct wsk_request){.ops = &wsk__http1_answer,
                                                  .cfg = conn->conns->cfg,
                                                  .conn = conn,
                                                  .thread = th,
                                                  .ends = &conn->h->ends,
                                                  .body = &conn->h->body,
                                                  .head = conn->h->head,
                                                  .began = began_ns};
    conn->h->called = true;
    wsk__http_lend_out(th, conn);
}

/* Give back HTTP's share of a connection that speaks another protocol now, and
 * whose handler has returned. */
static void leave_http(struct wsk__conn *conn, wsk_request *req)
{
    wsk__http_count_streaming(conn, false);
    if (req->ws != NULL)
        wsk__upgrade_done(req);
    wsk__load_forget(conn);
    wsk__exchange_free(conn->h, conn->conns->dispatch);
    conn->h = NULL;
    if (req->ws == NULL)
        wsk__bridge_handler_done(conn);
}

/* Answer the open request; the caller flushes what is left of the answer. True:
 * the connection has become a WebSocket, and the caller has a reference to give
 * up once the loop knows. */
static bool answer_request(struct wsk__thread *th, struct wsk__conn *conn,
                           const struct wsk__builtin *builtin,
                           uint64_t began_ns, bool queued)
{
    struct wsk__conns *conns = conn->conns;
    wsk_request *req = &wsk__http1_of(th)->req;
    bool attempt = conn->h->head->websocket && !conn->admin;

    open_request(th, conn, began_ns);
    if (queued) /* by another thread than before */
        wsk__http_set_date(th, conn);
    wsk__request_answer(th, req, builtin, queued);
    if (wsk__forked(conns->life))
        return false;
    if (attempt)
        wsk__socket_release(conns->dispatch);
    if (req->ws != NULL) {
        leave_http(conn, req);
        return true;
    }
    if (!req->finished)
        wsk__request_end(req);
    if (conn->detached && wsk__conn_ops(conn) == &wsk__bridge_protocol) {
        leave_http(conn, req);
        return true;
    }
    if (conn->detached) { /* by this thread; no byte of HTTP follows */
        wsk__http_cut(&conn->h->http);
        conn->h->failed = true;
    }
    /* Input behind a streamed body belongs to the next request. */
    if (!wsk__http_keep_span(th, conn))
        wsk__http_last(&conn->h->http);
    if (conn->h->segments.first !=
        NULL) /* lent by this thread, which waits for it */
        wsk__http_flush(th, conn);
    wsk__segments_give_back(&conn->h->segments);
    if (conn->h->body.file.fd >= 0) { /* freeing its blocks takes a while */
        wsk__gate_leave(th);
        wsk__http_flush(th, conn);
    }
    close_request(conn);
    return false;
}

enum called {
    CALL_DONE,     /* the request is answered, or refused */
    CALL_UPGRADED, /* the connection has another protocol now */
    CALL_QUEUED,
    CALL_LOST, /* and so was the lead */
};

/* Refuse a request that memory is out for. */
static enum called cannot_call(struct wsk__conn *conn)
{
    if (conn->h->head->websocket && !conn->admin)
        wsk__socket_release(conn->conns->dispatch);
    wsk__http_count_streaming(conn, false);
    wsk__http_out_of_memory(conn);
    conn->busy = false;
    return CALL_DONE;
}

void wsk__http_refuse(struct wsk__thread *th, struct wsk__conn *conn,
                      enum wsk__limit limit)
{
    wsk__http_set_date(th, conn);
    wsk__limit_hit(conn->conns->logs, limit);
    cannot_call(conn);
}

/* Begin a call in this thread. False: it must be queued. */
static bool begin_call(struct wsk__thread *th, struct wsk__conn *conn,
                       const struct wsk__builtin **builtin)
{
    const struct wsk__site *site = conn->conns->site;

    *builtin = conn->admin ? &site->admin
                           : wsk__builtin_for(&site->builtins, conn->h->head);
    if (*builtin == NULL)
        return wsk__call_begin(th, &conn->call);
    wsk__call_begin_aside(th, &conn->call);
    return true;
}

/* Queue the call of a request: it cannot be made here. */
static enum called queue_call(struct wsk__thread *th, struct wsk__conn *conn,
                              uint64_t began_ns)
{
    enum wsk__limit limit;

    if (!wsk__http_retain(th, conn))
        return cannot_call(conn);
    wsk__load_account(conn);
    conn->h->queued_ns = began_ns;
    limit = wsk__call_queue(conn->conns->dispatch, &conn->call);
    if (limit != WSK__NO_LIMIT) {
        wsk__http_refuse(th, conn, limit);
        return CALL_DONE;
    }
    wsk__wait_arm(conn);
    return CALL_QUEUED;
}

/* Count the answer that this thread has given to its last request, whose head
 * was complete then. */
static void count_answer(struct wsk__thread *th, uint64_t head_ns,
                         wsk__leads leads, bool called)
{
    uint64_t now_ns = wsk__now_ns(); /* first: few values outlive the call */
    struct wsk__metrics *metrics = th->dispatch->metrics;
    const wsk_request *req = &wsk__http1_of(th)->req;

    if (req->status == 0 || req->conn->admin) /* 0: the client is gone */
        return;
    if (leads)
        wsk__count_answer(metrics, req->status, head_ns, now_ns, req->sent,
                          called);
    else
        wsk__count_late_answer(metrics, req->status, now_ns - head_ns,
                               req->sent, called);
}

/* Call the handler of a request here, or queue the call. */
static enum called call_or_queue(struct wsk__thread *th, struct wsk__conn *conn)
{
    const struct wsk__builtin *builtin;
    uint64_t began_ns;
    wsk__leads leads;
    bool upgraded;

    conn->busy = true;
    /* The handler reads a body still to come into this thread's buffer; input
     * behind the request is for the next owner. */
    if (conn->h->body.done ? !wsk__http_keep_span(th, conn)
                           : !wsk__http_retain(th, conn))
        return cannot_call(conn);
    if (!conn->conns->loop->edge) /* else an event comes once */
        wsk__watch(conn, 0);
    if (!conn->h->body.done) {
        conn->h->away_ms = wsk__now_ms();
        wsk__http_count_streaming(conn, true);
    }
    wsk__overdue_arm(conn, conn->h->http.to_head);
    began_ns = begin_clock(conn->conns);
    if (!begin_call(th, conn, &builtin))
        return queue_call(th, conn, began_ns);
    upgraded = answer_request(th, conn, builtin, began_ns, false);
    leads = wsk__call_end(th);
    if (th->dispatch->metrics != NULL && !upgraded)
        count_answer(th, began_ns, leads, builtin == NULL);
    if (leads) {
        conn->busy = false;
    } else {
        if (!upgraded)
            wsk__http_flush(th, conn);
        wsk__conn_post(conn, WSK__POST_RUN);
    }
    if (upgraded)
        wsk__conn_unref(conn);
    if (!leads)
        return CALL_LOST;
    return upgraded ? CALL_UPGRADED : CALL_DONE;
}

static bool input_is_left(const struct wsk__conn *conn)
{
    return conn->h->failed || wsk__buf_len(&conn->h->in) > 0 ||
           wsk__stream_peek(&conn->stream);
}

/* Close: everything has been sent. Unread input would turn a plain close into a
 * reset, which destroys what the peer has not read yet (RFC 9112 9.6). */
static void finish_connection(struct wsk__conn *conn)
{
    if (conn->h->reset) /* only this shows the client that its answer is cut */
        wsk__stream_reset(&conn->stream);
    if (!conn->h->reset && !conn->eof && input_is_left(conn)) {
        wsk__conn_linger(conn);
        return;
    }
    /* Input that comes until close() makes that a reset, which forgets what
     * MSG_MORE holds back. The half-close sends it first. */
    if (!conn->h->reset && (!conn->eof || wsk__stream_is_tls(&conn->stream)))
        wsk__stream_end(&conn->stream);
    if (!conn->h->reset && wsk__stream_owed(&conn->stream) > 0)
        wsk__conn_linger(conn); /* until the end has left */
    else
        wsk__conn_close(conn);
}

/* Wait for input: there is none now. */
static void await_input(struct wsk__conn *conn)
{
    bool begun = wsk__head_has_begun(conn);

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

/* Wait for the peer to read, and read no more requests meanwhile. */
static void await_reader(struct wsk__conn *conn, unsigned want)
{
    if (!conn->h->stalled)
        wsk__stall_begin(conn);
    conn->h->stalled = true;
    wsk__watch(conn, want);
    wsk__rearm(conn);
}

static void write_body(struct wsk__conn *conn)
{
    struct wsk__conns *conns = conn->conns;

    wsk__body_file_write(&conn->h->body, conns->site, conns->cfg->spill_limit);
}

/* Write a body to its file. True: the offload does it, and posts; false: it is
 * done. */
static bool store_body(struct wsk__thread *th, struct wsk__conn *conn)
{
    if (!wsk__http_retain(th, conn)) {
        wsk__http_out_of_memory(conn);
        return false;
    }
    wsk__watch(conn, 0);
    conn->h->away_ms = wsk__now_ms();
    wsk__load_account(conn);
    if (wsk__exchange_offload(conn, write_body))
        return true;
    write_body(conn);
    return false;
}

/* Answer 507 or 500. What was stored makes room for others at once: the peer
 * may take long to read the answer. */
static void refuse_unstored(struct wsk__conn *conn)
{
    struct wsk__conns *conns = conn->conns;
    int status;

    if (conn->h->body.file.error == 0)
        return;
    status = wsk__body_file_failed(&conn->h->body, conns->logs,
                                   conns->site->temp_dir);
    wsk__body_file_clear(&conn->h->body);
    wsk__http_fail(&conn->h->http, status);
}

/* Feed the engine; an attempt at a WebSocket waits for memory first. */
static enum wsk__feed feed(struct wsk__thread *th, struct wsk__conn *conn)
{
    enum wsk__feed got = wsk__http_feed_some(th, conn);

    return got == WSK__FEED_READY && conn->h->head->websocket &&
                   wsk__load_is_past(conn)
               ? WSK__FEED_FULL
               : got;
}

/* Return true if all is answered and a read would find nothing: the usual end
 * of a turn. */
static bool has_run_dry(const struct wsk__thread *th,
                        const struct wsk__conn *conn)
{
    return conn->drained && !conn->eof && th->span.len == 0 &&
           wsk__buf_len(&conn->h->in) == 0 && wsk__http_idle(&conn->h->http);
}

/* End a turn before all is done: take the input out of this thread's buffers,
 * or close where memory is out. */
static wsk__leads turn_ends(struct wsk__thread *th, struct wsk__conn *conn)
{
    if (!wsk__http_retain(th, conn))
        wsk__conn_close(conn);
    return true;
}

/* Close the connection once its last bytes have left. */
static wsk__leads end_connection(struct wsk__thread *th, struct wsk__conn *conn)
{
    if (wsk__http_flush_in_turn(th, conn) == WSK__IO_WAIT) {
        await_reader(conn, WSK__WRITE);
        return turn_ends(th, conn);
    }
    finish_connection(conn);
    return true;
}

static wsk__leads run(struct wsk__thread *th, struct wsk__conn *conn)
{
    for (int served = 0;; served++) {
        enum wsk__io io = wsk__http_flush_in_turn(th, conn);

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
        if (served == SERVED_MAX) { /* other connections have a turn, too */
            wsk__conn_post(conn, WSK__POST_LOOK);
            return turn_ends(th, conn);
        }
        switch (feed(th, conn)) {
        case WSK__FEED_MORE:
            await_input(conn);
            return true;
        case WSK__FEED_ENDED:
            return end_connection(th, conn);
        case WSK__FEED_FULL:
            wsk__load_wait(conn);
            return turn_ends(th, conn);
        case WSK__FEED_SAY:
            continue;
        case WSK__FEED_STORE:
            if (store_body(th, conn))
                return true;
            refuse_unstored(conn);
            continue;
        case WSK__FEED_DATA:
        case WSK__FEED_READY:
            if (redirect(conn) || refuse_attempt(conn)) {
                close_request(conn);
                continue;
            }
            switch (call_or_queue(th, conn)) {
            case CALL_DONE:
                continue;
            case CALL_UPGRADED:
                return wsk__conn_ops(conn)->posted(th, conn, 0);
            case CALL_QUEUED:
                return true;
            case CALL_LOST:
                return false;
            }
        }
    }
}

wsk__leads wsk__http_run(struct wsk__thread *th, struct wsk__conn *conn)
{
    wsk__leads leads;

    th->span.len = 0;
    if (atomic_load(&conn->h->at_disk)) {
        wsk__watch(conn, 0); /* a post will come */
        return true;
    }
    wsk__http_set_date(th, conn);
    refuse_unstored(conn);
    wsk__arrival_resume(conn);
    leads = run(th, conn);
    /* Input that is left is of a connection that is closed. */
    th->span.len = 0;
    return leads;
}

/* -------------------------------------------- the call, for dispatch --- */

static void run_call(struct wsk__thread *th, struct wsk__call *call)
{
    struct wsk__conn *conn = wsk__conn_of_call(call);
    struct wsk__metrics *metrics = conn->conns->metrics;
    uint64_t queued_ns = conn->h->queued_ns, began_ns;
    bool upgraded;

    began_ns = metrics != NULL ? wsk__now_ns()
                               : wsk__access_begin(conn->conns->logs);
    if (metrics != NULL)
        wsk__observe_any(&metrics->any[WSK__N_HTTP_QUEUE], wsk__bounds_short,
                         began_ns - queued_ns);
    upgraded = answer_request(th, conn, NULL, began_ns, true);
    if (!upgraded)
        wsk__http_flush(th, conn);
    wsk__call_end(th);
    if (metrics != NULL && !upgraded)
        count_answer(th, queued_ns, false, false);
    wsk__conn_post(conn, WSK__POST_RUN);
    if (upgraded)
        wsk__conn_unref(conn);
}

static void on_late(struct wsk__call *call)
{
    wsk__assert_dispatch_locked();
    wsk__conn_post_locked(wsk__conn_of_call(call), WSK__POST_UNCORK);
}

static void on_refused(struct wsk__call *call)
{
    wsk__assert_dispatch_locked();
    wsk__conn_post_locked(wsk__conn_of_call(call),
                          WSK__POST_RUN | WSK__POST_REFUSE);
}

static void on_dropped(struct wsk__call *call)
{
    wsk__conn_of_call(call)->busy = false;
}

const struct wsk__call_ops wsk__http_call_ops = {
    .run = run_call,
    .late = on_late,
    .refused = on_refused,
    .dropped = on_dropped,
    .counts = true,
};
