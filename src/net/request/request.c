#include "net/request/request.h"

#include "base/buf.h"
#include "base/mem.h"
#include "http/conn.h"
#include "http/reply.h"
#include "net/conn/conn.h"
#include "net/conn/lock.h"
#include "net/conn/min_rate.h"
#include "net/conn/peer.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/thread.h"
#include "net/http1/answer.h"
#include "net/http1/deadline.h"
#include "net/http1/exchange.h"
#include "net/http1/input.h"
#include "net/http1/output.h"
#include "net/log/access.h"
#include "net/os/clock.h"
#include "net/os/listen.h"
#include "net/os/poller.h"
#include "net/os/stream.h"
#include "net/request/body.h"
#include "net/request/body_file.h"
#include "net/request/call.h"
#include "net/request/mount.h"
#include "net/request/segments.h"
#include "net/request/timeout.h"
#include "net/server/server.h"
#include "net/standalone/adopted.h"
#include "net/websocket/served.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <string.h>

enum {
    HIGH_WATER = 256 << 10, /* past it flush() asks for a drain() */
    LOW_WATER = 64 << 10,
    COPY_MAX = 16 << 10, /* a longer run of body is written without a copy */
    FILE_COPY_MAX = 64 << 10, /* a longer piece of a file, too */
};

const wsk_head *wsk_request_head(const wsk_request *req)
{
    return req->head;
}

wsk_server *wsk_request_server(const wsk_request *req)
{
    return req->conn->srv;
}

static const char *address(const struct wsk__address *a, uint16_t *port)
{
    if (port != NULL)
        *port = a->port;
    return a->text;
}

const char *wsk_request_subprotocols(const wsk_request *req)
{
    return req->conn == NULL ? wsk__adopted_subprotocols(req)
                             : req->conn->srv->cfg.ws_subprotocols;
}

const char *wsk_request_scheme(const wsk_request *req)
{
    return wsk__ends_https(&req->conn->h->ends) ? "https" : "http";
}

const char *wsk_request_prefix(const wsk_request *req)
{
    return wsk__mount_prefix(req->conn);
}

const char *wsk_request_peer(const wsk_request *req, uint16_t *port)
{
    return address(&req->conn->h->ends.peer, port);
}

const char *wsk_request_local(const wsk_request *req, uint16_t *port)
{
    return address(&req->conn->h->ends.local, port);
}

static void touch_body(wsk_request *req)
{
    if (!req->body_touched)
        req->body_whole = req->body->done;
    req->body_touched = true;
}

/* Read from memory a body that may be read again: nothing is dropped. */
static size_t read_whole(wsk_request *req, wsk_str stored, void *data,
                         size_t cap)
{
    if (cap > stored.len - req->body_at)
        cap = stored.len - req->body_at;
    if (cap > 0)
        memcpy(data, stored.p + req->body_at, cap);
    req->body_at += cap;
    return cap;
}

wsk_status wsk_request_seek(wsk_request *req, uint64_t pos)
{
    struct wsk__body *body = req->body;
    uint64_t most;

    if (req->finished || req->conn->ws != NULL || body->failed)
        return WSK_E_STATE;
    touch_body(req);
    if (!req->body_whole)
        return WSK_E_STATE;
    most = body->file.stored + wsk__body_stored(body).len;
    if (pos > most)
        pos = most;
    body->file.read = pos < body->file.stored ? pos : body->file.stored;
    req->body_at = (size_t)(pos - body->file.read);
    return WSK_OK;
}

/* Wait until something of the body is in memory, or all of it was. */
static wsk_status feed_body(wsk_request *req)
{
    while (wsk__body_stored(req->body).len == 0 && !req->body->done) {
        switch (wsk__http_feed_some(req->thread, req->conn)) {
        case WSK__FEED_MORE:
            return WSK_E_AGAIN;
        case WSK__FEED_OVER:
            req->conn->h->failed = req->body->failed = true;
            return WSK_E_CUT;
        case WSK__FEED_READY:
        case WSK__FEED_DATA:
        case WSK__FEED_SPILL:
        case WSK__FEED_SAY:
        case WSK__FEED_FULL:
            break;
        }
    }
    return WSK_OK;
}

wsk_status wsk_request_read(wsk_request *req, void *data, size_t cap,
                            size_t *got)
{
    struct wsk__body *body = req->body;
    wsk_str stored;
    wsk_status st;

    *got = 0;
    if (req->finished || req->conn->ws != NULL)
        return WSK_E_STATE;
    if (body->failed)
        return WSK_E_CUT;
    touch_body(req);
    if (body->file.read < body->file.stored)
        return wsk__body_file_read(body, data, cap, got);
    if (req->body_whole) {
        *got = read_whole(req, wsk__body_stored(body), data, cap);
        return WSK_OK;
    }
    st = feed_body(req);
    if (st != WSK_OK)
        return st;
    stored = wsk__body_stored(body);
    if (cap > stored.len)
        cap = stored.len;
    if (cap > 0)
        memcpy(data, stored.p, cap);
    wsk__body_ack(body, cap);
    *got = cap;
    return WSK_OK;
}

