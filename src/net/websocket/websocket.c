#include "net/websocket/websocket.h"

#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/handle/handle.h"
#include "net/handle/handshake.h"
#include "net/mailbox/inbox.h"
#include "net/mailbox/outbox.h"
#include "net/mailbox/served.h"
#include "net/os/life.h"
#include "net/websocket/events.h"
#include "net/websocket/receive.h"
#include "net/websocket/send.h"
#include "net/websocket/topics.h"
#include "ws/conn.h"
#include "wsocket.h"

static void served_ref(wsk_conn *handle)
{
    wsk__conn_ref(wsk__conn_of(handle));
}

static void served_unref(wsk_conn *handle)
{
    wsk__conn_unref(wsk__conn_of(handle));
}

static const struct wsk__handshake *served_handshake(const wsk_conn *handle)
{
    return wsk__served_handshake(wsk__conn_of(handle)->ws);
}

static wsk_head *served_head(const wsk_conn *handle)
{
    const wsk_server_config *cfg = wsk__conn_of(handle)->conns->cfg;

    return wsk__handshake_head(served_handshake(handle), &cfg->limits);
}

static const struct wsk__tls_peer *served_tls(const wsk_conn *handle)
{
    return wsk__conn_of(handle)->tls;
}

static bool served_deflates(const wsk_conn *handle)
{
    return wsk__ws_deflates(
        &wsk__conn_of(handle)->ws->engine); /* fixed since the handshake */
}

static void served_bad_text(wsk_conn *handle)
{
    struct wsk__conn *conn = wsk__conn_of(handle);

    wsk__conn_lock(conn);
    wsk__ws_fail(&conn->ws->engine, 1007, "text is not UTF-8");
    wsk__ws_collect_locked(conn);
    wsk__ws_flush_locked(conn);
    wsk__conn_unlock(conn);
    wsk__conn_post(conn, WSK__POST_AWAY); /* to end the transport */
}

static wsk_status served_close(wsk_conn *handle, uint16_t code,
                               const void *reason, size_t len)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    wsk_status st;

    if (wsk__forked(conn->conns->life))
        return WSK_E_CLOSED;
    wsk__conn_lock(conn);
    wsk__ws_topics_before_close_locked(conn);
    st = wsk_ws_send_close(&conn->ws->engine, code, reason, len);
    if (st == WSK_OK) {
        wsk__ws_collect_locked(conn);
        wsk__ws_queued_locked(conn);
        wsk__conn_post(
            conn,
            WSK__POST_AWAY); /* to set the deadline, or end the transport */
    }
    wsk__conn_unlock(conn);
    return st;
}

static size_t served_buffered(const wsk_conn *handle)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    size_t owed;

    if (wsk__forked(conn->conns->life))
        return 0;
    wsk__conn_lock(conn);
    owed = wsk__ws_owed_locked(conn);
    wsk__conn_unlock(conn);
    return owed;
}

static bool served_is_full(const wsk_conn *handle)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    bool full;

    if (wsk__forked(conn->conns->life))
        return false;
    wsk__conn_lock(conn);
    full = wsk__ws_is_full_locked(conn, conn->conns->cfg->ws_send_limit);
    if (full)
        wsk__ws_await_drain_locked(conn);
    wsk__conn_unlock(conn);
    return full;
}

static bool served_closed(const wsk_conn *handle, wsk_close_info *info)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    bool ended;

    if (wsk__forked(conn->conns->life)) {
        if (info != NULL)
            *info = (wsk_close_info){.code = 1006};
        return true;
    }
    wsk__conn_lock(conn);
    ended = conn->ws->ended && conn->ws->inbox == NULL;
    if (ended && info != NULL)
        *info = wsk__ws_close_info_locked(conn->ws);
    wsk__conn_unlock(conn);
    return ended;
}

static bool served_can_send(const wsk_conn *handle)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    bool can;

    if (wsk__forked(conn->conns->life))
        return false;
    wsk__conn_lock(conn);
    can = wsk_ws_can_send(&conn->ws->engine);
    wsk__conn_unlock(conn);
    return can;
}

static bool served_draining(const wsk_conn *handle)
{
    return wsk__conn_of(handle)->conns->draining;
}

static bool served_latency(const wsk_conn *handle, uint32_t *us)
{
    struct wsk__conn *conn = wsk__conn_of(handle);

    if (wsk__forked(conn->conns->life))
        return false;
    wsk__conn_lock(conn);
    *us = conn->ws->ping.latency_us;
    wsk__conn_unlock(conn);
    return *us != UINT32_MAX;
}

static void served_hear_pings(wsk_conn *handle, bool hear)
{
    struct wsk__conn *conn = wsk__conn_of(handle);

    if (wsk__forked(conn->conns->life))
        return;
    wsk__conn_lock(conn);
    conn->ws->hear = hear;
    wsk__conn_unlock(conn);
}

static wsk_status served_attach(wsk_conn *handle,
                                const wsk_ws_handlers *handlers, void *user)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    wsk_status st = WSK_E_STATE;

    wsk__conn_lock(conn);
    if (conn->ws->handlers == NULL && !conn->ws->receiving &&
        !wsk__ws_in_pieces_locked(conn->ws)) {
        wsk__ws_hold(&conn->ws->engine, false);
        conn->ws->handlers = handlers;
        conn->ws->handlers_user = user;
        conn->ws->connect_due = true;
        wsk__ws_notice_locked(conn);
        conn->ws->hear |= handlers->ping != NULL || handlers->pong != NULL;
        st = WSK_OK;
    }
    wsk__conn_unlock(conn);
    return st;
}

const struct wsk__websocket_ops wsk__websocket_served = {
    .receive = wsk__served_receive,
    .receive_ready = wsk__served_receive_ready,
    .has_more = wsk__served_has_more,
    .send = wsk__served_send,
    .send_first = wsk__served_send_first,
    .send_frame = wsk__served_send_frame,
    .close = served_close,
    .drain = wsk__served_drain,
    .buffered = served_buffered,
    .is_full = served_is_full,
    .can_send = served_can_send,
    .draining = served_draining,
    .closed = served_closed,
    .deflates = served_deflates,
    .latency = served_latency,
    .hear_pings = served_hear_pings,
    .bad_text = served_bad_text,
    .attach = served_attach,
    .subscribe = wsk__served_subscribe,
    .unsubscribe = wsk__served_unsubscribe,
    .topics = wsk__served_topics,
    .handshake = served_handshake,
    .head = served_head,
    .tls = served_tls,
    .ref = served_ref,
    .unref = served_unref,
};
