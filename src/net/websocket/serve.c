#include "net/websocket/serve.h"

#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/drain.h"
#include "net/conn/load.h"
#include "net/conn/lock.h"
#include "net/dispatch/call.h"
#include "net/dispatch/thread.h"
#include "net/handle/ping.h"
#include "net/log/limits.h"
#include "net/loop/loop.h"
#include "net/loop/source.h"
#include "net/mailbox/end.h"
#include "net/mailbox/inbox.h"
#include "net/mailbox/outbox.h"
#include "net/mailbox/served.h"
#include "net/mailbox/stall.h"
#include "net/mailbox/thread.h"
#include "net/os/clock.h"
#include "net/os/poller.h"
#include "net/os/stream.h"
#include "net/websocket/events.h"
#include "ws/conn.h"
#include "wsocket.h"

#include <stdatomic.h>

enum {
    READS_MAX = 16,    /* reads of one connection before others have a turn */
    NOTICE_MS = 1000,  /* for the event `draining`, before the Close */
    FAREWELL_MS = 100, /* for the peer's Close, once the server's time is up */
};

/* Return true if the transport can be ended: both Closes were exchanged and
 * have left, or it is gone. */
static bool is_finished_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    return wsk_ws_done(&conn->ws->engine) &&
           (conn->eof || wsk__ws_owed_locked(conn) == 0);
}

static void end_transport(struct wsk__conn *conn, bool eof)
{
    if (eof && wsk__stream_is_tls(&conn->stream))
        wsk__stream_end(&conn->stream); /* the Closes were all */
    if (eof)
        wsk__conn_close(conn);
    else
        wsk__conn_linger(conn);
}

/* Return true if a thread delivers its events and has lost the lead. */
static bool is_handed_out_locked(const struct wsk__served *ws) WSK__CONN_LOCKED
{
    return ws->calling && ws->rx == WSK__RX_HANDLER && !ws->corked;
}

/* Return when the loop takes over from that thread. */
static uint64_t away_ms_locked(const struct wsk__served *ws) WSK__CONN_LOCKED
{
    return wsk__recent_ms(ws->calling_ms) + WSK__AWAY_MS;
}

/* Return when to close because the server leaves; UINT64_MAX: it does not. The
 * application is told first, unless it has no thread for that. */
static uint64_t leave_due_locked(const struct wsk__conn *conn) WSK__CONN_LOCKED
{
    const struct wsk__served *ws = conn->ws;
    const struct wsk__drain *drain = &conn->conns->drain;
    uint64_t due, from;

    if (!conn->conns->draining || !wsk_ws_can_send(&ws->engine))
        return UINT64_MAX;
    due = wsk__drain_close_due(conn, ws->opened_ms);
    if (drain->forced_ms != 0 ||
        (ws->notice != WSK__NOTICE_DUE && ws->notice != WSK__NOTICE_RUNS))
        return due;
    from = atomic_load(&drain->began_ms);
    if (from < ws->opened_ms)
        from = ws->opened_ms;
    return due > from + NOTICE_MS ? due : from + NOTICE_MS;
}

/* Start the peer's time to answer our Close, at the first look after that was
 * queued. */
static void note_closing_locked(struct wsk__served *ws) WSK__CONN_LOCKED
{
    if (ws->closing || wsk_ws_can_send(&ws->engine))
        return;
    ws->closing = true;
    ws->ping_ms = wsk__now_ms();
    ws->sent_ms = (uint32_t)ws->ping_ms;
}

/* Return when the peer must have answered or taken something, or is to be
 * asked. */
