#include "net/websocket/handshake.h"

#include "base/mem.h"
#include "http/conn.h"
#include "http/head.h"
#include "net/conn/conn.h"
#include "net/http1/exchange.h"
#include "net/server/server.h"
#include "net/websocket/inbox.h"
#include "net/websocket/served.h"
#include "net/websocket/websocket.h"
#include "ws/conn.h"
#include "ws/deflate.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

wsk_head *wsk__head_again(const char *head, size_t len,
                          const wsk_limits *limits)
{
    struct wsk__head_store *store = wsk__head_store_new(limits);
    struct wsk__head_scan scan = {0};
    size_t used;
    int status;

    /* Where it passed once it passes again. */
    if (store == NULL || wsk__head_parse(head, len, &scan, limits, store, &used,
                                         &status) != WSK__HEAD_OK) {
        wsk__free(store);
        return NULL;
    }
    return &store->head;
}

/* Windows that are kept live under one budget. */
static bool reserve_deflate(wsk_server *srv, struct wsk__served *ws,
                            size_t bytes)
{
    size_t had = atomic_fetch_add(&srv->sockets.deflate_bytes, bytes);

    ws->deflate_bytes = (uint32_t)bytes;
    return had + bytes <= srv->cfg.ws_compression_memory;
}

static void release_deflate(wsk_server *srv, struct wsk__served *ws)
{
    atomic_fetch_sub(&srv->sockets.deflate_bytes, ws->deflate_bytes);
    ws->deflate_bytes = 0;
}

/* What the options allow of what the client offers. */
static bool agree_deflate(const struct wsk__conn *conn, struct wsk__served *ws,
                          wsk_ws_deflate *agreed,
                          char text[WSK_WS_DEFLATE_TEXT])
{
    const wsk_server_config *cfg = &conn->srv->cfg;
    const wsk_head *head = conn->h->head;
    const char *text_level = cfg->ws_compression_level;
    uint8_t level = (uint8_t)(text_level[0] == 'f' ? 0 : text_level[0] - '0');
    bool takeover = strcmp(cfg->ws_compression, "takeover") == 0;

    if (strcmp(cfg->ws_compression, "off") == 0 ||
        !wsk_ws_agree_deflate(head, takeover, agreed, text))
        return false;
    agreed->level = level;
    if (!reserve_deflate(conn->srv, ws, wsk__deflate_bytes(agreed))) {
        release_deflate(conn->srv, ws);
        wsk_ws_agree_deflate(head, false, agreed, text);
    }
    agreed->level = level;
    agreed->threshold = cfg->ws_compression_threshold;
    return true;
}

static void append(char **at, const char *p, size_t len)
{
    memcpy(*at, p, len);
    *at += len;
}

/* With all that is asked for later, in as few octets as can be: idle WebSockets
 * are many, and most are never asked. */
static struct wsk__served *socket_new(const struct wsk__exchange *h,
                                      const char *protocol)
{
    size_t peer = strlen(h->ends.peer.text) + 1,
           local = strlen(h->ends.local.text) + 1;
    size_t proto = protocol != NULL ? strlen(protocol) + 1 : 0, head_len;
    size_t prefix = h->ends.via != NULL && h->ends.via->prefix[0] != '\0'
                        ? strlen(h->ends.via->prefix) + 1
                        : 0;
    size_t host = h->ends.via != NULL && h->ends.via->host[0] != '\0'
                      ? strlen(h->ends.via->host) + 1
                      : 0;
    const char *head = wsk__http_head_text(&h->http, &head_len);
    size_t size = offsetof(struct wsk__served, text) + peer + local + proto +
                  prefix + host + head_len;
    struct wsk__served *ws = wsk__calloc(size);
    char *at;

    if (ws == NULL)
        return NULL;
    ws->block = (uint32_t)size;
    ws->peer_port = h->ends.peer.port;
    ws->local_port = h->ends.local.port;
    ws->local_at = (uint16_t)peer;
    ws->protocol_at = proto > 0 ? (uint16_t)(peer + local) : 0;
    ws->prefix_at = prefix > 0 ? (uint16_t)(peer + local + proto) : 0;
    ws->host_at = host > 0 ? (uint16_t)(peer + local + proto + prefix) : 0;
    ws->head_len = (uint32_t)head_len;
    ws->https = wsk__ends_https(&h->ends);
    at = ws->text;
    append(&at, head, head_len);
    append(&at, h->ends.peer.text, peer);
    append(&at, h->ends.local.text, local);
    if (proto > 0)
        append(&at, protocol, proto);
    if (prefix > 0)
        append(&at, h->ends.via->prefix, prefix);
    if (host > 0)
        append(&at, h->ends.via->host, host);
    return ws;
}

struct wsk__served *wsk__ws_prepare(struct wsk__conn *conn,
                                    const char *protocol,
                                    char extensions[WSK_WS_DEFLATE_TEXT])
{
    struct wsk__served *ws = socket_new(conn->h, protocol);
    wsk_ws_deflate agreed;

    extensions[0] = '\0';
    if (ws == NULL)
        return NULL;
    ws->handle.ops = &wsk__websocket_served;
    ws->conn = conn;
    wsk__ws_init(&ws->engine, &conn->srv->cfg.limits);
    if (agree_deflate(conn, ws, &agreed, extensions))
        wsk__ws_set_deflate(&ws->engine, &agreed, &conn->srv->sockets.pool);
    ws->rx = WSK__RX_HANDLER;
    ws->latency_us = UINT32_MAX;
    wsk__ws_hold(&ws->engine, true);
    atomic_fetch_add(&conn->srv->sockets.heads, ws->block);
    return ws;
}

void wsk__ws_discard(wsk_server *srv, struct wsk__served *ws)
{
    struct wsk__inbox_item *item;

    while ((item = wsk__ws_inbox_take(ws)) != NULL)
        wsk__inbox_item_free(item);
    release_deflate(srv, ws);
    atomic_fetch_sub(&srv->conns.counted, ws->counted);
    atomic_fetch_sub(&srv->sockets.heads, ws->block);
    wsk__ws_clear(&ws->engine);
    wsk__ws_drop_kept(ws);
    wsk__free(ws->reason);
    wsk__free(ws);
}
