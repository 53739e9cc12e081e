#include "base/mem.h"
#include "base/utf8.h"
#include "net/conn/conn.h"
#include "net/conn/lock.h"
#include "net/conn/peer.h"
#include "net/http1/exchange.h"
#include "net/loop/post.h"
#include "net/request/mount.h"
#include "net/request/segments.h"
#include "net/server/server.h"
#include "net/standalone/standalone.h"
#include "net/websocket/handshake.h"
#include "net/websocket/inbox.h"
#include "net/websocket/outbox.h"
#include "net/websocket/ping.h"
#include "net/websocket/receive.h"
#include "net/websocket/send.h"
#include "net/websocket/served.h"
#include "ws/send.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <unistd.h>

wsk_conn *wsk_conn_ref(wsk_conn *conn)
{
    if (wsk__lone_of(conn) != NULL) {
        wsk__lone_ref(wsk__lone_of(conn));
        return conn;
    }
    atomic_fetch_add(&conn->refs, 1);
    return conn;
}

void wsk_conn_unref(wsk_conn *conn)
{
    if (wsk__lone_of(conn) != NULL) {
        wsk__lone_unref(wsk__lone_of(conn));
        return;
    }
    if (atomic_fetch_sub(&conn->refs, 1) != 1)
        return;
    if (conn->fd >= 0)
        close(conn->fd);
    if (conn->ws != NULL)
        wsk__ws_discard(conn->srv, conn->ws);
    if (conn->h != NULL)
        wsk__segments_free(conn);
    wsk__exchange_free(conn->h);
    wsk__life_drop(&conn->srv->life);
    wsk__free(conn);
}

static const char *behind_head(const struct wsk__socket *kept)
{
    return kept->text + kept->head_len;
}

wsk_head *wsk_conn_head(const wsk_conn *conn)
{
    const struct wsk__socket *kept = conn->ws;
    wsk_head *head;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_head(wsk__lone_of(conn));
    head = wsk__head_again(kept->text, kept->head_len, &conn->srv->cfg.limits);
    if (head != NULL && kept->host_at > 0)
        wsk__via_rehost(head, behind_head(kept) + kept->host_at);
    if (head != NULL && conn->srv->cfg.script_name != NULL)
        wsk__mount_strip(conn->srv->cfg.script_name, &head->path);
    return head;
}

const char *wsk_conn_protocol(const wsk_conn *conn)
{
    const struct wsk__socket *kept = conn->ws;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_protocol(wsk__lone_of(conn));
    return kept->protocol_at > 0 ? behind_head(kept) + kept->protocol_at : NULL;
}

const char *wsk_conn_scheme(const wsk_conn *conn)
{
    if (wsk__lone_of(conn) != NULL)
        return "http"; /* its environ is the other server's */
    return conn->ws->https ? "https" : "http";
}

const char *wsk_conn_prefix(const wsk_conn *conn)
{
    const struct wsk__socket *kept = conn->ws;

    if (wsk__lone_of(conn) != NULL)
        return ""; /* its environ is the other server's */
    if (kept->prefix_at > 0)
        return behind_head(kept) + kept->prefix_at;
    return conn->srv->cfg.script_name != NULL ? conn->srv->cfg.script_name : "";
}

const char *wsk_conn_peer(const wsk_conn *conn, uint16_t *port)
{
    const struct wsk__socket *kept = conn->ws;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_peer(wsk__lone_of(conn), port);
    if (port != NULL)
        *port = kept->peer_port;
    return behind_head(kept);
}

const char *wsk_conn_local(const wsk_conn *conn, uint16_t *port)
{
    const struct wsk__socket *kept = conn->ws;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_local(wsk__lone_of(conn), port);
    if (port != NULL)
        *port = kept->local_port;
    return behind_head(kept) + kept->local_at;
}

