#include "net/request/upgrade.h"

#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/drain.h"
#include "net/conn/peer.h"
#include "net/dispatch/calls.h"
#include "net/handle/handshake.h"
#include "net/log/limits.h"
#include "net/mailbox/served.h"
#include "net/os/life.h"
#include "net/request/admit.h"
#include "net/request/answer.h"
#include "net/request/body.h"
#include "net/request/call.h"
#include "net/request/mount.h"
#include "net/request/request.h"
#include "net/request/timeout.h"
#include "net/websocket/open.h"
#include "net/websocket/serve.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <string.h>

wsk_ws_verdict wsk__upgrade_judge(struct wsk__conns *conns,
                                  const wsk_head *head,
                                  const struct wsk__ends *ends)
{
    wsk_ws_verdict verdict = wsk_ws_judge(head, conns->cfg->ws_allow_drafts);

    if (verdict.status != 101)
        return verdict;
    if (!wsk__admits_origin(conns, head, wsk__ends_https(ends))) {
        verdict.status = 403;
        verdict.reason = "pages of this origin may not open WebSockets here";
    } else if (conns->draining && !conns->drain.successor) {
        verdict.status = 503;
        verdict.reason = "the server stops";
    } else if (!wsk__socket_reserve(conns->dispatch)) {
        wsk__limit_hit(conns->logs, WSK__LIMIT_PARKED);
        verdict.status = 503;
        verdict.reason = "too many WebSockets are open";
    }
    return verdict;
}

void wsk_request_subscribe(wsk_request *req, const char *topic, size_t len,
                           wsk_topic_policy policy)
{
    req->topic = (struct wsk__first_topic){{topic, len}, policy};
}

wsk_status wsk_request_upgrade(wsk_request *req, const char *protocol,
                               const wsk_header *headers, size_t n,
                               wsk_conn **out)
{
    if (req->conn != NULL && req->conn->detached)
        return WSK_E_CLOSED;
    if (!req->head->websocket || req->status != 0)
        return WSK_E_STATE;
    if (req->conn != NULL && wsk__forked(req->conn->conns->life))
        return WSK_E_STATE;
    if (protocol != NULL && !wsk_ws_offered(req->head, protocol))
        return WSK_E_ARG;
    return req->ops->upgrade(req, protocol, headers, n, out);
}

/* The facts that the WebSocket keeps of the request. */
static struct wsk__handshake_facts facts_of(const wsk_request *req,
                                            wsk_str text, const char *protocol)
{
    const struct wsk__ends *ends = req->ends;

    return (struct wsk__handshake_facts){
        .head = text,
        .path_len = req->head->path.len,
        .peer = ends->peer.text,
        .peer_port = ends->peer.port,
        .local = ends->local.text,
        .local_port = ends->local.port,
        .protocol = protocol,
        .prefix = wsk__mount_prefix(req->cfg->script_name, ends),
        .host = ends->proxy != NULL ? ends->proxy->host : NULL,
        .https = wsk__ends_https(ends),
    };
}

wsk_status wsk__upgrade_begin(struct wsk__upgrade *up, wsk_request *req,
                              wsk_str text, const char *protocol,
                              const wsk_header *headers, size_t n)
{
    struct wsk__handshake_facts facts = facts_of(req, text, protocol);

    if (!wsk__may_answer(req->conn, WSK__BY_WEBSOCKET))
        return WSK_E_CLOSED;
    if (n > WSK__UPGRADE_EXTRA)
        return WSK_E_ARG;
    up->ws = wsk__ws_prepare(req->conn, req->head, &facts, up->extensions);
    if (up->ws == NULL)
        return WSK_E_NOMEM;
    up->verdict = wsk_ws_judge(req->head, req->cfg->ws_allow_drafts);
    up->n = wsk__handshake_fields(up->fields, &up->verdict, protocol,
                                  up->extensions);
    if (n > 0)
        memcpy(up->fields + up->n, headers, n * sizeof(*headers));
    up->n += n;
    return WSK_OK;
}

void wsk__upgrade_cancel(struct wsk__upgrade *up)
{
    wsk__ws_discard(up->ws);
}

wsk_status wsk__upgrade_complete(struct wsk__upgrade *up, wsk_request *req,
                                 wsk_str owed, wsk_str early)
{
    if (!wsk__ws_open(req->thread, up->ws, owed, early, &req->topic)) {
        wsk__ws_discard(up->ws);
        wsk_request_abort(req);
        return WSK_E_NOMEM;
    }
    atomic_store(&req->ws, &up->ws->handle);
    return WSK_OK;
}

void wsk__upgrade_done(wsk_request *req)
{
    wsk__ws_handler_done(req->conn);
}

wsk_status wsk_request_detach(wsk_request *req, int *fd, const uint8_t **data,
                              size_t *len)
{
    wsk_status st;

    if (!wsk__request_is_open(req) || !req->head->websocket ||
        req->status != 0 || !req->body->done ||
        wsk__forked(req->conn->conns->life))
        return WSK_E_STATE;
    if (!wsk__may_answer(req->conn, WSK__BY_WEBSOCKET))
        return WSK_E_CLOSED;
    st = req->ops->detach(req, fd, data, len);
    if (st != WSK_OK)
        return st;
    req->status = 101; /* as far as we can tell */
    req->finished = true;
    wsk__request_log(req);
    wsk__call_leave(req->thread);
    return WSK_OK;
}