static uint64_t
peer_deadline_locked(const struct wsk__conn *conn) WSK__CONN_LOCKED
{
    const wsk_server_config *cfg = conn->conns->cfg;
    const struct wsk__served *ws = conn->ws;
    uint64_t due = UINT64_MAX, heard = conn->since_ms, stall, leave;

    if (!wsk_ws_can_send(&ws->engine)) {
        uint64_t forced_ms = conn->conns->drain.forced_ms;
        uint32_t taking = ws->sent_ms - (uint32_t)ws->ping_ms;

        assert(ws->closing);
        due = ws->ping_ms + taking +
              (wsk__ws_owed_locked(conn) > 0 ? WSK__STALL_MS
                                             : cfg->ws_close_timeout_ms);
        if (forced_ms != 0 && due > forced_ms + FAREWELL_MS)
            due = forced_ms + FAREWELL_MS;
    } else if (ws->ping_ms > heard && cfg->ws_ping_timeout_ms > 0) {
        due = ws->ping_ms + cfg->ws_ping_timeout_ms;
    } else if (cfg->ws_ping_interval_ms > 0) {
        due = (ws->ping_ms > heard ? ws->ping_ms : heard) +
              cfg->ws_ping_interval_ms;
    }
    if (ws->stalled && wsk_ws_can_send(&ws->engine)) {
        stall = wsk__ws_stall_deadline_locked(conn, conn->conns->loop->now_ms);
        due = due < stall ? due : stall;
    }
    leave = leave_due_locked(conn);
    return due < leave ? due : leave;
}

/* Return true if input is read; else the peer's silence may be our doing. */
static bool is_reading_locked(const struct wsk__conn *conn) WSK__CONN_LOCKED
{
    const struct wsk__served *ws = conn->ws;

    return (ws->rx == WSK__RX_HANDLER ? ws->receiving
                                      : !wsk__ws_inbox_is_full_locked(conn)) &&
           ws->past_memory_ms == 0;
}

/* Return when the rest of a message is due. None is due while the message is
 * deferred, or while we do not read because the peer does not. */
static uint64_t message_deadline_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    const struct wsk__served *ws = conn->ws;

    if (!wsk_ws_can_send(&ws->engine) || conn->eof)
        return UINT64_MAX;
    return wsk__ws_arrival_due_locked(
        conn, is_reading_locked(conn) && !wsk__ws_holds_one(&ws->engine) &&
                  wsk__ws_owed_locked(conn) <= conn->conns->cfg->ws_send_limit);
}

static uint64_t deadline_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    const struct wsk__served *ws = conn->ws;
    uint64_t due = peer_deadline_locked(conn);
    uint64_t message = message_deadline_locked(conn);

    if (due > message)
        due = message;
    if (ws->look_ms != 0 && due > ws->look_ms)
        due = ws->look_ms;
    if (is_handed_out_locked(ws) && due > away_ms_locked(ws))
        due = away_ms_locked(ws);
    return due;
}

/* Give the events to this thread. Until it is late, it alone reads for this
 * WebSocket, and what its callbacks send leaves together. */
static void hand_over_locked(struct wsk__thread *th,
                             struct wsk__conn *conn) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;

    ws->calling = true;
    ws->caller = th;
    ws->corked = true;
    ws->rx = WSK__RX_HANDLER;
    ws->calling_ms = (uint32_t)wsk__now_ms();
}

/* Flush and read; return true if an event is due. */
static bool look_locked(struct wsk__thread *th,
                        struct wsk__conn *conn) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;

    if (wsk__ws_flush_locked(conn) == WSK__IO_GONE && !conn->eof)
        wsk__ws_eof_locked(conn);
    if (ws->rx == WSK__RX_LOOP && !wsk__ws_events_due_locked(conn)) {
        if (ws->handlers == NULL || ws->calling) {
            wsk__ws_read_locked(th, conn);
        } else {
            wsk__ws_take_in_hand_locked(th, conn, true);
            wsk__ws_pull_locked(conn, &wsk__websocket_of(th)->span,
                                &wsk__websocket_of(th)->item);
            if (wsk__websocket_of(th)->item.kind == WSK_WS_NONE)
                wsk__ws_flush_locked(conn); /* the pongs */
        }
    }
    /* Messages go first: an application that only ever sends must not keep them
     * waiting. */
    return wsk__websocket_of(th)->item.kind != WSK_WS_NONE ||
           wsk__ws_events_due_locked(conn) ||
           (!ws->calling && wsk__ws_has_drained_locked(conn));
}

static unsigned wanted_locked(const struct wsk__conn *conn) WSK__CONN_LOCKED
{
    const struct wsk__served *ws = conn->ws;
    unsigned want = wsk__ws_waits_locked(conn) ? WSK__WRITE : 0;

    if (ws->rx == WSK__RX_HANDLER && ws->handlers == NULL)
        want |= WSK__BY_ITSELF;
    if (ws->rx == WSK__RX_LOOP && !wsk__ws_inbox_is_full_locked(conn) &&
        !conn->eof && !ws->shut)
        want |= WSK__READ;
    return want;
}

