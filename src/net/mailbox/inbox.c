#include "net/mailbox/inbox.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/dispatch/thread.h"
#include "net/handle/ping.h"
#include "net/log/limits.h"
#include "net/log/metrics.h"
#include "net/mailbox/load.h"
#include "net/mailbox/long_message.h"
#include "net/mailbox/outbox.h"
#include "net/mailbox/served.h"
#include "net/mailbox/thread.h"
#include "net/mailbox/topics.h"
#include "net/os/clock.h"
#include "net/os/stream.h"
#include "ws/conn.h"
#include "wsocket.h"

#include <string.h>
#include <sys/types.h>

enum { CONTROLS_MAX = 16 }; /* pings and pongs in the inbox */

/* Return true if the handler wants this event. Pings that are not fetched must
 * not stand in the way of messages. */
static bool is_wanted_locked(const struct wsk__served *ws,
                             wsk_ws_event_kind kind) WSK__CONN_LOCKED
{
    if (kind == WSK_WS_MESSAGE || kind == WSK_WS_PIECE)
        return true;
    if (!ws->hear || ws->control_n >= CONTROLS_MAX)
        return false;
    if (ws->handlers == NULL)
        return true;
    return kind == WSK_WS_PING ? ws->handlers->ping != NULL
                               : ws->handlers->pong != NULL;
}

static void out_of_memory(struct wsk__conn *conn)
{
    wsk__ws_fail(&conn->ws->engine, 1011, "out of memory");
}

static bool is_control(const struct wsk__inbox_item *entry)
{
    return entry->kind == WSK_WS_PING || entry->kind == WSK_WS_PONG;
}

void wsk__ws_inbox_put_locked(struct wsk__conn *conn,
                              const struct wsk__inbox_item *item)
{
    struct wsk__served *ws = conn->ws;
    struct wsk__inbox_item *newest = ws->inbox;
    struct wsk__inbox_item *entry = wsk__memdup(item, sizeof(*item));

    wsk__assert_conn_locked(conn);
    if (entry == NULL) {
        wsk__free(item->msg.block);
        out_of_memory(conn);
        return;
    }
    entry->next = newest != NULL ? newest->next : entry;
    if (newest != NULL)
        newest->next = entry;
    ws->inbox = entry;
    if (is_control(entry))
        ws->control_n++;
    else if (++ws->inbox_n == conn->conns->cfg->ws_max_queue)
        wsk__limit_hit_locked(conn, WSK__LIMIT_INBOX);
    ws->inbox_bytes += entry->msg.len;
}

struct wsk__inbox_item *wsk__ws_inbox_take_locked(struct wsk__served *ws)
{
    struct wsk__inbox_item *newest = ws->inbox, *oldest;

    if (newest == NULL)
        return NULL;
    oldest = newest->next;
    if (oldest == newest)
        ws->inbox = NULL;
    else
        newest->next = oldest->next;
    if (is_control(oldest))
        ws->control_n--;
    else
        ws->inbox_n--;
    ws->inbox_bytes -= oldest->msg.len;
    return oldest;
}

/* Turn an event into an item that owns its bytes. False: memory is out. */
static bool take_event(struct wsk__served *ws, const wsk_ws_event *ev,
                       struct wsk__inbox_item *item)
{
    *item = (struct wsk__inbox_item){.kind = ev->kind,
                                     .msg = {.opcode = ev->opcode,
                                             .len = ev->len,
                                             .more = ev->kind == WSK_WS_PIECE}};
    if (ev->kind == WSK_WS_MESSAGE)
        wsk_ws_take_message(&ws->engine, &item->msg.block);
    else
        item->msg.block = wsk__memdup(ev->data, ev->len);
    item->msg.data = item->msg.block;
    return ev->kind == WSK_WS_MESSAGE || item->msg.block != NULL;
}

