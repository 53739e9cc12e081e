#include "net/mailbox/stall.h"

#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/conn/min_rate.h"
#include "net/mailbox/outbox.h"
#include "net/mailbox/served.h"
#include "net/os/clock.h"
#include "net/os/stream.h"
#include "ws/conn.h"
#include "wsocket.h"

/* Return for how long a peer may take nothing of what is owed to it. Pings ask
 * it first, where there are any. */
static uint64_t ws_patience_ms(const wsk_server_config *cfg)
{
    if (cfg->ws_ping_timeout_ms == 0)
        return WSK__STALL_MS;
    return cfg->ws_ping_timeout_ms +
           (cfg->ws_ping_interval_ms > 0 ? WSK__STALL_MS : 0);
}

void wsk__ws_sent_locked(struct wsk__served *ws)
{
    wsk__assert_conn_locked(ws->conn);
    ws->sent_ms = (uint32_t)wsk__now_ms();
    ws->stalled = false;
}

void wsk__ws_stall_begin_locked(struct wsk__conn *conn)
{
    const wsk_server_config *cfg = conn->conns->cfg;
    struct wsk__served *ws = conn->ws;

    wsk__assert_conn_locked(conn);
    if (ws->stalled)
        return;
    ws->stalled = true;
    ws->unread = wsk__stream_backlog(&conn->stream);
    ws->sent_ms = (uint32_t)wsk__now_ms();
    /* The leader must know the deadline, unless it looks before that anyway. */
    if (cfg->ws_ping_interval_ms == 0 ||
        cfg->ws_ping_interval_ms > ws_patience_ms(cfg))
        wsk__conn_post(conn, WSK__POST_LOOK);
}

uint64_t wsk__ws_stall_deadline_locked(const struct wsk__conn *conn,
                                       uint64_t now_ms)
{
    wsk__assert_conn_locked(conn);
    if (!conn->ws->stalled || !wsk__ws_waits_locked(conn))
        return UINT64_MAX;
    return wsk__near_ms(now_ms, conn->ws->sent_ms) +
           ws_patience_ms(conn->conns->cfg);
}

static void look_at_kernel_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;
    uint32_t left = ws->stalled ? wsk__stream_backlog(&conn->stream)
                                : UINT32_MAX;

    if (left >= ws->unread)
        return;
    ws->unread = left;
    ws->sent_ms = (uint32_t)wsk__now_ms();
}

bool wsk__ws_has_stalled_locked(struct wsk__conn *conn)
{
    uint64_t now_ms = wsk__now_ms();

    wsk__assert_conn_locked(conn);
    if (wsk__ws_stall_deadline_locked(conn, now_ms) > now_ms)
        return false;
    look_at_kernel_locked(conn);
    return wsk__ws_stall_deadline_locked(conn, now_ms) <= now_ms;
}

bool wsk__ws_is_taking_locked(struct wsk__conn *conn)
{
    wsk__assert_conn_locked(conn);
    look_at_kernel_locked(conn);
    return wsk__ws_owed_locked(conn) > 0 &&
           wsk__now_ms() - wsk__recent_ms(conn->ws->sent_ms) < WSK__STALL_MS;
}

/* Measure what has come of a message since the last look. Control frames do not
 * count. */
static void look_at_arrival_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;
    const struct wsk_ws *engine = &ws->engine;
    uint64_t now_ms = wsk__now_ms();

    if (!wsk__ws_in_message(engine)) {
        ws->arriving = false;
    } else if (!ws->arriving || ws->message != engine->begun) {
        ws->arriving = true;
        ws->message = engine->begun;
        wsk__min_rate_begin(&ws->arrival, now_ms);
    } else {
        wsk__min_rate_moved(&ws->arrival, now_ms, engine->arrived - ws->arrived,
                            conn->conns->cfg->body_rate);
    }
    ws->arrived = engine->arrived;
}

void wsk__ws_arrival_pause_locked(struct wsk__conn *conn)
{
    struct wsk__served *ws = conn->ws;

    wsk__assert_conn_locked(conn);
    if (!wsk__ws_in_message(&ws->engine) || ws->paused_ms != 0)
        return;
    look_at_arrival_locked(conn);
    ws->paused_ms = (uint32_t)wsk__now_ms();
}

void wsk__ws_arrival_resume_locked(struct wsk__conn *conn)
{
    struct wsk__served *ws = conn->ws;

    wsk__assert_conn_locked(conn);
    if (ws->paused_ms != 0)
        wsk__min_rate_skip(&ws->arrival,
                           wsk__now_ms() - wsk__recent_ms(ws->paused_ms));
    ws->paused_ms = 0;
}

uint64_t wsk__ws_arrival_due_locked(struct wsk__conn *conn, bool reading)
{
    wsk__assert_conn_locked(conn);
    if (!reading) {
        wsk__ws_arrival_pause_locked(conn);
        return UINT64_MAX;
    }
    wsk__ws_arrival_resume_locked(conn);
    look_at_arrival_locked(conn);
    return conn->ws->arriving
               ? wsk__min_rate_due_ms(&conn->ws->arrival,
                                      conn->conns->cfg->body_rate)
               : UINT64_MAX;
}

void wsk__ws_tell_of_arrival_locked(struct wsk__conn *conn)
{
    const wsk_server_config *cfg = conn->conns->cfg;
    struct wsk__served *ws = conn->ws;

    wsk__assert_conn_locked(conn);
    if (ws->arriving || !wsk__ws_in_message(&ws->engine) ||
        cfg->body_rate == 0 ||
        (cfg->ws_ping_interval_ms > 0 &&
         cfg->ws_ping_interval_ms <= 2 * WSK__MIN_RATE_GRACE_MS))
        return;
    look_at_arrival_locked(conn);
    wsk__conn_post(conn, WSK__POST_LOOK);
}
