#include "net/http1/answer.h"

#include "base/buf.h"
#include "http/conn.h"
#include "http/reply.h"
#include "net/bridge/bridge.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/drain.h"
#include "net/conn/lock.h"
#include "net/conn/min_rate.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/thread.h"
#include "net/http1/deadline.h"
#include "net/http1/exchange.h"
#include "net/http1/input.h"
#include "net/http1/output.h"
#include "net/http1/thread.h"
#include "net/os/clock.h"
#include "net/os/poller.h"
#include "net/os/stream.h"
#include "net/request/answer.h"
#include "net/request/call.h"
#include "net/request/request.h"
#include "net/request/segments.h"
#include "net/request/timeout.h"
#include "net/request/upgrade.h"
#include "wsocket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    HIGH_WATER = 256 << 10,   /* bytes past which flush() asks for a drain() */
    LOW_WATER = 64 << 10,     /* bytes that drain() leaves */
    COPY_MAX = 16 << 10,      /* a longer run of body is sent without a copy */
    FILE_COPY_MAX = 64 << 10, /* a longer piece of a file, too */
};

/* --------------------------------------------------------------- the body */

static wsk_status more_body(wsk_request *req)
{
    switch (wsk__http_feed_some(req->thread, req->conn)) {
    case WSK__FEED_MORE:
        return WSK_E_AGAIN;
    case WSK__FEED_ENDED:
        req->conn->h->failed = req->body->failed = true;
        return WSK_E_CUT;
    case WSK__FEED_READY:
    case WSK__FEED_DATA:
    case WSK__FEED_STORE:
    case WSK__FEED_SAY:
    case WSK__FEED_FULL:
        break;
    }
    return WSK_OK;
}

static wsk_status wait_for_body(wsk_request *req)
{
    struct wsk__conn *conn = req->conn;
    struct wsk__exchange *h = conn->h;
    bool came;

    if (conn->eof || req->thread->span.len > 0 ||
        wsk__buf_len(&h->in) > h->in_fed)
        return WSK_OK;
    if (wsk_http_send_continue(&h->http) != WSK_OK ||
        wsk__http_flush(req->thread, conn) == WSK__IO_GONE)
        return WSK_E_CUT;
    wsk__arrival_resume(conn);
    wsk__call_park(req->thread);
    came = wsk__stream_wait(
        &conn->stream, WSK__READ,
        wsk__min_rate_due_ms(&h->arrival, req->cfg->body_rate));
    wsk__call_unpark(req->thread);
    if (!came) {
        wsk__http_fail(&h->http, 408);
        h->failed = h->body.failed = true;
        return WSK_E_CUT;
    }
    conn->drained = false;
    h->away_ms = wsk__now_ms();
    return WSK_OK;
}

/* ------------------------------------------------------------- the answer */

static wsk_status send_hints(wsk_request *req, const wsk_header *headers,
                             size_t n)
{
    wsk_status st = wsk_http_send_hints(&req->conn->h->http, headers, n);

    if (st == WSK_OK && wsk__http_flush(req->thread, req->conn) == WSK__IO_GONE)
        return WSK_E_CLOSED;
    return st;
}

/* Return true if a request of a pipeline stands behind the open one. The server
 * leaves; what has been sent before the client can know that is answered, too,
 * for a while. */
static bool is_followed(const struct wsk__conn *conn)
{
    const struct wsk__exchange *h = conn->h;

    return h->body.done && wsk__drain_spares_pipelines(conn->conns) &&
           (wsk__buf_len(&h->in) > h->in_fed ||
            wsk__stream_peek(&conn->stream));
}

static wsk_status start_answer(wsk_request *req, int status, const char *reason,
                               const wsk_header *headers, size_t n,
                               uint64_t length)
{
    struct wsk_http *http = &req->conn->h->http;

    if (req->cfg->keep_alive_ms == 0 ||
        (req->conn->conns->last_answers && !is_followed(req->conn)))
        wsk__http_last(http); /* RFC 9112 9.6: and the head tells it */
    return wsk_http_send_head(http, status, reason, headers, n, length);
}