static void count_end_locked(const struct wsk__served *ws,
                             uint16_t code) WSK__CONN_LOCKED
{
    wsk__number *numbers = wsk__conn_numbers_locked(ws->conn);

    if (numbers == NULL)
        return;
    wsk__add(&numbers[WSK__N_WS_CLOSES - WSK__N_WS + wsk__close_place(code)],
             1);
    wsk__observe(&numbers[WSK__N_WS_DURATION - WSK__N_WS], wsk__bounds_long,
                 (wsk__now_ms() - ws->opened_ms) * 1000000);
}

/* Note the end; without memory for its reason, without one. */
static void end_locked(struct wsk__conn *conn,
                       const wsk_ws_event *ev) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;
    wsk_close_info sent;

    wsk__ws_tell_sent(&ws->engine, &sent);
    if (sent.failed && sent.sent_code == 1009)
        wsk__limit_hit_locked(conn, WSK__LIMIT_WS_SIZE);
    ws->ended = true;
    wsk__ws_leave_topics_locked(conn);
    ws->arriving = false; /* `reason` takes the place of `arrival` */
    ws->paused_ms = 0;
    ws->reason = ev->len > 0 ? wsk__memdup(ev->data, ev->len) : NULL;
    count_end_locked(ws, ev->code);
    if (ws->reason != NULL)
        ws->reason_len = (uint8_t)ev->len;
}

wsk_close_info wsk__ws_close_info_locked(const struct wsk__served *ws)
{
    wsk_close_info info = {.code = 1006, .len = ws->reason_len};

    wsk__assert_conn_locked(ws->conn);
    if (ws->ended)
        wsk__ws_tell_end(&ws->engine, &info);
    if (info.len > 0)
        memcpy(info.reason, ws->reason, info.len);
    wsk__ws_tell_sent(&ws->engine, &info);
    return info;
}

/* Count for the access log, and for the metrics. */
static void count_in_locked(struct wsk__served *ws,
                            const struct wsk__inbox_item *item) WSK__CONN_LOCKED
{
    wsk__number *numbers = wsk__conn_numbers_locked(ws->conn);

    if (item->kind != WSK_WS_MESSAGE)
        return;
    ws->messages_in++;
    ws->octets_in += item->msg.len;
    if (numbers == NULL)
        return;
    wsk__add(&numbers[WSK__N_WS_MESSAGES - WSK__N_WS], 1);
    wsk__add(&numbers[WSK__N_WS_BYTES - WSK__N_WS], item->msg.len);
}

static void pong_locked(struct wsk__served *ws,
                        const wsk_ws_event *ev) WSK__CONN_LOCKED
{
    wsk__number *numbers = wsk__conn_numbers_locked(ws->conn);

    if (!ws->closing)
        ws->ping_ms = 0;
    if (wsk__ping_answered(&ws->ping, ev) && numbers != NULL)
        wsk__observe(&numbers[WSK__N_WS_PING - WSK__N_WS], wsk__bounds_short,
                     (uint64_t)ws->ping.latency_us * 1000);
}

/* Fetch the engine's next event for the application into *item, and act on
 * those before it. False: there is none. */
static bool next_event_locked(struct wsk__conn *conn,
                              struct wsk__inbox_item *item) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;

    for (;;) {
        wsk_ws_event ev = wsk_ws_next(&ws->engine);

        if (ev.kind == WSK_WS_NONE)
            return false;
        if (ev.kind == WSK_WS_PONG)
            pong_locked(ws, &ev);
        if (ev.kind == WSK_WS_CLOSED) {
            end_locked(conn, &ev);
        } else if (is_wanted_locked(ws, ev.kind)) {
            if (take_event(ws, &ev, item)) {
                count_in_locked(ws, item);
                return true;
            }
            out_of_memory(conn);
        }
    }
}

void wsk__ws_collect_locked(struct wsk__conn *conn)
{
    struct wsk__inbox_item item;

    wsk__assert_conn_locked(conn);
    while (next_event_locked(conn, &item))
        wsk__ws_inbox_put_locked(conn, &item);
}

