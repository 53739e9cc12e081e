#include "net/websocket/events.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/dispatch/call.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/gate.h"
#include "net/dispatch/thread.h"
#include "net/log/metrics.h"
#include "net/loop/loop.h"
#include "net/mailbox/inbox.h"
#include "net/mailbox/outbox.h"
#include "net/mailbox/served.h"
#include "net/mailbox/thread.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "ws/conn.h"
#include "wsocket.h"

#include <unistd.h>

enum {
    CALLS_MAX = 32, /* events of one connection before others have a turn */
};

enum due {
    DUE_NOTHING,
    DUE_CONNECT,
    DUE_NOTICE,
    DUE_ITEM,
    DUE_DRAIN,
    DUE_CLOSE
};

bool wsk__ws_events_due_locked(const struct wsk__conn *conn)
{
    wsk__assert_conn_locked(conn);
    return conn->ws->handlers != NULL && !conn->ws->calling &&
           (conn->ws->connect_due || conn->ws->inbox != NULL ||
            conn->ws->notice == WSK__NOTICE_DUE ||
            (conn->ws->ended && !conn->ws->close_fired));
}

void wsk__ws_notice_locked(struct wsk__conn *conn)
{
    struct wsk__served *ws = conn->ws;

    wsk__assert_conn_locked(conn);
    if (conn->conns->draining && ws->handlers != NULL &&
        ws->handlers->draining != NULL && ws->notice == WSK__NOTICE_NONE)
        ws->notice = WSK__NOTICE_DUE;
}

static void bad_text(struct wsk__conn *conn)
{
    wsk__conn_lock(conn);
    wsk__ws_fail(&conn->ws->engine, 1007, "text is not UTF-8");
    wsk__conn_unlock(conn);
}

/* Deliver the event in hand. A masked message lies in this thread's own buffer.
 */
static void deliver_item(struct wsk__thread *th, struct wsk__conn *conn)
{
    const wsk_ws_handlers *on = conn->ws->handlers;
    void *user = conn->ws->handlers_user;
    wsk_message *msg = &wsk__websocket_of(th)->item.msg;
    wsk_ws_event_kind kind = wsk__websocket_of(th)->item.kind;

    if (msg->masked && !on->masked) {
        uint8_t *at = th->rx + ((const uint8_t *)msg->data - th->rx);

        if (!wsk_message_copy(msg, at) && msg->opcode == WSK_TEXT &&
            !wsk__utf8_valid(at, msg->len)) {
            bad_text(conn);
            kind = WSK_WS_NONE;
        }
        msg->masked = false;
    }
    if (kind == WSK_WS_MESSAGE && on->message != NULL)
        on->message(&conn->ws->handle, msg, user);
    else if (kind == WSK_WS_PING && on->ping != NULL)
        on->ping(&conn->ws->handle, msg, user);
    else if (kind == WSK_WS_PONG && on->pong != NULL)
        on->pong(&conn->ws->handle, msg, user);
    wsk_message_free(msg);
    wsk__websocket_of(th)->item.kind = WSK_WS_NONE;
}

static enum due next_due_locked(struct wsk__thread *th,
                                struct wsk__conn *conn) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;
    struct wsk__inbox_item *item;

    if (wsk__websocket_of(th)->item.kind != WSK_WS_NONE)
        return DUE_ITEM;
    if (ws->connect_due) {
        ws->connect_due = false;
        return DUE_CONNECT;
    }
    if (ws->notice == WSK__NOTICE_DUE && wsk_ws_can_send(&ws->engine)) {
        ws->notice = WSK__NOTICE_RUNS;
        return DUE_NOTICE;
    }
    if (ws->notice == WSK__NOTICE_DUE) /* too late */
        ws->notice = WSK__NOTICE_DONE;
    item = wsk__ws_inbox_take_locked(ws);
    if (item != NULL) {
        wsk__websocket_of(th)->item = *item;
        wsk__free(item);
        return DUE_ITEM;
    }
    if (ws->caller == th && wsk__websocket_of(th)->span.len == 0 &&
        ws->in != NULL)
        wsk__ws_take_in_hand_locked(th, conn, false);
    if (ws->caller == th &&
        wsk__ws_pull_locked(conn, &wsk__websocket_of(th)->span,
                            &wsk__websocket_of(th)->item))
        return DUE_ITEM;
    if (wsk__ws_has_drained_locked(conn)) {
        ws->drain_due = ws->dropped = false;
        return DUE_DRAIN;
    }
    if (ws->ended && !ws->close_fired) {
        ws->close_fired = true;
        return DUE_CLOSE;
    }
    return DUE_NOTHING;
}

