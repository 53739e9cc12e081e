/* WebSockets between the descriptor, the engine and whoever waits for their
 * messages. The engine, the mail and every flag of the WebSocket stand under
 * wsk__conn_lock(); the read side of the descriptor has one owner
 * (conn->ws->rx). */
#include "net/pump.h"

#include "base/mem.h"
#include "net/deadline.h"
#include "net/dispatch.h"
#include "net/loop.h"
#include "ws/deflate.h"
#include "ws/frame.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CALLS_MAX = 32, /* events of one connection in one go */
    READS_MAX = 16, /* and reads */
    AWAY_MS = 50,   /* then the loop reads for who delivers its events */
};

/* -------------------------------------------------------------- birth --- */

/* Windows that are kept live under one budget. */
static bool reserve_deflate(wsk_server *srv, struct wsk__socket *ws,
                            size_t bytes)
{
    size_t had = atomic_fetch_add(&srv->deflate_bytes, bytes);

    ws->deflate_bytes = (uint32_t)bytes;
    return had + bytes <= srv->cfg.ws_compression_memory;
}

static void release_deflate(wsk_server *srv, struct wsk__socket *ws)
{
    atomic_fetch_sub(&srv->deflate_bytes, ws->deflate_bytes);
    ws->deflate_bytes = 0;
}

