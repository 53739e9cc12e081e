#include "net/request/request.h"

#include "base/mem.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/peer.h"
#include "net/dispatch/calls.h"
#include "net/log/access.h"
#include "net/os/life.h"
#include "net/os/listen.h"
#include "net/os/stream.h"
#include "net/request/answer.h"
#include "net/request/body.h"
#include "net/request/body_file.h"
#include "net/request/mount.h"
#include "net/request/site.h"
#include "net/request/timeout.h"
#include "tls/peer.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <string.h>

/* WSK_OK: an answer has begun, and more of it may be sent. */
static wsk_status may_send(const wsk_request *req)
{
    if (!wsk__request_is_open(req) || req->status == 0)
        return WSK_E_STATE;
    return req->aborted || wsk__forked(req->conn->conns->life) ? WSK_E_CLOSED
                                                               : WSK_OK;
}

wsk_status wsk__request_gone(wsk_request *req)
{
    req->aborted = true;
    return WSK_E_CLOSED;
}

/* ------------------------------------------------------------- the head --- */

const wsk_head *wsk_request_head(const wsk_request *req)
{
    return req->head;
}

wsk_server *wsk_request_server(const wsk_request *req)
{
    return req->conn != NULL ? req->conn->conns->site->srv : NULL;
}

const char *wsk_request_subprotocols(const wsk_request *req)
{
    return req->cfg->ws_subprotocols;
}

const struct wsk__ends wsk__no_ends;

static const char *address(const struct wsk__address *a, uint16_t *port)
{
    if (port != NULL)
        *port = a->port;
    return a->text;
}

const char *wsk_request_scheme(const wsk_request *req)
{
    return wsk__ends_https(req->ends) ? "https" : "http";
}

const char *wsk_request_prefix(const wsk_request *req)
{
    return wsk__mount_prefix(req->cfg->script_name, req->ends);
}

const char *wsk_request_peer(const wsk_request *req, uint16_t *port)
{
    return address(&req->ends->peer, port);
}

const char *wsk_request_local(const wsk_request *req, uint16_t *port)
{
    return address(&req->ends->local, port);
}

bool wsk_request_tls(const wsk_request *req, wsk_tls_info *info)
{
    return wsk__tls_peer_info(req->ends->tls, info);
}

const wsk_header *wsk_request_tls_variables(const wsk_request *req, size_t *n)
{
    return wsk__tls_peer_variables(req->ends->tls, n);
}

bool wsk_request_is_gone(const wsk_request *req)
{
    const struct wsk__conn *conn = req->conn;
    const wsk_conn *ws = atomic_load(&req->ws);

    if (conn == NULL)
        return false; /* the other server knows */
    if (wsk__forked(conn->conns->life))
        return true;
    if (ws != NULL)
        return wsk_conn_closed(ws, NULL);
    return atomic_load(&conn->gone) || wsk__is_overdue(conn) ||
           wsk__stream_has_ended(&conn->stream);
}

/* ------------------------------------------------------------- the body --- */

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

    if (!wsk__request_is_open(req) || body->failed)
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

wsk_status wsk_request_read(wsk_request *req, void *data, size_t cap,
                            size_t *got)
{
    struct wsk__body *body = req->body;
    wsk_status st = WSK_OK;
    wsk_str stored;

    *got = 0;
    if (!wsk__request_is_open(req))
        return WSK_E_STATE;
    if (body->failed)
        return WSK_E_CUT;
    touch_body(req);
    if (body->file.read < body->file.stored)
        return wsk__body_file_read(body, data, cap, got);
    stored = wsk__body_stored(body);
    if (req->body_whole) {
        *got = read_whole(req, stored, data, cap);
        return WSK_OK;
    }
    while (st == WSK_OK && stored.len == 0 && !body->done) {
        st = req->ops->more(req);
        stored = wsk__body_stored(body);
    }
    if (st != WSK_OK)
        return st;
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
    return req->body != NULL && req->body->done ? req->body->length
                                                : WSK_LENGTH_UNKNOWN;
}

