#include "base/buf.h"
#include "base/mem.h"
#include "http/host.h"
#include "net/handle/handshake.h"
#include "net/request/answer.h"
#include "net/request/request.h"
#include "net/standalone/standalone.h"
#include "ws/conn.h"
#include "wsocket.h"

#include <string.h>

/* An attempt on the socket of another server. */
struct adopted_request {
    struct wsk_request base; /* first: its address is the request's */
    wsk_adoption how;        /* texts are in `kept`; config is borrowed */
    wsk_ws_verdict verdict;
    struct wsk__handshake *kept;
    wsk_head *head;
    uint8_t *early;
    struct wsk__standalone *ws; /* set once the 101 was queued; a reference */
    bool borrowed;              /* io is still the caller's */
};

static wsk_status judge(const wsk_head *head, bool https,
                        const wsk_server_config *cfg, wsk_ws_verdict *verdict)
{
    *verdict = wsk_ws_judge(head, cfg->ws_allow_drafts);
    if (!wsk__host_allowed(head->host, cfg->allowed_hosts)) {
        verdict->status = 421;
        verdict->reason = "this host is not served here";
    } else if (verdict->status == 101 &&
               !wsk_ws_origin_allowed(wsk_ws_origin(head), head->host, https,
                                      cfg->ws_origins)) {
        verdict->status = 403;
        verdict->reason = "pages of this origin may not open WebSockets here";
    }
    return verdict->status == 101 ? WSK_OK : WSK_E_ARG;
}

static bool keep(struct adopted_request *req, const wsk_adoption *how)
{
    req->kept = wsk__standalone_remember(how, NULL);
    req->early = wsk__memdup(how->early, how->early_len);
    req->how = *how;
    if (req->kept == NULL || req->early == NULL)
        return false;
    req->how.peer = wsk__handshake_text(req->kept, WSK__HANDSHAKE_PEER);
    req->how.local = wsk__handshake_text(req->kept, WSK__HANDSHAKE_LOCAL);
    req->how.head = req->kept->text;
    req->how.early = req->early;
    return true;
}

static bool put_text(struct wsk__buf *to, const char *text)
{
    return wsk__buf_put(to, text, strlen(text));
}

static bool put_field(struct wsk__buf *to, const wsk_header *h)
{
    return wsk__buf_put(to, h->name.p, h->name.len) && put_text(to, ": ") &&
           wsk__buf_put(to, h->value.p, h->value.len) && put_text(to, "\r\n");
}

/* Queue the 101 (RFC 6455 4.2.2). Its caller has checked the headers. */
static wsk_status queue_101(struct wsk__standalone *ws,
                            const struct adopted_request *req,
                            const char *protocol, const char *extensions,
                            const wsk_header *headers, size_t n)
{
    wsk_header ours[WSK__HANDSHAKE_FIELDS];
    size_t k = wsk__handshake_fields(ours, &req->verdict, protocol, extensions);
    struct wsk__buf head;
    bool ok;

    wsk__buf_init(&head, 1 << 20);
    ok = put_text(&head, "HTTP/1.1 101 Switching Protocols\r\n");
    for (size_t i = 0; ok && i < k; i++)
        ok = put_field(&head, &ours[i]);
    for (size_t i = 0; ok && i < n; i++)
        ok = put_field(&head, &headers[i]);
    ok = ok && put_text(&head, "\r\n") &&
         wsk__ws_send_raw(&ws->engine, wsk__buf_data(&head),
                          wsk__buf_len(&head));
    wsk__buf_free(&head);
    return ok ? WSK_OK : WSK_E_NOMEM;
}

static wsk_status upgrade(wsk_request *base, const char *protocol,
                          const wsk_header *headers, size_t n, wsk_conn **conn)
{
    struct adopted_request *req = (struct adopted_request *)base;
    char extensions[WSK_WS_DEFLATE_TEXT];
    struct wsk__compression how = wsk__compression_of(req->how.config);
    wsk_ws_deflate agreed;
    struct wsk__standalone *ws;
    wsk_status st;

    ws = wsk__standalone_new(&req->how, protocol);
    if (ws == NULL)
        return WSK_E_NOMEM;
    if (wsk__agree_deflate(req->head, &how, how.takeover, &agreed, extensions))
        wsk__ws_set_deflate(&ws->engine, &agreed, &wsk__standalone_pool);
    st = queue_101(ws, req, protocol, extensions, headers, n);
    if (st != WSK_OK) {
        wsk__standalone_free(ws);
        return st;
    }
    req->ws = ws;
    base->status = 101;
    /* The first receive() sees a peer that is gone by now. */
    wsk__standalone_flush(ws);
    *conn = &ws->handle;
    return WSK_OK;
}

/* The other server has the request's body, and answers unless it is upgraded.
 */
static const struct wsk__answer_ops ADOPTED = {.upgrade = upgrade};

wsk_status wsk_request_adopt(const wsk_adoption *how, wsk_request **out,
                             wsk_ws_verdict *verdict)
{
    struct adopted_request *req = wsk__calloc(sizeof(*req));
    wsk_status st = WSK_E_NOMEM;

    *verdict =
        (wsk_ws_verdict){.status = 400, .reason = "not a valid request head"};
    if (req == NULL)
        return WSK_E_NOMEM;
    req->borrowed = true;
    if (keep(req, how)) {
        req->head = wsk__handshake_head(req->kept, &how->config->limits);
        st = req->head != NULL
                 ? judge(req->head, how->https, how->config, verdict)
                 : WSK_E_ARG;
    }
    if (st != WSK_OK) {
        wsk_request_disown(&req->base);
        return st;
    }
    req->borrowed = false;
    req->base.ops = &ADOPTED;
    req->base.cfg = how->config;
    req->base.ends = &wsk__no_ends;
    req->base.head = req->head;
    req->verdict = *verdict;
    *out = &req->base;
    return WSK_OK;
}

void wsk_request_disown(wsk_request *base)
{
    struct adopted_request *req = (struct adopted_request *)base;

    if (req->ws != NULL)
        wsk_conn_unref(&req->ws->handle);
    else if (!req->borrowed)
        req->how.transport->free(req->how.io);
    wsk_free(req->head);
    wsk__free(req->kept);
    wsk__free(req->early);
    wsk__free(req);
}