void wsk_conn_bad_text(wsk_conn *conn)
{
    wsk__conn_lock(conn);
    wsk__ws_fail(&conn->ws->engine, 1007, "text is not UTF-8");
    wsk__ws_collect_locked(conn);
    wsk__ws_flush_locked(conn);
    wsk__conn_unlock(conn);
    wsk__conn_post(conn, WSK__POST_AWAY); /* for its end */
}

wsk_status wsk_conn_receive(wsk_conn *conn, int timeout_ms, wsk_message *msg)
{
    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_receive(wsk__lone_of(conn), timeout_ms, msg);
    return wsk__ws_receive(conn, timeout_ms, WSK__RECEIVE_OWN, msg);
}

wsk_status wsk_conn_receive_piece(wsk_conn *conn, int timeout_ms,
                                  wsk_message *msg)
{
    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_receive(wsk__lone_of(conn), timeout_ms, msg);
    return wsk__ws_receive(conn, timeout_ms, WSK__RECEIVE_PIECES, msg);
}

wsk_status wsk_conn_receive_masked(wsk_conn *conn, int timeout_ms,
                                   wsk_message *msg)
{
    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_receive(wsk__lone_of(conn), timeout_ms, msg);
    return wsk__ws_receive(conn, timeout_ms, WSK__RECEIVE_MASKED, msg);
}

wsk_status wsk_conn_send_with(wsk_conn *conn, wsk_opcode opcode,
                              const void *data, size_t len, unsigned flags)
{
    if (opcode != WSK_TEXT && opcode != WSK_BINARY)
        return WSK_E_ARG;
    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_send(wsk__lone_of(conn), opcode, data, len, flags);
    if (opcode == WSK_TEXT && (flags & WSK_SEND_VALID) == 0 &&
        !wsk__utf8_valid(data, len))
        return WSK_E_ARG;
    if (wsk__forked(&conn->srv->life))
        return WSK_E_CLOSED;
    return wsk__ws_send_some(conn, opcode, true, data, len, flags);
}

wsk_status wsk_conn_send_first(wsk_conn *conn, wsk_opcode opcode,
                               const void *data, size_t len, unsigned flags)
{
    if (opcode != WSK_TEXT && opcode != WSK_BINARY)
        return WSK_E_ARG;
    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_send_first(wsk__lone_of(conn), opcode, data, len,
                                    flags);
    if (wsk__forked(&conn->srv->life))
        return WSK_E_CLOSED;
    return wsk__ws_send_some(conn, opcode, false, data, len, flags);
}

wsk_status wsk_conn_send(wsk_conn *conn, wsk_opcode opcode, const void *data,
                         size_t len, bool valid)
{
    return wsk_conn_send_with(conn, opcode, data, len,
                              valid ? WSK_SEND_VALID : 0);
}

wsk_status wsk_conn_send_frame(wsk_conn *conn, wsk_opcode opcode, bool fin,
                               const void *data, size_t len)
{
    size_t octets = len;
    uint8_t *packed;
    wsk_status st;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_send_frame(wsk__lone_of(conn), opcode, fin, data, len);
    if (wsk__forked(&conn->srv->life))
        return WSK_E_CLOSED;
    packed = wsk__ws_pack_ahead(conn, opcode, data, &len);
    wsk__conn_lock(conn);
    /* No piece of a message is dropped. */
    st = wsk__ws_bound_queue_locked(conn, len,
                                    opcode == WSK_CONTINUATION || !fin);
    wsk__ws_queue_locked(conn);
    if (st == WSK_OK && packed != NULL)
        st = wsk__ws_send_packed(&conn->ws->engine, opcode, fin, packed, len);
    else if (st == WSK_OK)
        st = wsk_ws_send_frame(&conn->ws->engine, opcode, fin, data, len);
    if (st == WSK_OK && opcode == WSK_PING)
        wsk__ws_pinged_locked(conn->ws, data, len);
    else if (st == WSK_OK && opcode != WSK_PONG)
        wsk__ws_count_out_locked(conn->ws, octets, fin);
    wsk__ws_queued_locked(conn);
    wsk__conn_unlock(conn);
    wsk__free(packed);
    return st;
}