/* Send a long run of body beside the queue: head and body in one call, and only
 * what the kernel did not take is copied. */
static wsk_status write_beside(wsk_request *req, const uint8_t *data,
                               size_t len, size_t *took)
{
    struct wsk__conn *conn = req->conn;
    size_t owed, n = wsk__http_admit_body(&conn->h->http, len);
    const uint8_t *queued = wsk_http_out_buf(&conn->h->http, &owed);
    wsk_str pieces[2] = {{(const char *)queued, owed}, {(const char *)data, n}};
    ssize_t sent;

    if (!wsk__may_answer(conn, WSK__BY_HANDLER))
        return WSK_E_CLOSED;
    sent = wsk__stream_sendv(&conn->stream, pieces, 2, false);
    if (sent < 0 && !wsk__stream_is_full())
        return WSK_E_CLOSED;
    if (sent < 0)
        sent = 0;
    *took = n;
    req->head_left = true;
    if ((size_t)sent < owed) {
        wsk_http_out_ack(&conn->h->http, (size_t)sent);
        sent = 0;
    } else {
        wsk_http_out_ack(&conn->h->http, owed);
        sent -= (ssize_t)owed;
    }
    return wsk__buf_put(&conn->h->http.out, data + sent, n - (size_t)sent)
               ? WSK_OK
               : WSK_E_NOMEM;
}

static wsk_status write_answer(wsk_request *req, const void *data, size_t len,
                               size_t *took)
{
    struct wsk__exchange *h = req->conn->h;
    uint64_t left = h->http.send_left;
    wsk_status st;

    wsk__http_lend_out(req->thread, req->conn);
    if (len > COPY_MAX && h->segments.first == NULL &&
        wsk__http_admit_body(&h->http, 0) != SIZE_MAX)
        return write_beside(req, data, len, took);
    st = wsk_http_send_body(&h->http, data, len);
    if (st != WSK_OK)
        return st;
    if (h->http.framing == (uint8_t)WSK__FRAMING_LENGTH)
        *took = (size_t)(left - h->http.send_left);
    else if (h->http.framing != (uint8_t)WSK__FRAMING_NONE)
        *took = len;
    return WSK_OK;
}

static wsk_status lend_memory(wsk_request *req, const void *data, size_t len,
                              void (*release)(void *user), void *user,
                              size_t *took)
{
    struct wsk__exchange *h = req->conn->h;
    struct wsk__buf *out = &h->http.out;
    bool chunked;
    size_t n;

    wsk__segments_give_back(&h->segments);
    n = wsk__http_admit_body(&h->http, len);
    chunked = n == SIZE_MAX && len > 0;
    if (n == SIZE_MAX)
        n = len;
    if ((chunked && !wsk__reply_chunk_open(out, n)) ||
        wsk__segments_add_lent(&h->segments, wsk__buf_len(out), data, n,
                               release, user) != WSK_OK)
        return WSK_E_NOMEM;
    *took = n;
    if (chunked && !wsk__reply_chunk_close(out))
        wsk_request_abort(req); /* the memory is lent all the same */
    return WSK_OK;
}

/* Read a small piece right behind the queue: head and body leave together. */
static wsk_status copy_file(struct wsk__buf *out, int fd, uint64_t offset,
                            size_t n)
{
    uint8_t *room = wsk__buf_room(out, n);
    size_t done = 0;

    if (room == NULL)
        return WSK_E_NOMEM;
    while (done < n) {
        ssize_t got = pread(fd, room + done, n - done, (off_t)(offset + done));

        if (got == 0)
            errno = EIO;
        if (got == 0 || (got < 0 && errno != EINTR))
            return WSK_E_SYS;
        done += got > 0 ? (size_t)got : 0;
    }
    wsk__buf_grow_tail(out, n);
    return WSK_OK;
}

