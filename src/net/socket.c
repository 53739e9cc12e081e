/* WebSockets between the descriptor, the engine and whoever waits for their
 * messages. The engine, the mail and every flag of the WebSocket stand under
 * conn->lock; the read side of the descriptor has one owner (conn->rx). */
#include "net/pump.h"

#include "base/mem.h"
#include "net/dispatch.h"
#include "net/loop.h"
#include "ws/deflate.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CALLS_MAX = 32, /* events of one connection in one go */
    READS_MAX = 16, /* and reads */
    KEEP_OUT = 4096,
};

/* -------------------------------------------------------------- birth --- */

/* Windows that are kept live under one budget. */
static bool reserve_deflate(struct wsk_conn *conn, size_t bytes)
{
    wsk_server *srv = conn->srv;
    size_t had = atomic_fetch_add(&srv->deflate_bytes, bytes);

    conn->deflate_bytes = bytes;
    return had + bytes <= srv->cfg.ws_compression_memory;
}

void wsk__ws_release_deflate(struct wsk_conn *conn)
{
    atomic_fetch_sub(&conn->srv->deflate_bytes, conn->deflate_bytes);
    conn->deflate_bytes = 0;
}

/* What the options allow of what the client offers. */
static bool agree_deflate(struct wsk_conn *conn, wsk_ws_deflate *agreed,
                          char text[WSK_WS_DEFLATE_TEXT])
{
    const wsk_server_config *cfg = &conn->srv->cfg;
    const char *text_level = cfg->ws_compression_level;
    uint8_t level = (uint8_t)(text_level[0] == 'f' ? 0 : text_level[0] - '0');
    bool takeover = strcmp(cfg->ws_compression, "takeover") == 0;

    if (strcmp(cfg->ws_compression, "off") == 0 ||
        !wsk_ws_agree_deflate(conn->head, takeover, agreed, text))
        return false;
    agreed->level = level;
    if (!reserve_deflate(conn, wsk__deflate_bytes(agreed))) {
        wsk__ws_release_deflate(conn);
        wsk_ws_agree_deflate(conn->head, false, agreed, text);
    }
    agreed->level = level;
    agreed->threshold = cfg->ws_compression_threshold;
    return true;
}

struct wsk_ws *wsk__ws_prepare(struct wsk_conn *conn, const char *protocol,
                               char extensions[WSK_WS_DEFLATE_TEXT])
{
    struct wsk_ws *ws = wsk__ws_new(&conn->srv->cfg.limits);
    wsk_ws_deflate agreed;

    wsk__free(conn->protocol); /* of an attempt that failed */
    conn->protocol = NULL;
    wsk__ws_release_deflate(conn);
    extensions[0] = '\0';
    if (ws != NULL && agree_deflate(conn, &agreed, extensions))
        wsk__ws_set_deflate(ws, &agreed, &conn->srv->pool);
    if (ws == NULL || protocol == NULL)
        return ws;
    conn->protocol = wsk__memdup(protocol, strlen(protocol) + 1);
    if (conn->protocol != NULL)
        return ws;
    wsk_ws_free(ws);
    return NULL;
}

void wsk__ws_open(struct wsk__thread *th, struct wsk_conn *conn,
                  struct wsk_ws *ws)
{
    wsk_conn_ref(conn); /* the request's, until its handler has returned */
    pthread_mutex_lock(&conn->lock);
    conn->rx = WSK__RX_HANDLER;
    conn->heard_ms = wsk__now_ms();
    conn->kind = WSK__WS;
    conn->ws = ws;
    pthread_mutex_unlock(&conn->lock);
    wsk__call_upgraded(th, conn);
    if (conn->srv->draining) /* it was told before it was a WebSocket */
        wsk__ws_goaway(conn);
    wsk__post(conn, WSK__POST_LOOK); /* for its deadlines */
}

static void free_mail(struct wsk__mail *mail)
{
    wsk_message_free(&mail->msg);
    wsk__free(mail);
}

void wsk__ws_destroy(struct wsk_conn *conn)
{
    while (conn->mail != NULL) {
        struct wsk__mail *mail = conn->mail;

        conn->mail = mail->next;
        free_mail(mail);
    }
    wsk_ws_free(conn->ws);
}

/* ------------------------------------------------------------- output --- */

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
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
            return WSK__IO_WAIT;
        if (n < 0)
            return WSK__IO_GONE;
        *sent += (size_t)n;
        conn->sent_ms = wsk__now_ms();
    }
    return WSK__IO_DONE;
}