uint64_t wsk_request_body_length(const wsk_request *req)
{
    return req->body->done ? req->body->length : WSK_LENGTH_UNKNOWN;
}

bool wsk_request_body(wsk_request *req, const uint8_t **data, size_t *len)
{
    wsk_str stored;

    if (!req->body->done || req->body_touched || req->body->file.stored > 0)
        return false;
    stored = wsk__body_stored(req->body);
    *data = (const uint8_t *)stored.p;
    *len = stored.len;
    return true;
}

wsk_status wsk_request_wait(wsk_request *req)
{
    struct wsk__conn *conn = req->conn;
    bool came;

    if (req->body->done || conn->eof || req->body->failed ||
        wsk__body_stored(req->body).len > 0 || req->thread->span.len > 0 ||
        wsk__buf_len(&conn->h->in) > conn->h->in_fed)
        return WSK_OK; /* there is something to read, or to be told */
    if (wsk_http_send_continue(&conn->h->http) != WSK_OK ||
        wsk__http_flush(req->thread, conn) == WSK__IO_GONE)
        return WSK_E_CUT;
    wsk__arrival_resume(conn);
    wsk__call_park(req->thread);
    came = wsk__stream_wait(
        conn->fd, WSK__READ,
        wsk__min_rate_due_ms(&conn->h->arrival, conn->srv->cfg.body_rate));
    wsk__call_unpark(req->thread);
    if (!came) {
        wsk__http_fail(&conn->h->http, 408);
        conn->h->failed = req->body->failed = true;
        return WSK_E_CUT;
    }
    conn->drained = false;
    conn->h->away_ms = wsk__now_ms();
    return WSK_OK;
}

bool wsk_request_is_gone(const wsk_request *req)
{
    struct wsk__conn *conn = req->conn;
    bool upgraded;

    if (conn == NULL)
        return false; /* the other server knows */
    if (wsk__forked(&conn->srv->life))
        return true;
    wsk__conn_lock(conn);
    upgraded = conn->ws != NULL;
    wsk__conn_unlock(conn);
    if (upgraded)
        return wsk_conn_closed(&conn->ws->handle, NULL);
    return atomic_load(&conn->gone) || wsk__is_overdue(conn) ||
           wsk__stream_has_ended(conn->fd);
}

wsk_status wsk__request_gone(wsk_request *req)
{
    req->aborted = true;
    return WSK_E_CLOSED;
}

wsk_status wsk_request_hints(wsk_request *req, const wsk_header *headers,
                             size_t n)
{
    wsk_status st;

    if (req->finished || req->conn->ws != NULL)
        return WSK_E_STATE;
    if (req->aborted || wsk__forked(&req->conn->srv->life))
        return WSK_E_CLOSED;
    st = wsk_http_send_hints(&req->conn->h->http, headers, n);
    if (st == WSK_OK && wsk__http_flush(req->thread, req->conn) == WSK__IO_GONE)
        return wsk__request_gone(req);
    return st;
}

wsk_status wsk_request_start(wsk_request *req, int status, const char *reason,
                             const wsk_header *headers, size_t n,
                             uint64_t length)
{
    wsk_status st;

    if (req->finished || req->conn->ws != NULL)
        return WSK_E_STATE;
    if (req->conn->srv->conns.draining ||
        req->conn->srv->cfg.keep_alive_ms == 0)
        wsk__http_last(&req->conn->h->http); /* 9112 9.6: and says so */
    st = wsk_http_send_head(&req->conn->h->http, status, reason, headers, n,
                            length);
    if (st != WSK_OK)
        return st;
    req->status = status;
    wsk__free(req->noted);
    req->noted = wsk__access_note(&req->conn->srv->logs, headers, n);
    return WSK_OK;
}

wsk_status wsk_request_write(wsk_request *req, const void *data, size_t len)
{
    struct wsk__conn *conn = req->conn;
    const struct wsk_http *http;
    uint64_t left;
    wsk_status st;

    if (req->finished || req->status == 0)
        return WSK_E_STATE;
    if (req->aborted || wsk__forked(&conn->srv->life))
        return WSK_E_CLOSED;
    http = &conn->h->http;
    left = http->send_left;
    wsk__http_lend_out(req->thread, conn);
    if (len > COPY_MAX && conn->h->segments.first == NULL &&
        wsk__http_admit_body(&conn->h->http, 0) != SIZE_MAX)
        return wsk__http_write_beside(req, data, len);
    st = wsk_http_send_body(&conn->h->http, data, len);
    if (st == WSK_OK)
        req->sent += http->framing == (uint8_t)WSK__FRAMING_LENGTH
                         ? left - http->send_left
                         : len;
    else if (st == WSK_E_NOMEM)
        wsk_request_abort(req);
    return st;
}