wsk_status wsk_conn_close(wsk_conn *conn, uint16_t code, const void *reason,
                          size_t len)
{
    wsk_status st;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_close(wsk__lone_of(conn), code, reason, len);
    if (wsk__forked(&conn->srv->life))
        return WSK_E_CLOSED;
    wsk__conn_lock(conn);
    st = wsk_ws_send_close(&conn->ws->engine, code, reason, len);
    if (st == WSK_OK) {
        wsk__ws_collect_locked(conn);
        wsk__ws_queued_locked(conn);
        wsk__conn_post(conn,
                       WSK__POST_AWAY); /* for the deadline, and the end */
    }
    wsk__conn_unlock(conn);
    return st;
}

size_t wsk_conn_buffered(const wsk_conn *conn)
{
    size_t owed;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_buffered(wsk__lone_of(conn));
    if (wsk__forked(&conn->srv->life))
        return 0;
    wsk__conn_lock(conn);
    owed = wsk__ws_owed_locked(conn);
    wsk__conn_unlock(conn);
    return owed;
}

bool wsk_conn_is_full(const wsk_conn *conn)
{
    bool full;

    if (wsk__lone_of(conn) != NULL)
        return false; /* what is sent has left */
    if (wsk__forked(&conn->srv->life))
        return false;
    wsk__conn_lock(conn);
    full = wsk__ws_is_full_locked(conn, conn->srv->cfg.ws_send_limit);
    if (full)
        wsk__ws_await_drain_locked(conn);
    wsk__conn_unlock(conn);
    return full;
}

bool wsk_conn_closed(const wsk_conn *conn, wsk_close_info *info)
{
    bool ended;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_closed(wsk__lone_of(conn), info);
    if (wsk__forked(&conn->srv->life)) {
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

bool wsk_conn_can_send(const wsk_conn *conn)
{
    bool can;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_can_send(wsk__lone_of(conn));
    if (wsk__forked(&conn->srv->life))
        return false;
    wsk__conn_lock(conn);
    can = wsk_ws_can_send(&conn->ws->engine);
    wsk__conn_unlock(conn);
    return can;
}

bool wsk_conn_deflates(const wsk_conn *conn)
{
    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_deflates(wsk__lone_of(conn));
    return wsk__ws_deflates(&conn->ws->engine); /* fixed since the handshake */
}

bool wsk_conn_latency(const wsk_conn *conn, uint32_t *us)
{

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_latency(wsk__lone_of(conn), us);
    if (wsk__forked(&conn->srv->life))
        return false;
    wsk__conn_lock(conn);
    *us = conn->ws->latency_us;
    wsk__conn_unlock(conn);
    return *us != UINT32_MAX;
}

void wsk_conn_hear_pings(wsk_conn *conn, bool hear)
{
    if (wsk__lone_of(conn) != NULL) {
        wsk__lone_hear_pings(wsk__lone_of(conn), hear);
        return;
    }
    if (wsk__forked(&conn->srv->life))
        return;
    wsk__conn_lock(conn);
    conn->ws->hear = hear;
    wsk__conn_unlock(conn);
}

wsk_status wsk_conn_attach(wsk_conn *conn, const wsk_ws_handlers *handlers,
                           void *user)
{
    wsk_status st = WSK_E_STATE;

    if (wsk__lone_of(conn) != NULL)
        return WSK_E_STATE; /* it has no loop that would call */
    wsk__conn_lock(conn);
    if (conn->ws->handlers == NULL && !conn->ws->receiving &&
        !wsk__ws_in_pieces_locked(conn->ws)) {
        wsk__ws_hold(&conn->ws->engine, false);
        conn->ws->handlers = handlers;
        conn->ws->handlers_user = user;
        conn->ws->connect_due = true;
        conn->ws->hear |= handlers->ping != NULL || handlers->pong != NULL;
        st = WSK_OK;
    }
    wsk__conn_unlock(conn);
    return st;
}