enum wsk__io wsk__ws_flush_locked(struct wsk_conn *conn)
{
    size_t len, sent;
    const uint8_t *data;
    enum wsk__io io;

    if (wsk__forked(conn->srv))
        return WSK__IO_GONE;
    data = wsk_http_out_buf(&conn->http, &len); /* what is left of the 101 */
    io = flush_buf(conn, data, len, &sent);
    wsk_http_out_ack(&conn->http, sent);
    /* An acknowledged octet may make room for a pong that had to wait. */
    while (io == WSK__IO_DONE &&
           (data = wsk_ws_out_buf(conn->ws, &len)) != NULL) {
        io = flush_buf(conn, data, len, &sent);
        wsk_ws_out_ack(conn->ws, sent);
    }
    if (io == WSK__IO_DONE && wsk__ws_out(conn->ws)->size > KEEP_OUT)
        wsk__buf_free(wsk__ws_out(conn->ws)); /* idle: it owns no buffer */
    return io;
}

size_t wsk__ws_owed_locked(const struct wsk_conn *conn)
{
    size_t head, frames;

    wsk_http_out_buf(&conn->http, &head);
    wsk_ws_out_buf(conn->ws, &frames);
    return head + frames;
}

/* -------------------------------------------------------------- input --- */

static bool wants(const struct wsk_conn *conn, wsk_ws_event_kind kind)
{
    if (kind == WSK_WS_MESSAGE)
        return true;
    if (conn->handlers == NULL)
        return false;
    return kind == WSK_WS_PING ? conn->handlers->ping != NULL
                               : conn->handlers->pong != NULL;
}

static bool keep_locked(struct wsk_conn *conn, const wsk_ws_event *ev)
{
    struct wsk__mail *mail = wsk__calloc(sizeof(*mail));

    if (mail == NULL)
        return false;
    mail->kind = ev->kind;
    mail->msg.opcode = ev->opcode;
    mail->msg.len = ev->len;
    if (ev->kind == WSK_WS_MESSAGE)
        wsk_ws_take_message(conn->ws, &mail->msg.block);
    else
        mail->msg.block = wsk__memdup(ev->data, ev->len);
    mail->msg.data = mail->msg.block;
    if (ev->kind != WSK_WS_MESSAGE && mail->msg.block == NULL) {
        wsk__free(mail);
        return false;
    }
    *conn->mail_tail = mail;
    conn->mail_tail = &mail->next;
    conn->mail_n++;
    conn->mail_bytes += mail->msg.len;
    return true;
}

static void end_locked(struct wsk_conn *conn, const wsk_ws_event *ev)
{
    conn->ended = true;
    conn->info.code = ev->code;
    conn->info.clean = ev->clean;
    conn->info.len = (uint8_t)(ev->len < sizeof(conn->info.reason)
                                   ? ev->len
                                   : sizeof(conn->info.reason));
    if (conn->info.len > 0)
        memcpy(conn->info.reason, ev->data, conn->info.len);
}

/* Everything the engine has to say, into the mail. */
void wsk__ws_collect_locked(struct wsk_conn *conn)
{
    for (;;) {
        wsk_ws_event ev = wsk_ws_next(conn->ws);

        if (ev.kind == WSK_WS_NONE)
            return;
        if (ev.kind == WSK_WS_PONG)
            conn->ping_ms = 0;
        if (ev.kind == WSK_WS_CLOSED)
            end_locked(conn, &ev);
        else if (wants(conn, ev.kind) && !keep_locked(conn, &ev))
            wsk__ws_fail(conn->ws, 1011, "out of memory");
    }
}

static bool mailbox_full_locked(const struct wsk_conn *conn)
{
    return conn->mail_n >= WSK__INBOX_MAX ||
           (conn->mail_n > 0 &&
            conn->mail_bytes >= conn->srv->cfg.limits.ws_max_size);
}

/* Feed as much as there is room for messages; returns the octets taken. */
static size_t feed_locked(struct wsk_conn *conn, const uint8_t *data,
                          size_t len)
{
    size_t at = 0;

    while (at < len && !mailbox_full_locked(conn)) {
        size_t used;
        wsk_status st = wsk_ws_feed(conn->ws, data + at, len - at, &used);

        at += used;
        if (st == WSK_E_NOMEM)
            wsk__ws_fail(conn->ws, 1011, "out of memory");
        wsk__ws_collect_locked(conn);
        if (st == WSK_E_STATE)
            return len; /* over: the rest is nobody's */
    }
    return at;
}