/* Return true if there may be more to read, and it may be read. */
static bool unread_locked(const struct wsk__conn *conn) WSK__CONN_LOCKED
{
    return conn->ws->rx == WSK__RX_LOOP && !conn->eof && !conn->ws->shut &&
           !conn->drained && !wsk__ws_inbox_is_full_locked(conn) &&
           wsk__ws_owed_locked(conn) <= conn->conns->cfg->ws_send_limit;
}

/* Make it wait, or give it up, while there is too little memory. */
static void check_memory_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;
    bool waits;

    if (conn->conns->cfg->memory_limit == 0)
        return;
    waits = wsk__ws_waits_for_memory_locked(conn);
    ws->look_ms = 0;
    if (ws->counted > 0 && wsk_ws_can_send(&ws->engine))
        ws->look_ms = wsk__now_ms() +
                      (waits ? WSK__OVER_LOOK_MS : WSK__HELD_LOOK_MS);
    if (wsk_ws_done(&ws->engine))
        wsk__ws_shut_locked(conn);
}

/* Close a peer that lagged too far behind a topic. What it got has no hole. */
static void close_lapped_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    conn->ws->lapped = false;
    wsk__ws_fail_unread_locked(conn, 1013, "too slow for its topics",
                               WSK__WS_TOPIC_BACKLOG);
    wsk__ws_flush_locked(conn);
}

wsk__leads wsk__ws_serve(struct wsk__thread *th, struct wsk__conn *conn)
{
    for (int reads = 0; reads < READS_MAX; reads++) {
        bool due, alive, finished = false, eof, again;
        uint64_t deadline = UINT64_MAX;
        enum wsk__calls calls;

        wsk__conn_lock(conn);
        wsk__websocket_of(th)->span.len = 0;
        alive = wsk__conn_is_open(conn); /* else only events are left */
        if (alive)
            check_memory_locked(conn);
        if (alive && conn->ws->lapped)
            close_lapped_locked(conn);
        due = alive ? look_locked(th, conn) : wsk__ws_events_due_locked(conn);
        if (due)
            hand_over_locked(th, conn);
        again = alive && unread_locked(conn);
        eof = conn->eof;
        if (alive)
            finished = is_finished_locked(conn);
        if (alive && !finished) {
            wsk__watch(conn, wanted_locked(conn));
            note_closing_locked(conn->ws);
            deadline = deadline_locked(conn);
        }
        wsk__conn_unlock(conn);
        if (finished)
            end_transport(conn, eof);
        else if (alive)
            wsk__rearm_at(conn, deadline);
        if (!due && (!again || finished))
            return true;
        if (!due)
            continue;
        if (!wsk__ws_call_events(th, conn, &calls))
            return false;
        if (calls != WSK__CALLS_LOOK || !wsk__conn_is_open(conn))
            return true;
    }
    wsk__conn_post(conn, WSK__POST_LOOK); /* let others have a turn */
    return true;
}

uint64_t wsk__ws_deadline(struct wsk__conn *conn)
{
    uint64_t due;

    wsk__conn_lock(conn);
    note_closing_locked(conn->ws);
    due = deadline_locked(conn);
    wsk__conn_unlock(conn);
    return due;
}

/* Ping a peer that was silent for too long, or give it up. */
static void on_silence_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    size_t owed = wsk__ws_owed_locked(conn);
    bool reading = is_reading_locked(conn);
    bool choked = owed > conn->conns->cfg->ws_send_limit;
    bool taking = wsk__ws_is_taking_locked(conn);

    /* The silence may be our doing, and a peer that takes what we send is
     * alive, though our ping may not have left yet. A peer that is not read
     * from because it does not read must at least take something. */
    if (taking || (!reading && !choked)) {
        conn->since_ms = wsk__now_ms();
    } else if (conn->ws->ping_ms > conn->since_ms &&
               conn->conns->cfg->ws_ping_timeout_ms > 0) {
        wsk__ws_fail_unread_locked(conn, 1011, "no answer to a ping",
                                   WSK__WS_PING_TIMEOUT);
    } else {
        if (wsk_ws_send_frame(&conn->ws->engine, WSK_PING, true, NULL, 0) ==
            WSK_OK)
            wsk__ping_sent(&conn->ws->ping, NULL, 0);
        conn->ws->ping_ms = wsk__now_ms();
        if (conn->ws->ping_ms <= conn->since_ms)
            conn->ws->ping_ms = conn->since_ms + 1;
    }
}