bool wsk_request_body(wsk_request *req, const uint8_t **data, size_t *len)
{
    const struct wsk__body *body = req->body;
    wsk_str stored;

    if (body == NULL || !body->done || req->body_touched ||
        body->file.stored > 0)
        return false;
    stored = wsk__body_stored(body);
    *data = (const uint8_t *)stored.p;
    *len = stored.len;
    return true;
}

wsk_status wsk_request_wait(wsk_request *req)
{
    if (req->body == NULL)
        return WSK_E_STATE;
    if (req->body->done || req->body->failed ||
        wsk__body_stored(req->body).len > 0)
        return WSK_OK; /* there is something to read, or to be told */
    return req->ops->wait(req);
}

/* ----------------------------------------------------------- the answer --- */

wsk_status wsk_request_hints(wsk_request *req, const wsk_header *headers,
                             size_t n)
{
    wsk_status st;

    if (!wsk__request_is_open(req))
        return WSK_E_STATE;
    if (req->aborted || wsk__forked(req->conn->conns->life))
        return WSK_E_CLOSED;
    st = req->ops->hints(req, headers, n);
    return st == WSK_E_CLOSED ? wsk__request_gone(req) : st;
}

wsk_status wsk_request_start(wsk_request *req, int status, const char *reason,
                             const wsk_header *headers, size_t n,
                             uint64_t length)
{
    wsk_status st;

    if (!wsk__request_is_open(req))
        return WSK_E_STATE;
    st = req->ops->start(req, status, reason, headers, n, length);
    if (st != WSK_OK)
        return st;
    req->status = status;
    wsk__free(req->noted);
    req->noted = wsk__access_note(req->conn->conns->logs, headers, n);
    return WSK_OK;
}

/* Count what the carrier took; abort where the answer cannot be complete. */
static wsk_status note_sent(wsk_request *req, wsk_status st, size_t took)
{
    req->sent += took;
    if (st == WSK_E_CLOSED)
        return wsk__request_gone(req);
    if (st == WSK_E_NOMEM || st == WSK_E_SYS)
        wsk_request_abort(req);
    return st;
}

wsk_status wsk_request_write(wsk_request *req, const void *data, size_t len)
{
    wsk_status st = may_send(req);
    size_t took = 0;

    if (st != WSK_OK)
        return st;
    st = req->ops->write(req, data, len, &took);
    return note_sent(req, st, took);
}

wsk_status wsk_request_lend(wsk_request *req, const void *data, size_t len,
                            void (*release)(void *user), void *user)
{
    wsk_status st = may_send(req);
    size_t took = 0;

    if (st != WSK_OK)
        return st;
    st = req->ops->lend(req, data, len, release, user, &took);
    return note_sent(req, st, took);
}

wsk_status wsk_request_send_file(wsk_request *req, int fd, uint64_t offset,
                                 uint64_t length)
{
    wsk_status st = may_send(req);
    size_t took = 0;

    if (st != WSK_OK)
        return st;
    if (length > (SIZE_MAX >> 1) || offset > (uint64_t)INT64_MAX - length)
        return WSK_E_ARG;
    st = req->ops->send_file(req, fd, offset, (size_t)length, &took);
    return note_sent(req, st, took);
}

wsk_status wsk_request_flush(wsk_request *req)
{
    wsk_status st;

    if (req->ops->start == NULL)
        return WSK_E_STATE;
    if (req->aborted)
        return WSK_E_CLOSED;
    if (!wsk__may_answer(req->conn, WSK__BY_HANDLER))
        return wsk__request_gone(req);
    if (req->status != 0)
        req->head_left = true;
    st = req->ops->flush(req);
    return st == WSK_E_CLOSED ? wsk__request_gone(req) : st;
}

wsk_status wsk_request_drain(wsk_request *req)
{
    wsk_status st;

    if (req->ops->start == NULL)
        return WSK_E_STATE;
    if (req->aborted)
        return WSK_E_CLOSED;
    wsk__call_park(req->thread);
    st = req->ops->drain(req);
    wsk__call_unpark(req->thread);
    return st == WSK_E_CLOSED ? wsk__request_gone(req) : st;
}

void wsk_request_abort(wsk_request *req)
{
    req->aborted = req->cut = true;
}

bool wsk_request_head_sent(const wsk_request *req)
{
    return req->head_left;
}