bool wsk__ws_pull_locked(struct wsk__conn *conn, wsk_str *span,
                         struct wsk__inbox_item *item)
{
    struct wsk_ws *engine = &conn->ws->engine;

    wsk__assert_conn_locked(conn);
    while (!next_event_locked(conn, item)) {
        const uint8_t *data = (const uint8_t *)span->p;
        size_t used = 0;
        wsk_status st = WSK_OK;

        if (wsk__ws_pong_waits(
                engine)) /* the queue has room, unless the peer is slow */
            wsk__ws_flush_locked(conn);
        if (span->len == 0 || wsk__ws_holds_one(engine))
            return false;
        item->kind = WSK_WS_NONE;
        used = wsk__ws_take_whole(engine, data, span->len, &item->msg);
        if (used > 0) {
            item->kind = WSK_WS_MESSAGE;
            count_in_locked(conn->ws, item);
        } else {
            st = wsk_ws_feed(engine, data, span->len, &used);
        }
        if (st == WSK_E_NOMEM)
            out_of_memory(conn);
        if (st == WSK_E_STATE)
            used = span->len; /* closed: the rest is dropped */
        span->p += used;
        span->len -= used;
        if (item->kind != WSK_WS_NONE)
            return true;
    }
    return true;
}

/* Unmask a borrowed message into `to`. False: the text is not UTF-8 (8.1), and
 * the connection has failed. */
static bool unmask_locked(struct wsk__conn *conn, wsk_message *msg,
                          void *to) WSK__CONN_LOCKED
{
    if (!wsk_message_copy(msg, to) && msg->opcode == WSK_TEXT &&
        !wsk__utf8_valid(to, msg->len)) {
        wsk__ws_fail(&conn->ws->engine, 1007, "text is not UTF-8");
        return false;
    }
    msg->data = to;
    msg->masked = false;
    return true;
}

bool wsk__ws_own_locked(struct wsk__conn *conn, wsk_message *msg)
{
    wsk__assert_conn_locked(conn);
    if (!msg->masked)
        return true;
    msg->block = wsk__alloc(msg->len);
    if (msg->block == NULL) {
        out_of_memory(conn);
        return false;
    }
    if (unmask_locked(conn, msg, msg->block))
        return true;
    wsk__free(msg->block);
    return false;
}

bool wsk__ws_keep_locked(struct wsk__served *ws, const void *data, size_t len)
{
    if (len == 0)
        return true;
    if (ws->in == NULL) {
        ws->in = wsk__alloc(sizeof(*ws->in));
        if (ws->in == NULL)
            return false;
        wsk__buf_init(ws->in, SIZE_MAX / 4);
    }
    return wsk__buf_put(ws->in, data, len);
}

static void free_kept(struct wsk__buf *in)
{
    if (in != NULL)
        wsk__buf_free(in);
    wsk__free(in);
}

void wsk__ws_drop_kept_locked(struct wsk__served *ws)
{
    free_kept(ws->in);
    ws->in = NULL;
}

/* Return the unparsed input; a queue that is kept is never empty. */
static wsk_str kept(const struct wsk__buf *in)
{
    if (in == NULL)
        return (wsk_str){NULL, 0};
    return (wsk_str){(const char *)wsk__buf_data(in), wsk__buf_len(in)};
}

static void ack_kept_locked(struct wsk__served *ws, size_t n) WSK__CONN_LOCKED
{
    wsk__buf_ack(ws->in, n);
    if (wsk__buf_len(ws->in) == 0)
        wsk__ws_drop_kept_locked(ws);
}

void wsk__ws_keep_span_locked(struct wsk__conn *conn, wsk_str *span)
{
    struct wsk__served *ws = conn->ws;
    struct wsk__buf *later = ws->in;
    wsk_str rest = kept(later);

    wsk__assert_conn_locked(conn);
    if (span->len == 0)
        return;
    ws->in = NULL;
    if (!wsk__ws_keep_locked(ws, span->p, span->len) ||
        !wsk__ws_keep_locked(ws, rest.p, rest.len))
        out_of_memory(conn);
    free_kept(later);
    span->len = 0;
}