/* What was received earlier and found no room. False: still no room. */
bool wsk__ws_feed_kept_locked(struct wsk_conn *conn)
{
    size_t used =
        feed_locked(conn, wsk__buf_data(&conn->in), wsk__buf_len(&conn->in));

    wsk__buf_ack(&conn->in, used);
    if (wsk__buf_len(&conn->in) > 0)
        return false;
    wsk__buf_free(&conn->in);
    return true;
}

static void eof_locked(struct wsk_conn *conn)
{
    conn->eof = true;
    wsk_ws_feed_eof(conn->ws);
    wsk__ws_collect_locked(conn);
}

/* n octets (or an end) came from the descriptor. */
void wsk__ws_received_locked(struct wsk_conn *conn, const uint8_t *data,
                             ssize_t n)
{
    size_t used;

    if (n <= 0) {
        eof_locked(conn);
        return;
    }
    conn->heard_ms = wsk__now_ms();
    used = feed_locked(conn, data, (size_t)n);
    if (used < (size_t)n &&
        !wsk__buf_put(&conn->in, data + used, (size_t)n - used)) {
        wsk__ws_fail(conn->ws, 1011, "out of memory");
        wsk__ws_collect_locked(conn);
    }
}

/* The leader reads until nothing is there or nobody has room. */
static void read_locked(struct wsk__thread *th, struct wsk_conn *conn)
{
    while (wsk__ws_feed_kept_locked(conn) && !conn->eof && !conn->drained &&
           !mailbox_full_locked(conn) &&
           wsk__ws_owed_locked(conn) < WSK__SEND_LIMIT) {
        ssize_t n = recv(conn->fd, th->rx, WSK__RX_SIZE, MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        conn->drained = n > 0 && (size_t)n < WSK__RX_SIZE && !conn->hup;
        wsk__ws_received_locked(conn, th->rx, n);
        wsk__ws_flush_locked(conn);
        if (conn->mail_n > 0)
            return; /* deliver before the next read: fair to the others */
    }
}

/* ------------------------------------------------------------- events --- */

static bool events_due_locked(const struct wsk_conn *conn)
{
    return conn->handlers != NULL && !conn->calling &&
           (conn->connect_due || conn->mail != NULL ||
            (conn->ended && !conn->close_fired));
}

struct wsk__mail *wsk__ws_next_mail_locked(struct wsk_conn *conn)
{
    struct wsk__mail *mail = conn->mail;

    if (mail == NULL)
        return NULL;
    conn->mail = mail->next;
    if (conn->mail == NULL)
        conn->mail_tail = &conn->mail;
    conn->mail_n--;
    conn->mail_bytes -= mail->msg.len;
    return mail;
}

static void deliver(struct wsk_conn *conn, struct wsk__mail *mail)
{
    const wsk_ws_handlers *on = conn->handlers;
    void *user = conn->handlers_user;

    if (mail->kind == WSK_WS_MESSAGE && on->message != NULL)
        on->message(conn, &mail->msg, user);
    else if (mail->kind == WSK_WS_PING && on->ping != NULL)
        on->ping(conn, &mail->msg, user);
    else if (mail->kind == WSK_WS_PONG && on->pong != NULL)
        on->pong(conn, &mail->msg, user);
    free_mail(mail);
}

/* One event, if one is due. False: none. */
static bool deliver_next(struct wsk_conn *conn)
{
    const wsk_ws_handlers *on = conn->handlers;
    struct wsk__mail *mail = NULL;
    bool connect = false, close = false;

    pthread_mutex_lock(&conn->lock);
    if (conn->connect_due) {
        connect = true;
        conn->connect_due = false;
    } else {
        mail = wsk__ws_next_mail_locked(conn);
        close = mail == NULL && conn->ended && !conn->close_fired;
        conn->close_fired |= close;
        conn->calling = mail != NULL || close;
    }
    pthread_mutex_unlock(&conn->lock);
    if (connect && on->connect != NULL)
        on->connect(conn, conn->handlers_user);
    if (mail != NULL)
        deliver(conn, mail);
    if (close && on->close != NULL)
        on->close(conn, &conn->info, conn->handlers_user);
    return connect || mail != NULL || close;
}

bool wsk__ws_call(struct wsk__thread *th, struct wsk_conn *conn)
{
    bool more = true;

    for (int i = 0; i < CALLS_MAX && more; i++)
        more = deliver_next(conn);
    if (wsk__forked(conn->srv))
        return false;
    pthread_mutex_lock(&conn->lock);
    if (conn->cork == th)
        conn->cork = NULL;
    wsk__ws_flush_locked(conn);
    pthread_mutex_unlock(&conn->lock);
    return more;
}

static void set_cork(struct wsk_conn *conn, const struct wsk__thread *th)
{
    pthread_mutex_lock(&conn->lock);
    conn->cork = th;
    pthread_mutex_unlock(&conn->lock);
}

/* The leader delivers what is due, or queues it. False: the lead was lost. */
static bool call_events(struct wsk__thread *th, struct wsk_conn *conn)
{
    bool more;

    wsk_conn_ref(conn);
    /* What its callbacks send leaves together, at their end: while this thread
     * leads. Whoever takes the lead uncorks. */
    set_cork(conn, th);
    if (!wsk__call_begin(th, conn)) {
        set_cork(conn, NULL);
        wsk__call_queue(th->srv, conn); /* with the reference */
        return true;
    }
    wsk__gate_enter(th);
    more = wsk__ws_call(th, conn);
    if (!wsk__call_end(th)) {
        if (more) {
            wsk__call_queue(th->srv, conn);
        } else {
            wsk__post(conn, WSK__POST_RUN);
            wsk_conn_unref(conn);
        }
        return false;
    }
    if (more)
        wsk__call_queue(th->srv, conn);
    else
        wsk_conn_unref(conn);
    return true;
}

/* ------------------------------------------------------------- leader --- */

/* Both sides are through, or the transport is gone. */
static bool over_locked(struct wsk_conn *conn)
{
    return wsk_ws_done(conn->ws) &&
           (conn->eof || wsk__ws_owed_locked(conn) == 0);
}

static void end_transport(struct wsk_conn *conn, bool eof)
{
    if (eof)
        wsk__conn_close(conn);
    else
        wsk__conn_linger(conn);
}

void wsk__ws_bound_queue_locked(struct wsk_conn *conn, size_t before)
{
    if (before > 0 && wsk__ws_owed_locked(conn) > WSK__SEND_MAX &&
        wsk_ws_can_send(conn->ws)) {
        wsk__ws_fail(conn->ws, 1013, "too much waits to be read");
        wsk__ws_collect_locked(conn);
    }
}

bool wsk__ws_serve(struct wsk__thread *th, struct wsk_conn *conn)
{
    for (int reads = 0;; reads++) {
        bool due, over, eof, again;

        if (reads == READS_MAX) { /* others have a turn, too */
            wsk__post(conn, WSK__POST_LOOK);
            return true;
        }

        pthread_mutex_lock(&conn->lock);
        if (conn->kind != WSK__WS) { /* only its events are still owed */
            due = events_due_locked(conn);
            conn->calling |= due;
            pthread_mutex_unlock(&conn->lock);
            return due ? call_events(th, conn) : true;
        }
        if (wsk__ws_flush_locked(conn) == WSK__IO_GONE && !conn->eof)
            eof_locked(conn);
        if (conn->rx == WSK__RX_LOOP)
            read_locked(th, conn);
        over = over_locked(conn);
        eof = conn->eof;
        due = events_due_locked(conn);
        conn->calling |= due;
        if (!over)
            wsk__watch(
                conn,
                (conn->rx == WSK__RX_LOOP && !mailbox_full_locked(conn) &&
                         !conn->eof
                     ? (unsigned)WSK__READ
                     : 0) |
                    (wsk__ws_owed_locked(conn) > 0 ? (unsigned)WSK__WRITE : 0));
        pthread_mutex_unlock(&conn->lock);
        if (over)
            end_transport(conn, eof);
        else
            wsk__rearm(conn);
        if (!due)
            return true;
        if (!call_events(th, conn))
            return false;
        if (conn->kind != WSK__WS)
            return true;
        pthread_mutex_lock(&conn->lock);
        /* A level-triggered poller must be told that there is room again. */
        again = !conn->calling && (!conn->srv->edge || !conn->drained ||
                                   wsk__buf_len(&conn->in) > 0 ||
                                   wsk_ws_done(conn->ws) || conn->ended);
        pthread_mutex_unlock(&conn->lock);
        if (!again)
            return true;
    }
}

uint64_t wsk__ws_deadline(struct wsk_conn *conn)
{
    const wsk_server_config *cfg = &conn->srv->cfg;
    uint64_t due = UINT64_MAX;

    pthread_mutex_lock(&conn->lock);
    if (!wsk_ws_can_send(conn->ws)) {
        uint64_t from;

        if (conn->closing_ms == 0)
            conn->closing_ms = wsk__now_ms();
        /* The peer's time to answer begins when our Close has left. */
        from = conn->sent_ms > conn->closing_ms ? conn->sent_ms
                                                : conn->closing_ms;
        due = from + (wsk__ws_owed_locked(conn) > 0 ? WSK__STALL_MS
                                                    : cfg->ws_close_timeout_ms);
    } else if (conn->ping_ms > conn->heard_ms && cfg->ws_ping_timeout_ms > 0)
        due = conn->ping_ms + cfg->ws_ping_timeout_ms;
    else if (cfg->ws_ping_interval_ms > 0)
        due =
            (conn->ping_ms > conn->heard_ms ? conn->ping_ms : conn->heard_ms) +
            cfg->ws_ping_interval_ms;
    pthread_mutex_unlock(&conn->lock);
    return due;
}

/* Silence for too long: ask for a sign of life, or give up. */
static void silent_locked(struct wsk_conn *conn)
{
    size_t owed = wsk__ws_owed_locked(conn);
    bool reading = (conn->rx == WSK__RX_HANDLER ? conn->receiving
                                                : !mailbox_full_locked(conn)) &&
                   owed < WSK__SEND_LIMIT;
    bool taking = owed > 0 && wsk__now_ms() - conn->sent_ms < WSK__STALL_MS;

    /* The silence may be ours; and who takes what we send is alive, though our
     * ping may not have left yet. */
    if (!reading || taking) {
        conn->heard_ms = wsk__now_ms();
    } else if (conn->ping_ms > conn->heard_ms &&
               conn->srv->cfg.ws_ping_timeout_ms > 0) {
        wsk__ws_fail(conn->ws, 1011, "no answer to a ping");
        wsk__ws_collect_locked(conn);
    } else {
        wsk_ws_send_frame(conn->ws, WSK_PING, true, NULL, 0);
        conn->ping_ms = wsk__now_ms();
        if (conn->ping_ms <= conn->heard_ms)
            conn->ping_ms = conn->heard_ms + 1;
    }
}

/* Wake a handler that blocks in receive(): it reads an end. */
static void shut_locked(struct wsk_conn *conn)
{
    if (!conn->shut && conn->pins > 0) {
        shutdown(conn->fd, SHUT_RD);
        conn->shut = true;
    }
}

bool wsk__ws_expired(struct wsk__thread *th, struct wsk_conn *conn)
{
    pthread_mutex_lock(&conn->lock);
    if (wsk_ws_can_send(conn->ws)) {
        silent_locked(conn);
        wsk__ws_flush_locked(conn);
        if (wsk_ws_done(conn->ws))
            shut_locked(conn);
    } else {
        eof_locked(conn); /* the peer had its time */
        shut_locked(conn);
    }
    pthread_mutex_unlock(&conn->lock);
    return wsk__ws_serve(th, conn);
}

void wsk__ws_goaway(struct wsk_conn *conn)
{
    pthread_mutex_lock(&conn->lock);
    if (conn->kind == WSK__WS) {
        wsk_ws_send_close(conn->ws, 1001, NULL, 0);
        wsk__ws_collect_locked(conn);
        wsk__ws_flush_locked(conn);
    }
    pthread_mutex_unlock(&conn->lock);
}

void wsk__ws_lost(struct wsk_conn *conn)
{
    pthread_mutex_lock(&conn->lock);
    eof_locked(conn);
    shut_locked(conn);
    pthread_mutex_unlock(&conn->lock);
    wsk__post(conn, WSK__POST_LOOK);
}

void wsk__ws_handler_done(struct wsk_conn *conn)
{
    pthread_mutex_lock(&conn->lock);
    if (conn->handlers == NULL) {
        if (wsk_ws_send_close(conn->ws, 1000, NULL, 0) == WSK_E_NOMEM)
            wsk__ws_fail(conn->ws, 1011, "out of memory");
        wsk__ws_collect_locked(conn);
        /* Nobody will fetch what still comes. */
        for (struct wsk__mail *mail;
             (mail = wsk__ws_next_mail_locked(conn)) != NULL;)
            free_mail(mail);
    }
    if (!conn->receiving)
        conn->rx = WSK__RX_LOOP;
    conn->drained = false;
    wsk__ws_flush_locked(conn);
    pthread_mutex_unlock(&conn->lock);
}
