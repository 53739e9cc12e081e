#include "base/utf8.h"
#include "net/conn/conn.h"
#include "net/handle/handle.h"
#include "net/handle/handshake.h"
#include "tls/peer.h"
#include "wsocket.h"

wsk_conn *wsk_conn_ref(wsk_conn *conn)
{
    conn->ops->ref(conn);
    return conn;
}

void wsk_conn_unref(wsk_conn *conn)
{
    conn->ops->unref(conn);
}

wsk_head *wsk_conn_head(const wsk_conn *conn)
{
    return conn->ops->head(conn);
}

const char *wsk_conn_protocol(const wsk_conn *conn)
{
    const char *protocol = wsk__handshake_text(conn->ops->handshake(conn),
                                               WSK__HANDSHAKE_PROTOCOL);

    return protocol[0] != '\0' ? protocol : NULL;
}

const char *wsk_conn_scheme(const wsk_conn *conn)
{
    return conn->ops->handshake(conn)->https ? "https" : "http";
}

const char *wsk_conn_prefix(const wsk_conn *conn)
{
    return wsk__handshake_text(conn->ops->handshake(conn),
                               WSK__HANDSHAKE_PREFIX);
}

static const struct wsk__tls_peer *tls_of(const wsk_conn *conn)
{
    return conn->ops->tls != NULL ? conn->ops->tls(conn) : NULL;
}

bool wsk_conn_tls(const wsk_conn *conn, wsk_tls_info *info)
{
    return wsk__tls_peer_info(tls_of(conn), info);
}

const wsk_header *wsk_conn_tls_variables(const wsk_conn *conn, size_t *n)
{
    return wsk__tls_peer_variables(tls_of(conn), n);
}

const char *wsk_conn_peer(const wsk_conn *conn, uint16_t *port)
{
    if (port != NULL)
        *port = conn->ops->handshake(conn)->peer_port;
    return wsk__handshake_text(conn->ops->handshake(conn), WSK__HANDSHAKE_PEER);
}

const char *wsk_conn_local(const wsk_conn *conn, uint16_t *port)
{
    if (port != NULL)
        *port = conn->ops->handshake(conn)->local_port;
    return wsk__handshake_text(conn->ops->handshake(conn),
                               WSK__HANDSHAKE_LOCAL);
}

bool wsk_conn_deflates(const wsk_conn *conn)
{
    return conn->ops->deflates(conn);
}

wsk_status wsk_conn_receive(wsk_conn *conn, int timeout_ms, wsk_message *msg)
{
    return conn->ops->receive(conn, timeout_ms, WSK__RECEIVE_OWN, msg);
}

wsk_status wsk_conn_receive_piece(wsk_conn *conn, int timeout_ms,
                                  wsk_message *msg)
{
    return conn->ops->receive(conn, timeout_ms, WSK__RECEIVE_PIECES, msg);
}

wsk_status wsk_conn_receive_masked(wsk_conn *conn, int timeout_ms,
                                   wsk_message *msg)
{
    return conn->ops->receive(conn, timeout_ms, WSK__RECEIVE_MASKED, msg);
}

wsk_status wsk_conn_receive_ready(wsk_conn *conn, wsk_message *msg)
{
    *msg = (wsk_message){.opcode = WSK_BINARY};
    return conn->ops->receive_ready != NULL
               ? conn->ops->receive_ready(conn, msg)
               : WSK_E_AGAIN;
}

bool wsk_conn_has_more(const wsk_conn *conn)
{
    return conn->ops->has_more != NULL && conn->ops->has_more(conn);
}

void wsk_conn_bad_text(wsk_conn *conn)
{
    if (conn->ops->bad_text != NULL)
        conn->ops->bad_text(conn);
}

wsk_status wsk_conn_send_with(wsk_conn *conn, wsk_opcode opcode,
                              const void *data, size_t len, unsigned flags)
{
    if (opcode != WSK_TEXT && opcode != WSK_BINARY)
        return WSK_E_ARG;
    if (opcode == WSK_TEXT && (flags & WSK_SEND_VALID) == 0 &&
        !wsk__utf8_valid(data, len))
        return WSK_E_ARG;
    return conn->ops->send(conn, opcode, data, len, flags);
}

wsk_status wsk_conn_send(wsk_conn *conn, wsk_opcode opcode, const void *data,
                         size_t len, bool valid)
{
    return wsk_conn_send_with(conn, opcode, data, len,
                              valid ? WSK_SEND_VALID : 0);
}

wsk_status wsk_conn_send_first(wsk_conn *conn, wsk_opcode opcode,
                               const void *data, size_t len, unsigned flags)
{
    if (opcode != WSK_TEXT && opcode != WSK_BINARY)
        return WSK_E_ARG;
    return conn->ops->send_first(conn, opcode, data, len, flags);
}

wsk_status wsk_conn_send_frame(wsk_conn *conn, wsk_opcode opcode, bool fin,
                               const void *data, size_t len)
{
    return conn->ops->send_frame(conn, opcode, fin, data, len);
}

wsk_status wsk_conn_close(wsk_conn *conn, uint16_t code, const void *reason,
                          size_t len)
{
    return conn->ops->close(conn, code, reason, len);
}

size_t wsk_conn_buffered(const wsk_conn *conn)
{
    return conn->ops->buffered(conn);
}

bool wsk_conn_is_full(const wsk_conn *conn)
{
    return conn->ops->is_full != NULL && conn->ops->is_full(conn);
}

wsk_status wsk_conn_drain(wsk_conn *conn, int timeout_ms)
{
    return conn->ops->drain(conn, timeout_ms);
}

bool wsk_conn_closed(const wsk_conn *conn, wsk_close_info *info)
{
    return conn->ops->closed(conn, info);
}

bool wsk_conn_can_send(const wsk_conn *conn)
{
    return conn->ops->can_send(conn);
}

bool wsk_conn_draining(const wsk_conn *conn)
{
    return conn->ops->draining != NULL && conn->ops->draining(conn);
}

bool wsk_conn_latency(const wsk_conn *conn, uint32_t *us)
{
    return conn->ops->latency(conn, us);
}

void wsk_conn_hear_pings(wsk_conn *conn, bool hear)
{
    conn->ops->hear_pings(conn, hear);
}

wsk_status wsk_conn_attach(wsk_conn *conn, const wsk_ws_handlers *handlers,
                           void *user)
{
    return conn->ops->attach != NULL ? conn->ops->attach(conn, handlers, user)
                                     : WSK_E_STATE;
}

wsk_status wsk_conn_finish(wsk_conn *conn, bool at_once)
{
    return conn->ops->finish != NULL ? conn->ops->finish(conn, at_once)
                                     : WSK_E_STATE;
}

wsk_status wsk_conn_subscribe(wsk_conn *conn, const char *topic, size_t len,
                              wsk_topic_policy policy)
{
    return conn->ops->subscribe != NULL
               ? conn->ops->subscribe(conn, (wsk_str){topic, len}, policy)
               : WSK_E_STATE;
}

bool wsk_conn_unsubscribe(wsk_conn *conn, const char *topic, size_t len)
{
    return conn->ops->unsubscribe != NULL &&
           conn->ops->unsubscribe(conn, (wsk_str){topic, len});
}

wsk_status wsk_conn_topics(wsk_conn *conn, char **names, size_t *n)
{
    *names = NULL;
    *n = 0;
    return conn->ops->topics != NULL ? conn->ops->topics(conn, names, n)
                                     : WSK_OK;
}