bool wsk__ws_inbox_is_full_locked(const struct wsk__conn *conn)
{
    const wsk_server_config *cfg = conn->conns->cfg;

    wsk__assert_conn_locked(conn);
    return conn->ws->inbox_n >= cfg->ws_max_queue ||
           wsk__ws_is_past_memory_locked(conn) ||
           wsk__ws_holds_one(&conn->ws->engine) ||
           (conn->ws->inbox_n > 0 &&
            conn->ws->inbox_bytes >= cfg->limits.ws_max_size);
}

/* Parse into the inbox, as far as there is room. */
static void store_locked(struct wsk__conn *conn, wsk_str *span) WSK__CONN_LOCKED
{
    struct wsk__inbox_item item;

    while (!wsk__ws_inbox_is_full_locked(conn) &&
           wsk__ws_pull_locked(conn, span, &item))
        if (wsk__ws_own_locked(conn, &item.msg))
            wsk__ws_inbox_put_locked(conn, &item);
}

void wsk__ws_eof_locked(struct wsk__conn *conn)
{
    wsk__assert_conn_locked(conn);
    conn->eof = true;
    wsk_ws_feed_eof(&conn->ws->engine);
    wsk__ws_collect_locked(conn);
}

void wsk__ws_hear_locked(struct wsk__conn *conn)
{
    wsk__assert_conn_locked(conn);
    conn->since_ms = wsk__now_ms();
    wsk__ws_count_locked(conn);
}

/* Read once from the descriptor, and note an end. Returns the bytes that are
 * now in the thread's buffer; 0: there are none, or they went to their message.
 */
static size_t receive_locked(struct wsk__thread *th,
                             struct wsk__conn *conn) WSK__CONN_LOCKED
{
    size_t size = WSK__RX_SIZE;
    uint8_t *room;
    ssize_t n;

    if (conn->eof || conn->ws->shut || conn->drained ||
        wsk__ws_inbox_is_full_locked(conn) ||
        wsk__ws_owed_locked(conn) > conn->conns->cfg->ws_send_limit)
        return 0;
    room = wsk__long_message_room_locked(conn, &size);
    n = wsk__stream_recv(&conn->stream, room != NULL ? room : th->rx, size);
    if (n < 0 && wsk__stream_is_full()) {
        conn->drained = true;
        if (wsk__stream_has_heard(&conn->stream))
            wsk__ws_hear_locked(conn);
        return 0;
    }
    if (n <= 0) {
        wsk__ws_eof_locked(conn);
        return 0;
    }
    /* A short read has emptied the descriptor: no second one is needed. */
    conn->drained = wsk__stream_is_dry(&conn->stream, n, size) && !conn->hup;
    conn->since_ms = wsk__now_ms();
    if (room == NULL)
        return (size_t)n;
    wsk__long_message_came_locked(conn, room, (size_t)n);
    return 0;
}

void wsk__ws_read_locked(struct wsk__thread *th, struct wsk__conn *conn)
{
    struct wsk__buf *in = conn->ws->in;
    wsk_str span = kept(in);

    wsk__assert_conn_locked(conn);
    if (wsk__ws_inbox_is_full_locked(conn))
        return;
    if (span.len == 0)
        span = (wsk_str){(const char *)th->rx, receive_locked(th, conn)};
    conn->ws->in = NULL;
    store_locked(conn, &span);
    wsk__ws_keep_span_locked(conn, &span);
    free_kept(in);
    wsk__ws_flush_locked(conn);
}

void wsk__ws_take_in_hand_locked(struct wsk__thread *th, struct wsk__conn *conn,
                                 bool leads)
{
    wsk_str in = kept(conn->ws->in);
    size_t n = in.len < WSK__RX_SIZE ? in.len : WSK__RX_SIZE;

    wsk__assert_conn_locked(conn);
    if (n > 0) {
        memcpy(th->rx, in.p, n);
        ack_kept_locked(conn->ws, n);
    } else if (leads) {
        n = receive_locked(th, conn);
    }
    wsk__websocket_of(th)->span = (wsk_str){(const char *)th->rx, n};
}

