#include "net/request/call.h"

#include "base/mem.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/peer.h"
#include "net/dispatch/gate.h"
#include "net/dispatch/thread.h"
#include "net/log/access.h"
#include "net/log/log.h"
#include "net/os/life.h"
#include "net/request/answer.h"
#include "net/request/builtin.h"
#include "net/request/request.h"
#include "net/request/site.h"
#include "net/request/timeout.h"
#include "wsocket.h"

#include <stdatomic.h>

/* Return true if the client of a request that was queued has gone, or was told
 * that it takes too long. A half-close alone says neither (RFC 9112 9.6). */
static bool is_left_alone(wsk_request *req)
{
    if (!wsk__is_overdue(req->conn)) {
        if (!atomic_load(&req->conn->gone))
            return false;
        req->status = 499; /* for the log, as other servers call it */
    }
    req->aborted = true;
    return true;
}

void wsk__request_answer(struct wsk__thread *th, wsk_request *req,
                         const struct wsk__builtin *builtin, bool queued)
{
    const struct wsk__site *site = req->conn->conns->site;

    if (builtin != NULL) {
        wsk__gate_leave(th);
        builtin->answer(builtin->user, req);
    } else if (!queued || !is_left_alone(req)) {
        wsk__gate_enter(th);
        site->handler(req, site->user);
    }
}

/* Answer in the place of a handler that gave no answer. */
static void answer_500(wsk_request *req)
{
    static const char TEXT[] = "Internal Server Error\n";
    static const wsk_header FIELDS[] = {
        {{"Content-Type", 12}, {"text/plain", 10}},
        {{"Connection", 10}, {"close", 5}}};

    if (wsk_request_start(req, 500, NULL, FIELDS, 2, sizeof(TEXT) - 1) ==
        WSK_OK)
        wsk_request_write(req, TEXT, sizeof(TEXT) - 1);
}

void wsk__request_log(wsk_request *req)
{
    const struct wsk__logs *logs = req->conn->conns->logs;
    struct wsk__access_record record = {
        .peer = req->ends->peer.text,
        .head = req->head,
        .status = req->status,
        .sent = req->sent,
        .noted = req->noted,
        .tls = req->ends->tls,
    };

    if (wsk__access_is_on(logs) && !req->conn->admin) {
        record.us = wsk__access_us(logs, req->began);
        wsk__access_write(logs, &record);
    }
    wsk__free(req->noted);
    req->noted = NULL;
}

wsk_status wsk__request_end(wsk_request *req)
{
    wsk_status st;

    if (req->status == 0 && !req->aborted)
        answer_500(req);
    req->finished = true;
    if (!req->aborted && !wsk__may_answer(req->conn, WSK__BY_HANDLER))
        req->aborted = true;
    if (wsk__is_overdue(req->conn) && !req->head_left)
        req->status = 503; /* as the client was told */
    if (req->status == 0)
        req->status = req->ops->refused(req);
    wsk__request_log(req);
    st = req->ops->end(req, req->aborted);
    if (st == WSK_E_ARG)
        wsk__logf(req->conn->conns->logs, WSK_LOG_WARNING,
                  "the body of an answer was not as long as its "
                  "Content-Length said");
    return st;
}

wsk_status wsk_request_finish(wsk_request *req)
{
    wsk_status st;

    if (!wsk__request_is_open(req))
        return WSK_E_STATE;
    if (wsk__forked(req->conn->conns->life))
        return WSK_E_CLOSED;
    st = wsk__request_end(req);
    if (!req->aborted)
        req->ops->flush(req);
    return st;
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
