#include "net/websocket/open.h"

#include "base/mem.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/dispatch/calls.h"
#include "net/handle/handshake.h"
#include "net/mailbox/inbox.h"
#include "net/mailbox/served.h"
#include "net/mailbox/sockets.h"
#include "net/os/clock.h"
#include "net/websocket/events.h"
#include "net/websocket/protocol.h"
#include "net/websocket/websocket.h"
#include "ws/conn.h"
#include "ws/deflate.h"
#include "wsocket.h"

#include <stdatomic.h>

/* Reserve the memory of kept windows from the one budget; false: that is used
 * up. */
static bool reserve_deflate(struct wsk__conns *conns,
                            const wsk_ws_deflate *agreed)
{
    size_t bytes = wsk__deflate_bytes(agreed);
    size_t had = atomic_fetch_add(&conns->sockets->deflate_bytes, bytes);

    if (had + bytes <= conns->cfg->ws_compression_memory)
        return true;
    atomic_fetch_sub(&conns->sockets->deflate_bytes, bytes);
    return false;
}

/* No other thread knows the WebSocket yet. */
static void set_deflate(struct wsk__conns *conns, struct wsk__served *ws,
                        const wsk_head *head,
                        char text[WSK_WS_DEFLATE_TEXT]) WSK__NO_ANALYSIS
{
    const struct wsk__compression *how = &conns->sockets->compression;
    wsk_ws_deflate agreed;

    if (!wsk__agree_deflate(head, how, how->takeover, &agreed, text))
        return;
    ws->reserves = reserve_deflate(conns, &agreed);
    if (!ws->reserves)
        wsk__agree_deflate(head, how, false, &agreed, text);
    wsk__ws_set_deflate(&ws->engine, &agreed, &conns->sockets->pool);
}

/* Return how many bytes the WebSocket keeps for as long as it is open. */
static size_t block_of(const struct wsk__served *ws)
{
    return sizeof(*ws) + wsk__handshake_block(wsk__served_handshake(ws));
}

/* The same. */
WSK__NO_ANALYSIS struct wsk__served *
wsk__ws_prepare(struct wsk__conn *conn, const wsk_head *head,
                const struct wsk__handshake_facts *facts,
                char extensions[WSK_WS_DEFLATE_TEXT])
{
    struct wsk__conns *conns = conn->conns;
    struct wsk__served *ws =
        wsk__calloc(sizeof(*ws) + wsk__handshake_size(facts));

    if (ws == NULL)
        return NULL;
    wsk__handshake_write(wsk__served_handshake(ws), facts);
    ws->handle.ops = &wsk__websocket_served;
    ws->conn = conn;
    wsk__ws_init(&ws->engine, &conns->cfg->limits);
    set_deflate(conns, ws, head, extensions);
    ws->rx = WSK__RX_HANDLER;
    ws->ping.latency_us = UINT32_MAX;
    wsk__ws_hold(&ws->engine, true);
    atomic_fetch_add(&conns->heads, block_of(ws));
    return ws;
}

/* Queue what HTTP still owes, and keep what came behind the head. No other
 * thread knows the WebSocket yet. */
static bool inherit(struct wsk__served *ws, wsk_str owed,
                    wsk_str early) WSK__NO_ANALYSIS
{
    if (owed.len > 0 &&
        !wsk__ws_send_raw(&ws->engine, (const uint8_t *)owed.p, owed.len))
        return false;
    ws->begun = owed.len;
    return wsk__ws_keep_locked(ws, early.p, early.len);
}

bool wsk__ws_open(struct wsk__thread *th, struct wsk__served *ws, wsk_str owed,
                  wsk_str early, const struct wsk__first_topic *topic)
{
    struct wsk__conn *conn = ws->conn;
    struct wsk__conns *conns = conn->conns;

    if (!inherit(ws, owed, early))
        return false;
    if (topic->name.len > 0)
        wsk__served_join(conn);
    wsk__conn_ref(conn); /* of the request, until its handler has returned */
    wsk__conn_lock(conn);
    conn->since_ms = ws->opened_ms = wsk__now_ms();
    conn->ws = ws;
    atomic_store_explicit(&conn->ops, &wsk__websocket_protocol,
                          memory_order_release);
    atomic_fetch_add(&conns->n_websockets, 1);
    if (wsk__conn_numbers_locked(conn) != NULL)
        wsk__add(&wsk__conn_numbers_locked(conn)[WSK__N_WS_OPENS - WSK__N_WS],
                 1);
    if (topic->name.len > 0)
        wsk__served_open_topic_locked(conn, topic);
    wsk__conn_unlock(conn);
    wsk__call_becomes(th, &conn->call, &wsk__ws_call_ops);
    wsk__conn_post(conn, WSK__POST_LOOK); /* to set its deadlines */
    return true;
}

/* No other thread knows the WebSocket any more. */
WSK__NO_ANALYSIS void wsk__ws_discard(struct wsk__served *ws)
{
    struct wsk__conns *conns = ws->conn->conns;
    struct wsk__inbox_item *item;

    while ((item = wsk__ws_inbox_take_locked(ws)) != NULL)
        wsk__inbox_item_free(item);
    if (ws->reserves)
        atomic_fetch_sub(&conns->sockets->deflate_bytes,
                         wsk__ws_deflate_bytes(&ws->engine));
    atomic_fetch_sub(&conns->counted, ws->counted);
    atomic_fetch_sub(&conns->heads, block_of(ws));
    wsk__ws_clear(&ws->engine);
    wsk__ws_drop_kept_locked(ws);
    wsk__free(ws->topics);
    if (ws->ended)
        wsk__free(ws->reason);
    wsk__free(ws);
}

void wsk__websocket_release(struct wsk__conn *conn)
{
    if (conn->ws != NULL)
        wsk__ws_discard(conn->ws);
}