/* Move a borrowed message into rx if one was given and is large enough;
 * otherwise copy it to memory of its own. */
static bool move_or_own_locked(struct wsk__conn *conn,
                               struct wsk__inbox_item *item, uint8_t *rx,
                               wsk_message *msg) WSK__CONN_LOCKED
{
    if (!item->msg.masked || rx == NULL || item->msg.len > WSK__RX_SIZE) {
        if (!wsk__ws_own_locked(conn, &item->msg))
            return false;
    } else if (item->msg.data < rx || item->msg.data >= rx + WSK__RX_SIZE) {
        memcpy(rx, item->msg.data, item->msg.len);
        item->msg.data = rx;
    }
    *msg = item->msg;
    return true;
}

static bool fetch_from_inbox_locked(struct wsk__served *ws,
                                    wsk_message *msg) WSK__CONN_LOCKED
{
    struct wsk__inbox_item *entry = wsk__ws_inbox_take_locked(ws);

    if (entry == NULL)
        return false;
    *msg = entry->msg;
    wsk__free(entry);
    return true;
}

bool wsk__ws_fetch_ready_locked(struct wsk__conn *conn, uint8_t *rx,
                                wsk_message *msg)
{
    struct wsk__served *ws = conn->ws;
    struct wsk__inbox_item item = {.kind = WSK_WS_MESSAGE};
    wsk_str in = kept(ws->in);
    size_t used;
    bool got;

    wsk__assert_conn_locked(conn);
    if (fetch_from_inbox_locked(ws, msg))
        return true;
    used = wsk__ws_take_whole(&ws->engine, (const uint8_t *)in.p, in.len,
                              &item.msg);
    if (used == 0)
        return false;
    count_in_locked(ws, &item);
    got = move_or_own_locked(conn, &item, rx, msg);
    ack_kept_locked(ws, used);
    return got;
}

bool wsk__ws_fetch_locked(struct wsk__conn *conn, uint8_t *rx, wsk_message *msg)
{
    struct wsk__served *ws = conn->ws;
    struct wsk__inbox_item item;
    wsk_str span = kept(ws->in);
    size_t had = span.len;
    bool got = fetch_from_inbox_locked(ws, msg);

    wsk__assert_conn_locked(conn);
    if (got)
        return true;
    while (!got && wsk__ws_pull_locked(conn, &span, &item))
        got = move_or_own_locked(conn, &item, rx, msg);
    if (had > 0)
        ack_kept_locked(ws, had - span.len);
    return got;
}

bool wsk__ws_received_locked(struct wsk__conn *conn, const uint8_t *data,
                             ssize_t n, uint8_t *rx, wsk_message *msg)
{
    wsk_str span = {(const char *)data, n > 0 ? (size_t)n : 0};
    struct wsk__inbox_item item;
    bool got = false;

    wsk__assert_conn_locked(conn);
    if (n <= 0) {
        if (!conn->ws->shut)
            wsk__ws_eof_locked(conn);
        return wsk__ws_fetch_locked(conn, rx, msg);
    }
    conn->since_ms = wsk__now_ms();
    while (!got && wsk__ws_pull_locked(conn, &span, &item)) {
        /* Keep the rest before rx is written to. */
        wsk__ws_keep_span_locked(conn, &span);
        got = move_or_own_locked(conn, &item, rx, msg);
        if (!got)
            return wsk__ws_fetch_locked(conn, rx, msg);
    }
    wsk__ws_keep_span_locked(conn, &span);
    return got;
}

void wsk__inbox_item_free(struct wsk__inbox_item *entry)
{
    wsk_message_free(&entry->msg);
    wsk__free(entry);
}