/* What the options allow of what the client offers. */
static bool agree_deflate(const struct wsk_conn *conn, struct wsk__socket *ws,
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
static struct wsk__socket *socket_new(const struct wsk__exchange *h,
                                      const char *protocol)
{
    size_t peer = strlen(h->peer.text) + 1, local = strlen(h->local.text) + 1;
    size_t proto = protocol != NULL ? strlen(protocol) + 1 : 0, head_len;
    size_t prefix = h->via != NULL && h->via->prefix[0] != '\0'
                        ? strlen(h->via->prefix) + 1
                        : 0;
    size_t host = h->via != NULL && h->via->host[0] != '\0'
                      ? strlen(h->via->host) + 1
                      : 0;
    const char *head = wsk__http_head_text(&h->http, &head_len);
    size_t size = offsetof(struct wsk__socket, text) + peer + local + proto +
                  prefix + host + head_len;
    struct wsk__socket *ws = wsk__calloc(size);
    char *at;

    if (ws == NULL)
        return NULL;
    ws->block = (uint32_t)size;
    ws->peer_port = h->peer.port;
    ws->local_port = h->local.port;
    ws->local_at = (uint16_t)peer;
    ws->protocol_at = proto > 0 ? (uint16_t)(peer + local) : 0;
    ws->prefix_at = prefix > 0 ? (uint16_t)(peer + local + proto) : 0;
    ws->host_at = host > 0 ? (uint16_t)(peer + local + proto + prefix) : 0;
    ws->head_len = (uint32_t)head_len;
    ws->https = h->via != NULL && h->via->https;
    at = ws->text;
    append(&at, head, head_len);
    append(&at, h->peer.text, peer);
    append(&at, h->local.text, local);
    if (proto > 0)
        append(&at, protocol, proto);
    if (prefix > 0)
        append(&at, h->via->prefix, prefix);
    if (host > 0)
        append(&at, h->via->host, host);
    return ws;
}

struct wsk__socket *wsk__ws_prepare(struct wsk_conn *conn, const char *protocol,
                                    char extensions[WSK_WS_DEFLATE_TEXT])
{
    struct wsk__socket *ws = socket_new(conn->h, protocol);
    wsk_ws_deflate agreed;

    extensions[0] = '\0';
    if (ws == NULL)
        return NULL;
    wsk__ws_init(&ws->engine, &conn->srv->cfg.limits);
    if (agree_deflate(conn, ws, &agreed, extensions))
        wsk__ws_set_deflate(&ws->engine, &agreed, &conn->srv->pool);
    ws->rx = WSK__RX_HANDLER;
    ws->latency_us = UINT32_MAX;
    wsk__ws_hold(&ws->engine, true);
    atomic_fetch_add(&conn->srv->heads, ws->block);
    return ws;
}

static void free_mail(struct wsk__mail *mail)
{
    wsk_message_free(&mail->msg);
    wsk__free(mail);
}

void wsk__ws_discard(wsk_server *srv, struct wsk__socket *ws)
{
    struct wsk__mail *mail;

    while ((mail = wsk__ws_next_mail(ws)) != NULL)
        free_mail(mail);
    release_deflate(srv, ws);
    atomic_fetch_sub(&srv->held, ws->held);
    atomic_fetch_sub(&srv->heads, ws->block);
    wsk__ws_clear(&ws->engine);
    wsk__ws_drop_kept(ws);
    wsk__free(ws->reason);
    wsk__free(ws);
}

/* What HTTP has left to send and to read is the WebSocket's from now on. */
static bool inherit(struct wsk__socket *ws, struct wsk__exchange *h)
{
    size_t len;
    const uint8_t *data = wsk_http_out_buf(&h->http, &len);

    if (len > 0 && !wsk__ws_send_raw(&ws->engine, data, len))
        return false;
    ws->begun = len;
    wsk_http_out_ack(&h->http, len);
    return wsk__ws_keep(ws, wsk__buf_data(&h->in), wsk__buf_len(&h->in));
}

bool wsk__ws_open(struct wsk__thread *th, struct wsk_conn *conn,
                  struct wsk__socket *ws)
{
    if (!inherit(ws, conn->h))
        return false;
    wsk_conn_ref(conn); /* the request's, until its handler has returned */
    wsk__conn_lock(conn);
    conn->since_ms = ws->opened_ms = wsk__now_ms();
    conn->kind = WSK__WS;
    conn->ws = ws;
    atomic_fetch_add(&conn->srv->n_websockets, 1);
    wsk__conn_unlock(conn);
    wsk__call_upgraded(th, conn);
    if (conn->srv->draining) /* it was told before it was a WebSocket */
        wsk__ws_goaway(conn);
    wsk__post(conn, WSK__POST_LOOK); /* for its deadlines */
    return true;
}

/* ------------------------------------------------------------- output --- */

void wsk__ws_sent_locked(struct wsk__socket *ws)
{
    ws->sent_ms = wsk__now_ms();
    ws->stalled = false;
}

static enum wsk__io flush_buf(struct wsk_conn *conn, const uint8_t *data,
                              size_t len, size_t *sent)
{
    *sent = 0;
    while (*sent < len) {
        ssize_t n = conn->fd < 0 ? (errno = EPIPE, -1)
                                 : send(conn->fd, data + *sent, len - *sent,
                                        MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
            wsk__ws_stall_begin_locked(conn);
            return WSK__IO_WAIT;
        }
        if (n < 0)
            return WSK__IO_GONE;
        *sent += (size_t)n;
        wsk__ws_sent_locked(conn->ws);
    }
    return WSK__IO_DONE;
}

/* `sent` octets of a queue of whole frames behind `begun` octets are leaving:
 * what must follow them. */
static size_t begun_after(const uint8_t *data, size_t begun, size_t sent)
{
    while (begun < sent) {
        struct wsk__frame frame;
        uint8_t size = WSK__FRAME_START;

        wsk__frame_start(data + begun, WSK__MASK_NEVER, true, &size);
        wsk__frame_read(data + begun, &frame);
        begun += size + (size_t)frame.len;
    }
    return begun - sent;
}

enum wsk__io wsk__ws_flush_locked(struct wsk_conn *conn)
{
    size_t len, sent;
    const uint8_t *data;
    struct wsk__out *none = NULL;
    enum wsk__io io = WSK__IO_DONE;

    if (wsk__forked(conn->srv))
        return WSK__IO_GONE;
    /* An acknowledged octet may make room for a pong that had to wait. */
    while (io == WSK__IO_DONE &&
           (data = wsk_ws_out_buf(&conn->ws->engine, &len)) != NULL) {
        io = flush_buf(conn, data, len, &sent);
        conn->ws->begun =
            sent == len ? 0 : begun_after(data, conn->ws->begun, sent);
        wsk_ws_out_ack(&conn->ws->engine, sent);
    }
    /* An idle connection owns no queue. */
    wsk__ws_return(&conn->ws->engine,
                   wsk__self != NULL ? &wsk__self->ws_out : &none);
    wsk__out_free(none);
    wsk__ws_account_locked(conn);
    return io;
}

/* What its peer does not read is freed, but for what has begun to leave. */
static void drop_unread_locked(struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;
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

void wsk__ws_fail_unread_locked(struct wsk_conn *conn, uint16_t code,
                                const char *reason, const char *option)
{
    drop_unread_locked(conn);
    wsk__ws_fail_limit(&conn->ws->engine, code, reason, option);
    wsk__ws_collect_locked(conn);
}

size_t wsk__ws_owed_locked(const struct wsk_conn *conn)
{
    size_t len;

    wsk_ws_out_buf(&conn->ws->engine, &len);
    return len;
}

bool wsk__ws_is_full_locked(const struct wsk_conn *conn, uint64_t limit)
{
    size_t owed = wsk__ws_owed_locked(conn);

    return owed > limit || (owed > 0 && wsk__ws_is_over_locked(conn));
}

void wsk__ws_await_drain_locked(const struct wsk_conn *conn)
{
    const wsk_ws_handlers *on = conn->ws->handlers;

    if (on != NULL && on->drain != NULL)
        conn->ws->drain_due = true;
}

/* A message that was dropped may be as long as ws_send_max: it shall find room.
 */
bool wsk__ws_has_drained_locked(const struct wsk_conn *conn)
{
    const struct wsk__socket *ws = conn->ws;

    return ws->drain_due && wsk_ws_can_send(&ws->engine) &&
           !wsk__ws_is_full_locked(
               conn, ws->dropped ? 0 : conn->srv->cfg.ws_send_limit);
}

/* ------------------------------------------------------------- events --- */

static bool events_due_locked(const struct wsk_conn *conn)
{
    return conn->ws->handlers != NULL && !conn->ws->calling &&
           (conn->ws->connect_due || conn->ws->mail != NULL ||
            (conn->ws->ended && !conn->ws->close_fired));
}

static void bad_text(struct wsk_conn *conn)
{
    wsk__conn_lock(conn);
    wsk__ws_fail(&conn->ws->engine, 1007, "text is not UTF-8");
    wsk__conn_unlock(conn);
}

/* The event in hand. A masked message lies in this thread's own buffer. */
static void deliver_item(struct wsk__thread *th, struct wsk_conn *conn)
{
    const wsk_ws_handlers *on = conn->ws->handlers;
    void *user = conn->ws->handlers_user;
    wsk_message *msg = &th->item.msg;
    wsk_ws_event_kind kind = th->item.kind;

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
        on->message(conn, msg, user);
    else if (kind == WSK_WS_PING && on->ping != NULL)
        on->ping(conn, msg, user);
    else if (kind == WSK_WS_PONG && on->pong != NULL)
        on->pong(conn, msg, user);
    wsk_message_free(msg);
    th->item.kind = WSK_WS_NONE;
}

enum due { DUE_NOTHING, DUE_CONNECT, DUE_ITEM, DUE_DRAIN, DUE_CLOSE };

static enum due next_due_locked(struct wsk__thread *th, struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;
    struct wsk__mail *mail;

    if (th->item.kind != WSK_WS_NONE)
        return DUE_ITEM;
    if (ws->connect_due) {
        ws->connect_due = false;
        return DUE_CONNECT;
    }
    mail = wsk__ws_next_mail(ws);
    if (mail != NULL) {
        th->item = *mail;
        wsk__free(mail);
        return DUE_ITEM;
    }
    if (ws->caller == th && th->ws_span.len == 0 && ws->in != NULL)
        wsk__ws_take_in_hand_locked(th, conn, false);
    if (ws->caller == th && wsk__ws_pull_locked(conn, &th->ws_span, &th->item))
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

static void deliver(struct wsk__thread *th, struct wsk_conn *conn, enum due due)
{
    const wsk_ws_handlers *on = conn->ws->handlers;
    wsk_close_info info;

    switch (due) {
    case DUE_NOTHING:
        break;
    case DUE_CONNECT:
        if (on->connect != NULL)
            on->connect(conn, conn->ws->handlers_user);
        break;
    case DUE_ITEM:
        deliver_item(th, conn);
        break;
    case DUE_DRAIN:
        on->drain(conn, conn->ws->handlers_user);
        break;
    case DUE_CLOSE:
        wsk__conn_lock(conn);
        info = wsk__ws_close_info_locked(conn->ws);
        wsk__conn_unlock(conn);
        if (on->close != NULL)
            on->close(conn, &info, conn->ws->handlers_user);
        break;
    }
}

/* `th` delivers no more for now. */
static void let_go_locked(struct wsk__thread *th, struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;

    if (ws->caller == th) {
        wsk__ws_keep_span_locked(conn, &th->ws_span);
        ws->caller = NULL;
        ws->corked = false;
    }
    wsk__ws_collect_locked(conn);
    wsk__ws_flush_locked(conn);
}

/* All events have been delivered, and the loop reads again. Whether it has to
 * look at once: a level-triggered poller must be told that there is room. */
static enum wsk__calls finish_locked(struct wsk__thread *th,
                                     struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;

    let_go_locked(th, conn);
    if (ws->mail != NULL || (ws->ended && !ws->close_fired))
        return WSK__CALLS_MORE;
    ws->calling = false;
    ws->rx = WSK__RX_LOOP;
    return !conn->srv->edge || !conn->drained || ws->in != NULL ||
                   wsk_ws_done(&ws->engine) || conn->kind != WSK__WS ||
                   wsk__ws_has_drained_locked(conn)
               ? WSK__CALLS_LOOK
               : WSK__CALLS_DONE;
}

enum wsk__calls wsk__ws_call(struct wsk__thread *th, struct wsk_conn *conn,
                             bool in_hand)
{
    struct wsk__socket *ws = conn->ws;
    enum due due = in_hand && th->item.kind != WSK_WS_NONE ? DUE_ITEM
                                                           : DUE_NOTHING;
    enum wsk__calls calls = WSK__CALLS_MORE;

    for (int i = 0; i < CALLS_MAX && calls == WSK__CALLS_MORE; i++) {
        if (due == DUE_NOTHING) {
            wsk__conn_lock(conn);
            if (!in_hand && ws->caller == NULL && ws->rx == WSK__RX_HANDLER) {
                ws->caller = th;
                th->ws_span.len = 0;
            }
            due = next_due_locked(th, conn);
            if (due == DUE_NOTHING)
                calls = finish_locked(th, conn);
            wsk__conn_unlock(conn);
        }
        deliver(th, conn, due);
        due = DUE_NOTHING;
        if (wsk__forked(conn->srv))
            return WSK__CALLS_DONE;
    }
    if (calls == WSK__CALLS_MORE) {
        wsk__conn_lock(conn);
        let_go_locked(th, conn);
        wsk__conn_unlock(conn);
    }
    return calls;
}

/* Nobody calls now: what is in hand waits where others find it. */
static void stow(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk__conn_lock(conn);
    if (th->item.kind != WSK_WS_NONE && wsk__ws_own_locked(conn, &th->item.msg))
        wsk__ws_post_locked(conn, &th->item);
    th->item.kind = WSK_WS_NONE;
    let_go_locked(th, conn);
    wsk__conn_unlock(conn);
}

/* There is more for the leader to deliver, in its next look. */
static void go_on(struct wsk_conn *conn)
{
    wsk__conn_lock(conn);
    conn->ws->calling = false;
    conn->ws->rx = WSK__RX_LOOP;
    wsk__conn_unlock(conn);
}

/* The leader delivers what is due, or queues it. False: the lead was lost. */
static bool call_events(struct wsk__thread *th, struct wsk_conn *conn,
                        enum wsk__calls *calls)
{
    bool leads;

    wsk_conn_ref(conn);
    *calls = WSK__CALLS_DONE;
    if (!wsk__call_begin(th, conn)) {
        stow(th, conn);
        if (conn->kind == WSK__WS)
            wsk__rearm(conn);
        wsk__call_queue(th->srv, conn); /* with the reference */
        return true;
    }
    wsk__gate_enter(th);
    *calls = wsk__ws_call(th, conn, true);
    leads = wsk__call_end(th);
    if (*calls == WSK__CALLS_MORE && !leads) {
        wsk__call_queue(th->srv, conn);
        return false;
    }
    if (*calls == WSK__CALLS_MORE) {
        go_on(conn);
        *calls = WSK__CALLS_LOOK;
    }
    if (!leads)
        wsk__post(conn, WSK__POST_RUN);
    wsk_conn_unref(conn);
    return leads;
}

/* ------------------------------------------------------------- leader --- */

/* Both sides are through, or the transport is gone. */
static bool over_locked(struct wsk_conn *conn)
{
    return wsk_ws_done(&conn->ws->engine) &&
           (conn->eof || wsk__ws_owed_locked(conn) == 0);
}

static void end_transport(struct wsk_conn *conn, bool eof)
{
    if (eof)
        wsk__conn_close(conn);
    else
        wsk__conn_linger(conn);
}

/* Its events have been handed out, and whoever has them is late. */
static bool is_handed_out(const struct wsk__socket *ws)
{
    return ws->calling && ws->rx == WSK__RX_HANDLER && !ws->corked;
}

/* Then the loop takes over. */
static uint64_t away_ms(const struct wsk__socket *ws)
{
    return wsk__recent_ms(ws->calling_ms) + AWAY_MS;
}

/* Its moment to be told that the server stops: as good as random. */
static uint64_t goaway_due(const struct wsk_conn *conn)
{
    const wsk_server *srv = conn->srv;
    uint32_t mixed = (uint32_t)((uintptr_t)conn >> 4) * 2654435761u;

    return srv->goaway_ms + ((uint64_t)mixed * srv->goaway_spread_ms >> 32);
}

/* The peer's time to answer our Close, which begins when that has left, is
 * counted from the first look after it was queued. */
static void note_closing_locked(struct wsk__socket *ws)
{
    if (ws->closing || wsk_ws_can_send(&ws->engine))
        return;
    ws->closing = true;
    ws->ping_ms = wsk__now_ms();
}

/* When something is due from the peer, or to it. */
static uint64_t peer_deadline_locked(const struct wsk_conn *conn)
{
    const wsk_server_config *cfg = &conn->srv->cfg;
    const struct wsk__socket *ws = conn->ws;
    uint64_t due = UINT64_MAX, heard = conn->since_ms;

    if (!wsk_ws_can_send(&ws->engine)) {
        uint64_t from = ws->sent_ms > ws->ping_ms ? ws->sent_ms : ws->ping_ms;

        assert(ws->closing);
        due = from + (wsk__ws_owed_locked(conn) > 0 ? WSK__STALL_MS
                                                    : cfg->ws_close_timeout_ms);
    } else if (conn->srv->draining) {
        due = goaway_due(conn);
    } else if (ws->ping_ms > heard && cfg->ws_ping_timeout_ms > 0) {
        due = ws->ping_ms + cfg->ws_ping_timeout_ms;
    } else if (cfg->ws_ping_interval_ms > 0) {
        due = (ws->ping_ms > heard ? ws->ping_ms : heard) +
              cfg->ws_ping_interval_ms;
    }
    if (wsk_ws_can_send(&ws->engine) &&
        due > wsk__ws_stall_deadline_locked(conn))
        due = wsk__ws_stall_deadline_locked(conn);
    return due;
}

/* Whether what its peer sends is taken: else its silence may be ours. */
static bool is_reading_locked(const struct wsk_conn *conn)
{
    const struct wsk__socket *ws = conn->ws;

    return (ws->rx == WSK__RX_HANDLER ? ws->receiving
                                      : !wsk__ws_mail_full_locked(conn)) &&
           ws->over_ms == 0;
}

/* The rest of a message is due. One that waits until somebody wants it is not,
 * nor is that of a peer that is not read from because it does not read. */
static uint64_t message_deadline_locked(struct wsk_conn *conn)
{
    const struct wsk__socket *ws = conn->ws;

    if (!wsk_ws_can_send(&ws->engine) || conn->eof)
        return UINT64_MAX;
    return wsk__ws_arrival_due_locked(
        conn, is_reading_locked(conn) && !wsk__ws_holds_one(&ws->engine) &&
                  wsk__ws_owed_locked(conn) <= conn->srv->cfg.ws_send_limit);
}

static uint64_t deadline_locked(struct wsk_conn *conn)
{
    const struct wsk__socket *ws = conn->ws;
    uint64_t due = peer_deadline_locked(conn);
    uint64_t message = message_deadline_locked(conn);

    if (due > message)
        due = message;
    if (ws->look_ms != 0 && due > ws->look_ms)
        due = ws->look_ms;
    if (is_handed_out(ws) && due > away_ms(ws))
        due = away_ms(ws);
    return due;
}

/* The thread at hand delivers the events that are due: until it is late, only
 * it reads for this WebSocket, and what its callbacks send leaves together. */
static void hand_over_locked(struct wsk__thread *th, struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;

    ws->calling = true;
    ws->caller = th;
    ws->corked = true;
    ws->rx = WSK__RX_HANDLER;
    ws->calling_ms = (uint32_t)wsk__now_ms();
}

/* Look for something that concerns a handler; true: an event is due. */
static bool look_locked(struct wsk__thread *th, struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;

    if (wsk__ws_flush_locked(conn) == WSK__IO_GONE && !conn->eof)
        wsk__ws_eof_locked(conn);
    if (ws->rx == WSK__RX_LOOP && !events_due_locked(conn)) {
        if (ws->handlers == NULL || ws->calling) {
            wsk__ws_read_locked(th, conn);
        } else {
            wsk__ws_take_in_hand_locked(th, conn, true);
            wsk__ws_pull_locked(conn, &th->ws_span, &th->item);
            if (th->item.kind == WSK_WS_NONE)
                wsk__ws_flush_locked(conn); /* pongs */
        }
    }
    /* Messages go first: who only ever sends must not keep them waiting. */
    return th->item.kind != WSK_WS_NONE || events_due_locked(conn) ||
           (!ws->calling && wsk__ws_has_drained_locked(conn));
}

static unsigned wanted_locked(const struct wsk_conn *conn)
{
    unsigned want = wsk__ws_owed_locked(conn) > 0 ? WSK__WRITE : 0;

    if (conn->ws->rx == WSK__RX_LOOP && !wsk__ws_mail_full_locked(conn) &&
        !conn->eof)
        want |= WSK__READ;
    return want;
}

/* There may be more to read, and it may be read. */
static bool unread_locked(const struct wsk_conn *conn)
{
    return conn->ws->rx == WSK__RX_LOOP && !conn->eof && !conn->drained &&
           !wsk__ws_mail_full_locked(conn) &&
           wsk__ws_owed_locked(conn) <= conn->srv->cfg.ws_send_limit;
}

/* Wake a handler that blocks in receive(): it reads an end. */
static void shut_locked(struct wsk_conn *conn)
{
    if (!conn->ws->shut && conn->ws->pins > 0) {
        shutdown(conn->fd, SHUT_RD);
        conn->ws->shut = true;
    }
}

/* While there is too little memory it waits, or is given up. */
static void mind_memory_locked(struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;
    bool over;

    if (conn->srv->cfg.memory_limit == 0)
        return;
    over = wsk__ws_over_wait_locked(conn);
    ws->look_ms = 0;
    if (ws->held > 0 && wsk_ws_can_send(&ws->engine))
        ws->look_ms = wsk__now_ms() +
                      (over ? WSK__OVER_LOOK_MS : WSK__HELD_LOOK_MS);
    if (wsk_ws_done(&ws->engine))
        shut_locked(conn);
}

bool wsk__ws_serve(struct wsk__thread *th, struct wsk_conn *conn)
{
    for (int reads = 0; reads < READS_MAX; reads++) {
        bool due, alive, over = false, eof, again;
        uint64_t deadline = UINT64_MAX;
        enum wsk__calls calls;

        wsk__conn_lock(conn);
        th->ws_span.len = 0;
        alive = conn->kind == WSK__WS; /* else only its events are owed */
        if (alive)
            mind_memory_locked(conn);
        due = alive ? look_locked(th, conn) : events_due_locked(conn);
        if (due)
            hand_over_locked(th, conn);
        again = alive && unread_locked(conn);
        eof = conn->eof;
        if (alive)
            over = over_locked(conn);
        if (alive && !over) {
            wsk__watch(conn, wanted_locked(conn));
            note_closing_locked(conn->ws);
            deadline = deadline_locked(conn);
        }
        wsk__conn_unlock(conn);
        if (over)
            end_transport(conn, eof);
        else if (alive)
            wsk__rearm_at(conn, deadline);
        if (!due && (!again || over))
            return true;
        if (!due)
            continue;
        if (!call_events(th, conn, &calls))
            return false;
        if (calls != WSK__CALLS_LOOK || conn->kind != WSK__WS)
            return true;
    }
    wsk__post(conn, WSK__POST_LOOK); /* others have a turn, too */
    return true;
}

uint64_t wsk__ws_deadline(struct wsk_conn *conn)
{
    uint64_t due;

    wsk__conn_lock(conn);
    note_closing_locked(conn->ws);
    due = deadline_locked(conn);
    wsk__conn_unlock(conn);
    return due;
}

/* Silence for too long: ask for a sign of life, or give up. */
static void silent_locked(struct wsk_conn *conn)
{
    size_t owed = wsk__ws_owed_locked(conn);
    bool reading = is_reading_locked(conn);
    bool choked = owed > conn->srv->cfg.ws_send_limit;
    bool taking = wsk__ws_is_taking_locked(conn);

    /* The silence may be ours; and who takes what we send is alive, though our
     * ping may not have left yet. Who is not read from because it does not read
     * must at least do that. */
    if (taking || (!reading && !choked)) {
        conn->since_ms = wsk__now_ms();
    } else if (conn->ws->ping_ms > conn->since_ms &&
               conn->srv->cfg.ws_ping_timeout_ms > 0) {
        wsk__ws_fail_unread_locked(conn, 1011, "no answer to a ping",
                                   "ws_ping_timeout");
    } else {
        if (wsk_ws_send_frame(&conn->ws->engine, WSK_PING, true, NULL, 0) ==
            WSK_OK)
            wsk__ws_pinged_locked(conn->ws, NULL, 0);
        conn->ws->ping_ms = wsk__now_ms();
        if (conn->ws->ping_ms <= conn->since_ms)
            conn->ws->ping_ms = conn->since_ms + 1;
    }
}

static void goaway_locked(struct wsk_conn *conn)
{
    wsk_ws_send_close(&conn->ws->engine, 1001, NULL, 0);
    wsk__ws_collect_locked(conn);
    wsk__ws_flush_locked(conn);
}

/* The peer had its time. */
static void give_up_locked(struct wsk_conn *conn)
{
    wsk__ws_eof_locked(conn);
    shut_locked(conn);
}

/* Whoever delivers its events has been away for long: from now on the loop
 * reads, so that pings are answered and closes seen. */
static void take_over_locked(struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;

    if (ws->caller != NULL)
        wsk__ws_keep_span_locked(conn, &ws->caller->ws_span);
    ws->caller = NULL;
    ws->rx = WSK__RX_LOOP;
    conn->drained = false;
}

/* What was queued leaves, maybe a Close, which may be the last of it. */
static void end_locked(struct wsk_conn *conn)
{
    wsk__ws_flush_locked(conn);
    if (wsk_ws_done(&conn->ws->engine))
        shut_locked(conn);
}

bool wsk__ws_expired(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk__conn_lock(conn);
    note_closing_locked(conn->ws);
    if (is_handed_out(conn->ws) && away_ms(conn->ws) <= conn->srv->now_ms) {
        take_over_locked(conn);
    } else if (conn->srv->draining && wsk_ws_can_send(&conn->ws->engine) &&
               goaway_due(conn) <= conn->srv->now_ms) {
        goaway_locked(conn);
    } else if (wsk_ws_can_send(&conn->ws->engine) &&
               wsk__ws_stall_is_over_locked(conn)) {
        give_up_locked(conn);
    } else if (message_deadline_locked(conn) <= conn->srv->now_ms) {
        wsk__limit_hit_locked(conn, WSK__LIMIT_WS_RATE);
        wsk__ws_fail_limit(&conn->ws->engine, 1008, "message too slow",
                           "body_rate");
        wsk__ws_collect_locked(conn);
        end_locked(conn);
    } else if (peer_deadline_locked(conn) > conn->srv->now_ms) {
        ; /* nothing but mind_memory_locked() */
    } else if (wsk_ws_can_send(&conn->ws->engine)) {
        silent_locked(conn);
        end_locked(conn);
    } else {
        give_up_locked(conn);
    }
    wsk__conn_unlock(conn);
    return wsk__ws_serve(th, conn);
}

void wsk__ws_goaway(struct wsk_conn *conn)
{
    wsk__conn_lock(conn);
    if (conn->kind == WSK__WS)
        goaway_locked(conn);
    wsk__conn_unlock(conn);
}

void wsk__ws_lost(struct wsk_conn *conn)
{
    wsk__conn_lock(conn);
    give_up_locked(conn);
    wsk__conn_unlock(conn);
    wsk__post(conn, WSK__POST_LOOK);
}

void wsk__ws_handler_done(struct wsk_conn *conn)
{
    wsk__conn_lock(conn);
    if (conn->ws->handlers == NULL) {
        if (wsk_ws_send_close(&conn->ws->engine, 1000, NULL, 0) == WSK_E_NOMEM)
            wsk__ws_fail(&conn->ws->engine, 1011, "out of memory");
        wsk__ws_collect_locked(conn);
        /* Nobody will fetch what still comes. */
        for (struct wsk__mail *mail;
             (mail = wsk__ws_next_mail(conn->ws)) != NULL;)
            free_mail(mail);
    }
    if (!conn->ws->receiving && !conn->ws->calling)
        conn->ws->rx = WSK__RX_LOOP;
    conn->drained = false;
    wsk__ws_flush_locked(conn);
    wsk__conn_unlock(conn);
}
