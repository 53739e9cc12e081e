#include "net/mailbox/end.h"

#include "base/mem.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/log/access.h"
#include "net/log/limits.h"
#include "net/mailbox/inbox.h"
#include "net/mailbox/load.h"
#include "net/mailbox/outbox.h"
#include "net/mailbox/served.h"
#include "net/os/clock.h"
#include "net/os/stream.h"
#include "ws/conn.h"
#include "wsocket.h"

enum {
    PATIENCE_MS = 500, /* until a peer that could free memory is given up */
};

/* Return true if only the peer can free this memory; else its handler can, and
 * is waited for. */
static bool is_up_to_peer_locked(const struct wsk__conn *conn,
                                 uint64_t now_ms) WSK__CONN_LOCKED
{
    const struct wsk__served *ws = conn->ws;

    bool more = ws->aside != NULL || wsk__ws_assembles(&ws->engine);

    return (more && ws->inbox == NULL) ||
           (wsk__ws_owed_locked(conn) > 0 &&
            now_ms - wsk__recent_ms(ws->sent_ms) >= PATIENCE_MS);
}

bool wsk__ws_waits_for_memory_locked(struct wsk__conn *conn)
{
    struct wsk__served *ws = conn->ws;
    uint64_t now_ms;

    wsk__assert_conn_locked(conn);
    if (!wsk__ws_is_past_memory_locked(conn)) {
        if (ws->past_memory_ms != 0) /* the silence was our doing */
            conn->since_ms = wsk__now_ms();
        ws->past_memory_ms = 0;
        return false;
    }
    now_ms = wsk__now_ms();
    if (ws->past_memory_ms == 0)
        ws->past_memory_ms = (uint32_t)now_ms;
    if (now_ms - wsk__recent_ms(ws->past_memory_ms) < PATIENCE_MS ||
        !is_up_to_peer_locked(conn, now_ms))
        return true;
    wsk__limit_hit_locked(conn, WSK__LIMIT_WS_MEMORY);
    wsk__ws_fail_unread_locked(conn, 1013, "too little memory",
                               WSK__WS_MEMORY_LIMIT);
    wsk__ws_flush_locked(conn);
    return false;
}

/* Free the outbox, but for the rest of a frame that has begun to leave. */
static void drop_unread_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;
    size_t len;
    const uint8_t *data = wsk_ws_out_buf(&ws->engine, &len);
    uint8_t *begun = NULL;

    if (len == ws->begun)
        return;
    if (ws->begun > 0) {
        begun = wsk__memdup(data, ws->begun);
        if (begun == NULL)
            return;
    }
    wsk__ws_drop_out(&ws->engine);
    if (ws->begun > 0 && !wsk__ws_send_raw(&ws->engine, begun, ws->begun))
        wsk__ws_eof_locked(conn); /* nothing can follow half a frame */
    wsk__free(begun);
}

void wsk__ws_fail_unread_locked(struct wsk__conn *conn, uint16_t code,
                                const char *reason, enum wsk__ws_limit limit)
{
    wsk__assert_conn_locked(conn);
    drop_unread_locked(conn);
    wsk__ws_fail_limit(&conn->ws->engine, code, reason, limit);
    wsk__ws_collect_locked(conn);
}

void wsk__ws_shut_locked(struct wsk__conn *conn)
{
    wsk__assert_conn_locked(conn);
    if (!conn->ws->shut && conn->ws->pins > 0) {
        wsk__stream_end_input(&conn->stream);
        conn->ws->shut = true;
    }
}

void wsk__ws_give_up_locked(struct wsk__conn *conn)
{
    wsk__assert_conn_locked(conn);
    wsk__ws_eof_locked(conn);
    wsk__ws_shut_locked(conn);
}

static struct wsk__access_end
note_end_locked(const struct wsk__served *ws) WSK__CONN_LOCKED
{
    return (struct wsk__access_end){
        .how = wsk__ws_close_info_locked(ws),
        .messages_in = ws->messages_in,
        .messages_out = ws->messages_out,
        .octets_in = ws->octets_in,
        .octets_out = ws->octets_out,
    };
}

void wsk__ws_log_end(struct wsk__conn *conn)
{
    struct wsk__access_record record = {
        .peer = wsk_conn_peer(&conn->ws->handle, NULL), .tls = conn->tls};
    struct wsk__access_end end;
    wsk_head *head;

    if (!wsk__access_is_on(conn->conns->logs))
        return;
    wsk__conn_lock(conn);
    end = note_end_locked(conn->ws);
    record.us = (wsk__now_ms() - conn->ws->opened_ms) * 1000;
    wsk__conn_unlock(conn);
    head = wsk_conn_head(&conn->ws->handle);
    record.head = head;
    record.status = end.how.failed ? end.how.sent_code : end.how.code;
    record.sent = end.octets_out;
    record.end = &end;
    wsk__access_write(conn->conns->logs, &record);
    wsk__free(head);
}
