#include "net/request/upgrade.h"

#include "base/buf.h"
#include "http/conn.h"
#include "net/conn/conn.h"
#include "net/conn/peer.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/thread.h"
#include "net/http1/answer.h"
#include "net/http1/exchange.h"
#include "net/http1/output.h"
#include "net/log/limits.h"
#include "net/request/admit.h"
#include "net/request/call.h"
#include "net/request/mount.h"
#include "net/request/request.h"
#include "net/request/timeout.h"
#include "net/server/server.h"
#include "net/standalone/adopted.h"
#include "net/websocket/handshake.h"
#include "net/websocket/open.h"
#include "net/websocket/served.h"
#include "wsocket.h"

#include <string.h>

enum { EXTRA_MAX = 64 }; /* fields of the application in a 101 */

wsk_ws_verdict wsk__upgrade_judge(struct wsk__conn *conn)
{
    const wsk_server_config *cfg = &conn->srv->cfg;
    const wsk_head *head = conn->h->head;
    wsk_ws_verdict verdict = wsk_ws_judge(head, cfg->ws_allow_drafts);

    if (verdict.status != 101)
        return verdict;
    if (!wsk__admits_origin(conn)) {
        verdict.status = 403;
        verdict.reason = "pages of this origin may not open WebSockets here";
    } else if (!wsk__socket_reserve(&conn->srv->dispatch)) {
        wsk__limit_hit(&conn->srv->logs, WSK__LIMIT_PARKED);
        verdict.status = 503;
        verdict.reason = "too many WebSockets are open";
    }
    return verdict;
}

/* What the WebSocket keeps of the open request. */
static struct wsk__handshake_facts facts_of(const struct wsk__conn *conn,
                                            const char *protocol)
{
    const struct wsk__exchange *h = conn->h;
    struct wsk__handshake_facts facts = {
        .path_len = h->head->path.len,
        .peer = h->ends.peer.text,
        .peer_port = h->ends.peer.port,
        .local = h->ends.local.text,
        .local_port = h->ends.local.port,
        .protocol = protocol,
        .prefix = wsk__mount_prefix(conn),
        .host = h->ends.via != NULL ? h->ends.via->host : NULL,
        .https = h->ends.via != NULL && h->ends.via->https,
    };

    facts.head.p = wsk__http_head_text(&h->http, &facts.head.len);
    return facts;
}

/* False when memory is out. */
static bool open_websocket(struct wsk__thread *th, struct wsk__served *ws)
{
    struct wsk__exchange *h = ws->conn->h;
    wsk_str early = {(const char *)wsk__buf_data(&h->in), wsk__buf_len(&h->in)};
    wsk_str owed;

    owed.p = (const char *)wsk_http_out_buf(&h->http, &owed.len);
    if (!wsk__ws_open(th, ws, owed, early))
        return false;
    wsk_http_out_ack(&h->http, owed.len);
    return true;
}

static wsk_status send_101(wsk_request *req, const char *protocol,
                           const char *extensions, const wsk_header *headers,
                           size_t n)
{
    wsk_ws_verdict verdict =
        wsk_ws_judge(req->head, req->conn->srv->cfg.ws_allow_drafts);
    wsk_header all[WSK__HANDSHAKE_FIELDS + EXTRA_MAX];
    size_t ours = wsk__handshake_fields(all, &verdict, protocol, extensions);

    if (n > EXTRA_MAX)
        return WSK_E_ARG;
    if (n > 0)
        memcpy(all + ours, headers, n * sizeof(*headers));
    return wsk__http_send_101(req, all, ours + n);
}

wsk_status wsk_request_upgrade(wsk_request *req, const char *protocol,
                               const wsk_header *headers, size_t n,
                               wsk_conn **out)
{
    struct wsk__conn *conn = req->conn;
    struct wsk__thread *th = req->thread;
    struct wsk__handshake_facts facts;
    char extensions[WSK_WS_DEFLATE_TEXT];
    struct wsk__served *ws;
    wsk_status st;

    if (conn == NULL)
        return wsk__adopted_upgrade(req, protocol, headers, n, out);
    if (conn->detached)
        return WSK_E_CLOSED;
    if (!req->head->websocket || req->status != 0 || conn->ws != NULL ||
        wsk__forked(&conn->srv->life))
        return WSK_E_STATE;
    if (protocol != NULL && !wsk_ws_offered(req->head, protocol))
        return WSK_E_ARG;
    if (!wsk__may_answer(conn, WSK__BY_WEBSOCKET))
        return WSK_E_CLOSED;
    facts = facts_of(conn, protocol);
    ws = wsk__ws_prepare(conn, req->head, &facts, extensions);
    if (ws == NULL)
        return WSK_E_NOMEM;
    wsk__http_let_block(conn); /* receive() waits in recv() */
    st = wsk__http_keep_head(&conn->h->http);
    if (st == WSK_OK) {
        conn->h->head = req->head = wsk__http_head(&conn->h->http);
        wsk__buf_ack(&conn->h->in, conn->h->in_fed);
        conn->h->in_fed = 0;
        st = send_101(req, protocol, extensions, headers, n);
    }
    if (st != WSK_OK) {
        wsk__ws_discard(ws);
        return st;
    }
    req->status = 101;
    wsk__request_log(req);
    /* A peer that is gone by now is seen by the first receive(). */
    wsk__http_flush(th, conn);
    wsk__http_upgraded(&conn->h->http);
    if (!open_websocket(th, ws)) {
        wsk__ws_discard(ws);
        wsk_request_abort(req);
        return WSK_E_NOMEM;
    }
    *out = &ws->handle;
    return WSK_OK;
}