/* Close: the server leaves. */
static void leave_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    wsk_str reason = wsk__drain_reason(conn->conns);

    wsk__ws_topics_before_close_locked(conn);
    if (wsk_ws_send_close(&conn->ws->engine, conn->conns->drain.code,
                          (const uint8_t *)reason.p, reason.len) == WSK_E_NOMEM)
        wsk__ws_fail(&conn->ws->engine, 1011, "out of memory");
    wsk__ws_collect_locked(conn);
    wsk__ws_flush_locked(conn);
}

/* Let the loop read while the thread with the events is late, so that pings are
 * answered and closes seen. */
static void take_over_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;

    if (ws->caller != NULL)
        wsk__ws_keep_span_locked(conn, &wsk__websocket_of(ws->caller)->span);
    ws->caller = NULL;
    ws->rx = WSK__RX_LOOP;
    conn->drained = false;
}

/* Flush; if that was the last of both Closes, wake the thread in receive(). */
static void end_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    wsk__ws_flush_locked(conn);
    if (wsk_ws_done(&conn->ws->engine))
        wsk__ws_shut_locked(conn);
}

wsk__leads wsk__ws_expired(struct wsk__thread *th, struct wsk__conn *conn)
{
    wsk__conn_lock(conn);
    note_closing_locked(conn->ws);
    if (is_handed_out_locked(conn->ws) &&
        away_ms_locked(conn->ws) <= conn->conns->loop->now_ms) {
        take_over_locked(conn);
    } else if (leave_due_locked(conn) <= conn->conns->loop->now_ms) {
        leave_locked(conn);
    } else if (wsk_ws_can_send(&conn->ws->engine) &&
               wsk__ws_has_stalled_locked(conn)) {
        wsk__ws_give_up_locked(conn);
    } else if (message_deadline_locked(conn) <= conn->conns->loop->now_ms) {
        wsk__limit_hit_locked(conn, WSK__LIMIT_WS_RATE);
        wsk__ws_fail_limit(&conn->ws->engine, 1008, "message too slow",
                           WSK__WS_BODY_RATE);
        wsk__ws_collect_locked(conn);
        end_locked(conn);
    } else if (peer_deadline_locked(conn) > conn->conns->loop->now_ms) {
        ; /* only wsk__ws_serve() has something to do */
    } else if (wsk_ws_can_send(&conn->ws->engine)) {
        on_silence_locked(conn);
        end_locked(conn);
    } else {
        wsk__ws_give_up_locked(conn);
    }
    wsk__conn_unlock(conn);
    return wsk__ws_serve(th, conn);
}

void wsk__ws_drain(struct wsk__conn *conn)
{
    wsk__conn_lock(conn);
    wsk__ws_notice_locked(conn);
    wsk__conn_unlock(conn);
    wsk__rearm(conn);
    wsk__conn_post(conn, WSK__POST_LOOK);
}

void wsk__ws_end(struct wsk__conn *conn)
{
    wsk__conn_lock(conn);
    leave_locked(conn);
    wsk__conn_unlock(conn);
    wsk__rearm(conn);
    wsk__conn_post(conn, WSK__POST_LOOK);
}

void wsk__ws_handler_done(struct wsk__conn *conn)
{
    wsk__conn_lock(conn);
    if (conn->ws->handlers == NULL) {
        wsk__ws_topics_before_close_locked(conn);
        if (wsk_ws_send_close(&conn->ws->engine, 1000, NULL, 0) == WSK_E_NOMEM)
            wsk__ws_fail(&conn->ws->engine, 1011, "out of memory");
        wsk__ws_collect_locked(conn);
        /* No handler will fetch what is left. */
        for (struct wsk__inbox_item *left;
             (left = wsk__ws_inbox_take_locked(conn->ws)) != NULL;)
            wsk__inbox_item_free(left);
    }
    if (!conn->ws->receiving && !conn->ws->calling)
        conn->ws->rx = WSK__RX_LOOP;
    conn->drained = false;
    wsk__ws_flush_locked(conn);
    wsk__conn_unlock(conn);
}