static void deliver(struct wsk__thread *th, struct wsk__conn *conn,
                    enum due due)
{
    const wsk_ws_handlers *on = conn->ws->handlers;
    wsk_close_info info;

    switch (due) {
    case DUE_NOTHING:
        break;
    case DUE_CONNECT:
        if (on->connect != NULL)
            on->connect(&conn->ws->handle, conn->ws->handlers_user);
        break;
    case DUE_NOTICE:
        on->draining(&conn->ws->handle, conn->ws->handlers_user);
        wsk__conn_lock(conn);
        conn->ws->notice = WSK__NOTICE_DONE;
        wsk__conn_unlock(conn);
        wsk__conn_post(conn, WSK__POST_LOOK); /* the Close waits for it */
        break;
    case DUE_ITEM:
        deliver_item(th, conn);
        break;
    case DUE_DRAIN:
        on->drain(&conn->ws->handle, conn->ws->handlers_user);
        break;
    case DUE_CLOSE:
        wsk__conn_lock(conn);
        info = wsk__ws_close_info_locked(conn->ws);
        wsk__conn_unlock(conn);
        if (on->close != NULL)
            on->close(&conn->ws->handle, &info, conn->ws->handlers_user);
        break;
    }
}

/* Stop delivering events on this thread: return unparsed input and flush what
 * the callbacks sent. */
static void stop_delivering_locked(struct wsk__thread *th,
                                   struct wsk__conn *conn) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;

    if (ws->caller == th) {
        wsk__ws_keep_span_locked(conn, &wsk__websocket_of(th)->span);
        ws->caller = NULL;
        ws->corked = false;
    }
    wsk__ws_collect_locked(conn);
    wsk__ws_flush_locked(conn);
}

/* Let the loop read again, when all events were delivered. It must look at once
 * where a level-triggered poller has to be told that there is room. */
static enum wsk__calls finish_locked(struct wsk__thread *th,
                                     struct wsk__conn *conn) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;

    stop_delivering_locked(th, conn);
    if (ws->inbox != NULL || (ws->ended && !ws->close_fired))
        return WSK__CALLS_MORE;
    ws->calling = false;
    ws->rx = WSK__RX_LOOP;
    return !conn->conns->loop->edge || !conn->drained || ws->in != NULL ||
                   wsk_ws_done(&ws->engine) || !wsk__conn_is_open(conn) ||
                   wsk__ws_has_drained_locked(conn)
               ? WSK__CALLS_LOOK
               : WSK__CALLS_DONE;
}

/* Observe how long the event has taken that was delivered since *began, if one
 * was; another may begin now. */
static void count_event_locked(const struct wsk__conn *conn, bool delivered,
                               uint64_t *began) WSK__CONN_LOCKED
{
    wsk__number *numbers = wsk__conn_numbers_locked(conn);
    uint64_t now;

    if (numbers == NULL || !delivered)
        return;
    now = wsk__now_ns();
    wsk__observe(&numbers[WSK__N_WS_EVENT - WSK__N_WS], wsk__bounds_short,
                 now - *began);
    *began = now;
}