static wsk_status send_file(wsk_request *req, int fd, uint64_t offset,
                            size_t len, size_t *took)
{
    struct wsk__exchange *h = req->conn->h;
    struct wsk__buf *out = &h->http.out;
    size_t n = wsk__http_admit_body(&h->http, len);
    bool chunked = n == SIZE_MAX;
    wsk_status st;

    n = chunked ? len : n;
    if (n == 0)
        return WSK_OK;
    if (chunked && !wsk__reply_chunk_open(out, n))
        st = WSK_E_NOMEM;
    else if (n <= FILE_COPY_MAX)
        st = copy_file(out, fd, offset, n);
    else
        st = wsk__segments_add_file(
            &h->segments, wsk__buf_len(out), fd, offset, n,
            h->http.framing == (uint8_t)WSK__FRAMING_CLOSE);
    if (st == WSK_OK && chunked && !wsk__reply_chunk_close(out))
        st = WSK_E_NOMEM;
    if (st == WSK_OK)
        *took = n;
    return st;
}

static wsk_status flush_answer(wsk_request *req)
{
    switch (wsk__http_flush(req->thread, req->conn)) {
    case WSK__IO_GONE:
        return WSK_E_CLOSED;
    case WSK__IO_WAIT:
    case WSK__IO_LATER:
        return wsk__http_owed(req->conn) > HIGH_WATER ? WSK_E_AGAIN : WSK_OK;
    case WSK__IO_DONE:
        break;
    }
    return WSK_OK;
}

static wsk_status drain_answer(wsk_request *req)
{
    struct wsk__conn *conn = req->conn;

    wsk__stall_begin(conn);
    for (;;) {
        uint64_t due;

        if (wsk__http_flush(req->thread, conn) == WSK__IO_GONE)
            return WSK_E_CLOSED;
        if (wsk__http_owed(conn) <= LOW_WATER)
            return WSK_OK;
        due = wsk__min_rate_due_ms(&conn->h->departure, req->cfg->write_rate);
        if (!wsk__stream_wait(&conn->stream, WSK__WRITE, due) &&
            wsk__stall_is_too_long(conn))
            return WSK_E_CLOSED;
    }
}

static wsk_status end_answer(wsk_request *req, bool cut)
{
    struct wsk__exchange *h = req->conn->h;
    wsk_status st;

    if (cut) {
        /* HTTP/1.0: only a reset tells the client that something is missing. */
        h->reset = req->cut && req->status != 0 && req->head->http10;
        wsk__http_cut(&h->http);
        wsk__stream_cut(&req->conn->stream);
        return WSK_E_CLOSED;
    }
    st = wsk_http_send_end(&h->http);
    if (st != WSK_OK)
        wsk__stream_cut(&req->conn->stream);
    if (st == WSK_E_NOMEM || st == WSK_E_STATE)
        wsk__http_cut(&h->http);
    return st;
}

static int refused(const wsk_request *req)
{
    return wsk__http_refused(&req->conn->h->http);
}

/* ------------------------------------------- the request becomes another */

static wsk_status upgrade(wsk_request *req, const char *protocol,
                          const wsk_header *headers, size_t n, wsk_conn **out)
{
    struct wsk__conn *conn = req->conn;
    struct wsk__exchange *h = conn->h;
    struct wsk__upgrade up;
    wsk_str text, owed;
    wsk_status st;

    text.p = wsk__http_head_text(&h->http, &text.len);
    st = wsk__upgrade_begin(&up, req, text, protocol, headers, n);
    if (st != WSK_OK)
        return st;
    wsk__http_let_block(conn); /* receive() waits in recv() */
    st = wsk__http_keep_head(&h->http);
    if (st == WSK_OK) {
        h->head = req->head = wsk__http_head(&h->http);
        wsk__buf_ack(&h->in, h->in_fed);
        h->in_fed = 0;
        st = wsk_http_send_head(&h->http, 101, NULL, up.fields, up.n, 0);
    }
    if (st != WSK_OK) {
        wsk__upgrade_cancel(&up);
        return st;
    }
    req->status = 101;
    wsk__request_log(req);
    /* A peer that is gone by now is seen by the first receive(). With a topic
     * the 101 leaves once the WebSocket has that. */
    if (req->topic.name.len == 0)
        wsk__http_flush(req->thread, conn);
    wsk__http_upgraded(&h->http);
    owed.p = (const char *)wsk_http_out_buf(&h->http, &owed.len);
    st = wsk__upgrade_complete(
        &up, req, owed,
        (wsk_str){(const char *)wsk__buf_data(&h->in), wsk__buf_len(&h->in)});
    if (st != WSK_OK)
        return st;
    wsk_http_out_ack(&h->http, owed.len);
    *out = req->ws;
    return WSK_OK;
}