wsk_status wsk_request_lend(wsk_request *req, const void *data, size_t len,
                            void (*release)(void *user), void *user)
{
    struct wsk__conn *conn = req->conn;
    struct wsk__buf *out = &conn->h->http.out;
    bool chunked;
    size_t n;

    if (req->finished || req->status == 0)
        return WSK_E_STATE;
    if (req->aborted || wsk__forked(&conn->srv->life))
        return WSK_E_CLOSED;
    wsk__segments_give_back(&conn->h->segments);
    n = wsk__http_admit_body(&conn->h->http, len);
    chunked = n == SIZE_MAX && len > 0;
    if (n == SIZE_MAX)
        n = len;
    if ((chunked && !wsk__reply_chunk_open(out, n)) ||
        wsk__segments_add_lent(&conn->h->segments, wsk__buf_len(out), data, n,
                               release, user) != WSK_OK) {
        wsk_request_abort(req);
        return WSK_E_NOMEM;
    }
    req->sent += n;
    if (!chunked || wsk__reply_chunk_close(out))
        return WSK_OK;
    wsk_request_abort(req); /* it is lent all the same */
    return WSK_OK;
}

wsk_status wsk_request_send_file(wsk_request *req, int fd, uint64_t offset,
                                 uint64_t length)
{
    struct wsk__conn *conn = req->conn;
    bool chunked;
    size_t n;
    wsk_status st;

    if (req->finished || req->status == 0)
        return WSK_E_STATE;
    if (req->aborted || wsk__forked(&conn->srv->life))
        return WSK_E_CLOSED;
    if (length > (SIZE_MAX >> 1) || offset > (uint64_t)INT64_MAX - length)
        return WSK_E_ARG;
    n = wsk__http_admit_body(&conn->h->http, (size_t)length);
    chunked = n == SIZE_MAX;
    n = chunked ? (size_t)length : n;
    if (n == 0)
        return WSK_OK;
    if (chunked && !wsk__reply_chunk_open(&conn->h->http.out, n))
        st = WSK_E_NOMEM;
    else if (n <= FILE_COPY_MAX)
        st = wsk__http_copy_file(conn, fd, offset, n);
    else
        st = wsk__segments_add_file(
            &conn->h->segments, wsk__buf_len(&conn->h->http.out), fd, offset, n,
            conn->h->http.framing == (uint8_t)WSK__FRAMING_CLOSE);
    if (st == WSK_OK && chunked && !wsk__reply_chunk_close(&conn->h->http.out))
        st = WSK_E_NOMEM;
    if (st == WSK_OK)
        req->sent += n;
    else
        wsk_request_abort(req);
    return st;
}

wsk_status wsk_request_flush(wsk_request *req)
{
    struct wsk__conn *conn = req->conn;

    if (req->aborted)
        return WSK_E_CLOSED;
    if (!wsk__may_answer(conn, WSK__BY_HANDLER))
        return wsk__request_gone(req);
    if (req->status != 0)
        req->head_left = true;
    switch (wsk__http_flush(req->thread, conn)) {
    case WSK__IO_GONE:
        return wsk__request_gone(req);
    case WSK__IO_WAIT:
    case WSK__IO_LATER:
        return wsk__http_owed(conn) > HIGH_WATER ? WSK_E_AGAIN : WSK_OK;
    case WSK__IO_DONE:
        break;
    }
    return WSK_OK;
}

static wsk_status await_reader(wsk_request *req)
{
    struct wsk__conn *conn = req->conn;

    wsk__stall_begin(conn);
    for (;;) {
        if (wsk__http_flush(req->thread, conn) == WSK__IO_GONE)
            return wsk__request_gone(req);
        if (wsk__http_owed(conn) <= LOW_WATER)
            return WSK_OK;
        if (!wsk__stream_wait(
                conn->fd, WSK__WRITE,
                wsk__min_rate_due_ms(&conn->h->departure,
                                     conn->srv->cfg.write_rate)) &&
            wsk__stall_is_over(conn))
            return wsk__request_gone(req);
    }
}

wsk_status wsk_request_drain(wsk_request *req)
{
    wsk_status st;

    if (req->aborted)
        return WSK_E_CLOSED;
    wsk__call_park(req->thread);
    st = await_reader(req);
    wsk__call_unpark(req->thread);
    return st;
}

wsk_status wsk_request_finish(wsk_request *req)
{
    wsk_status st;

    if (req->finished || req->conn->ws != NULL)
        return WSK_E_STATE;
    if (wsk__forked(&req->conn->srv->life))
        return WSK_E_CLOSED;
    st = wsk__request_end(req);
    if (!req->aborted)
        wsk__http_flush(req->thread, req->conn);
    return st;
}

void wsk_request_abort(wsk_request *req)
{
    req->aborted = true;
    req->conn->h->reset = req->status != 0 && req->head->http10;
}

bool wsk_request_head_sent(const wsk_request *req)
{
    return req->head_left;
}

wsk_status wsk_request_respond(wsk_request *req, int status,
                               const wsk_header *headers, size_t n,
                               const void *body, size_t len)
{
    wsk_status st = wsk_request_start(req, status, NULL, headers, n, len);

    if (st == WSK_OK)
        st = wsk_request_write(req, body, len);
    return st == WSK_OK ? wsk_request_finish(req) : st;
}