enum wsk__calls wsk__ws_call(struct wsk__thread *th, struct wsk__conn *conn,
                             bool in_hand)
{
    struct wsk__served *ws = conn->ws;
    enum due due = in_hand && wsk__websocket_of(th)->item.kind != WSK_WS_NONE
                       ? DUE_ITEM
                       : DUE_NOTHING;
    enum wsk__calls calls = WSK__CALLS_MORE;
    uint64_t began = conn->conns->metrics != NULL ? wsk__now_ns() : 0;

    for (int i = 0; i < CALLS_MAX && calls == WSK__CALLS_MORE; i++) {
        if (due == DUE_NOTHING) {
            wsk__conn_lock(conn);
            count_event_locked(conn, i > 0, &began);
            if (!in_hand && ws->caller == NULL && ws->rx == WSK__RX_HANDLER) {
                ws->caller = th;
                wsk__websocket_of(th)->span.len = 0;
            }
            due = next_due_locked(th, conn);
            if (due == DUE_NOTHING)
                calls = finish_locked(th, conn);
            wsk__conn_unlock(conn);
        }
        deliver(th, conn, due);
        due = DUE_NOTHING;
        if (wsk__forked(conn->conns->life))
            return WSK__CALLS_DONE;
    }
    if (calls == WSK__CALLS_MORE) {
        wsk__conn_lock(conn);
        count_event_locked(conn, true, &began);
        stop_delivering_locked(th, conn);
        wsk__conn_unlock(conn);
    }
    return calls;
}

/* Put the event in hand into the inbox: another thread will deliver it. */
static void put_back(struct wsk__thread *th, struct wsk__conn *conn)
{
    wsk__conn_lock(conn);
    if (wsk__websocket_of(th)->item.kind != WSK_WS_NONE &&
        wsk__ws_own_locked(conn, &wsk__websocket_of(th)->item.msg))
        wsk__ws_inbox_put_locked(conn, &wsk__websocket_of(th)->item);
    wsk__websocket_of(th)->item.kind = WSK_WS_NONE;
    stop_delivering_locked(th, conn);
    wsk__conn_unlock(conn);
}

/* Leave further events to the leader's next look. */
static void leave_to_leader(struct wsk__conn *conn)
{
    wsk__conn_lock(conn);
    conn->ws->calling = false;
    conn->ws->rx = WSK__RX_LOOP;
    wsk__conn_unlock(conn);
}

wsk__leads wsk__ws_call_events(struct wsk__thread *th, struct wsk__conn *conn,
                               enum wsk__calls *calls)
{
    wsk__leads leads;

    wsk__conn_ref(conn);
    *calls = WSK__CALLS_DONE;
    if (!wsk__call_begin(th, &conn->call)) {
        put_back(th, conn);
        if (wsk__conn_is_open(conn))
            wsk__rearm(conn);
        wsk__call_queue(th->dispatch,
                        &conn->call); /* the reference goes with it */
        return true;
    }
    wsk__gate_enter(th);
    *calls = wsk__ws_call(th, conn, true);
    leads = wsk__call_end(th);
    if (*calls == WSK__CALLS_MORE && !leads) {
        wsk__call_queue(th->dispatch, &conn->call);
        return false;
    }
    if (*calls == WSK__CALLS_MORE) {
        leave_to_leader(conn);
        *calls = WSK__CALLS_LOOK;
    }
    if (!leads)
        wsk__conn_post(conn, WSK__POST_RUN);
    wsk__conn_unref(conn);
    return leads;
}

/* ------------------------------------------------ as a call of dispatch --- */

static void run_call(struct wsk__thread *th, struct wsk__call *call)
{
    struct wsk__conn *conn = wsk__conn_of_call(call);
    enum wsk__calls calls;

    wsk__gate_enter(th);
    calls = wsk__ws_call(th, conn, false);
    wsk__call_end(th);
    if (calls == WSK__CALLS_MORE) {
        wsk__call_queue(th->dispatch, call);
    } else {
        wsk__conn_post(conn, WSK__POST_RUN);
        wsk__conn_unref(conn); /* taken when its events were queued */
    }
}

static void on_late(struct wsk__call *call)
{
    wsk__assert_dispatch_locked();
    wsk__conn_post_locked(wsk__conn_of_call(call), WSK__POST_UNCORK);
}

static void on_away(struct wsk__call *call)
{
    wsk__assert_dispatch_locked();
    wsk__conn_post_locked(wsk__conn_of_call(call), WSK__POST_AWAY);
}

static void on_dropped(struct wsk__call *call)
{
    struct wsk__conn *conn = wsk__conn_of_call(call);

    conn->busy = false;
    wsk__conn_unref(conn); /* taken when its events were queued */
}

const struct wsk__call_ops wsk__ws_call_ops = {
    .run = run_call,
    .late = on_late,
    .away = on_away,
    .dropped = on_dropped,
};