/* Let the application's reads find an end. Its last words still leave. */
static void end_input_locked(const struct wsk__conn *conn) WSK__CONN_LOCKED
{
    if (conn->stream.fd >= 0)
        wsk__stream_end_input(&conn->stream);
}

/* The same over TLS, of which the handler's library knows nothing. */
static wsk_status detach_bridge(struct wsk__conn *conn, int *fd,
                                const uint8_t **data, size_t *len)
{
    wsk_str early = {(const char *)*data, *len};

    if (!wsk__bridge_open(conn, early, fd))
        return WSK_E_SYS;
    *len = 0; /* the bridge has it */
    return WSK_OK;
}

static wsk_status detach(wsk_request *req, int *fd, const uint8_t **data,
                         size_t *len)
{
    struct wsk__conn *conn = req->conn;
    const struct wsk__exchange *h = conn->h;

    *data = wsk__buf_data(&h->in) + h->in_fed;
    *len = wsk__buf_len(&h->in) - h->in_fed;
    if (wsk__stream_is_tls(&conn->stream))
        return detach_bridge(conn, fd, data, len);
    *fd = fcntl(conn->stream.fd, F_DUPFD_CLOEXEC, 0);
    if (*fd < 0)
        return WSK_E_SYS;
    wsk__http_let_block(conn);
    wsk__conn_lock(conn);
    conn->detached = true;
    if (conn->conns->draining) /* the stop came before there was a socket */
        end_input_locked(conn);
    wsk__conn_unlock(conn);
    return WSK_OK;
}

void wsk__detached_goaway(struct wsk__conn *conn)
{
    wsk__conn_lock(conn);
    if (conn->detached)
        end_input_locked(conn);
    wsk__conn_unlock(conn);
}

/* ---------------------------------------------------------- on the leader */

/* Answer beside the engine, which is the handler's. That finds the descriptor
 * shut. */
static void answer_503(struct wsk__thread *th, const struct wsk__conn *conn)
{
    const wsk_limits *limits = &conn->conns->cfg->limits;
    struct wsk__reply refusal = {
        .status = 503,
        .date = limits->date_header ? wsk__http1_of(th)->date.text : NULL,
        .server = limits->server_header,
        .hsts = conn->h->http.hsts,
        .to_head = conn->to_head,
    };
    struct wsk__buf out;

    if (wsk__stream_is_amid(
            &conn->stream)) { /* hints that have begun to leave */
        wsk__stream_shut(&conn->stream);
        return;
    }
    wsk__buf_init(&out, 4096);
    wsk__date_refresh(&wsk__http1_of(th)->date);
    wsk__reply_refusal(&out, &refusal);
    if (wsk__buf_len(&out) > 0 &&
        wsk__stream_send(&conn->stream, wsk__buf_data(&out), wsk__buf_len(&out),
                         false) < 0)
        wsk__stream_end_input(&conn->stream);
    wsk__buf_free(&out);
    wsk__stream_end(&conn->stream);
}

static void timed_out(struct wsk__thread *th, struct wsk__conn *conn,
                      bool begun)
{
    if (begun)
        wsk__stream_shut(&conn->stream);
    else
        answer_503(th, conn);
}

const struct wsk__answer_ops wsk__http1_answer = {
    .more = more_body,
    .wait = wait_for_body,
    .hints = send_hints,
    .start = start_answer,
    .write = write_answer,
    .lend = lend_memory,
    .send_file = send_file,
    .flush = flush_answer,
    .drain = drain_answer,
    .end = end_answer,
    .refused = refused,
    .upgrade = upgrade,
    .detach = detach,
    .timed_out = timed_out,
};
