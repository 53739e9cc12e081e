/* WebSockets between the descriptor, the engine and whoever waits for their
 * messages. The engine, the mail and every flag of the WebSocket stand under
 * conn->lock; the read side of the descriptor has one owner (conn->ws->rx). */
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

/* All that is asked for later, in as few octets as can be: idle WebSockets are
 * many, and most are never asked. */
static struct wsk__handshake *remember(const struct wsk__exchange *h,
                                       const char *protocol)
{
    size_t peer = strlen(h->peer.text) + 1, local = strlen(h->local.text) + 1;
    size_t proto = protocol != NULL ? strlen(protocol) + 1 : 0, head_len;
    const char *head = wsk__http_head_text(&h->http, &head_len);
    struct wsk__handshake *kept =
        wsk__alloc(sizeof *kept + peer + local + proto + head_len);
    char *at;

    if (kept == NULL)
        return NULL;
    *kept = (struct wsk__handshake){
        .peer_port = h->peer.port,
        .local_port = h->local.port,
        .local_at = (uint16_t)peer,
        .protocol_at = proto > 0 ? (uint16_t)(peer + local) : 0,
        .head_at = (uint32_t)(peer + local + proto),
        .head_len = (uint32_t)head_len,
    };
    at = kept->text;
    append(&at, h->peer.text, peer);
    append(&at, h->local.text, local);
    if (proto > 0)
        append(&at, protocol, proto);
    append(&at, head, head_len);
    return kept;
}

struct wsk__socket *wsk__ws_prepare(struct wsk_conn *conn, const char *protocol,
                                    char extensions[WSK_WS_DEFLATE_TEXT])
{
    struct wsk__socket *ws = wsk__calloc(sizeof(*ws));
    wsk_ws_deflate agreed;

    extensions[0] = '\0';
    if (ws == NULL)
        return NULL;
    ws->handshake = remember(conn->h, protocol);
    if (ws->handshake == NULL) {
        wsk__free(ws);
        return NULL;
    }
    wsk__ws_init(&ws->engine, &conn->srv->cfg.limits);
    if (agree_deflate(conn, ws, &agreed, extensions))
        wsk__ws_set_deflate(&ws->engine, &agreed, &conn->srv->pool);
    ws->rx = WSK__RX_HANDLER;
    ws->latency_us = UINT32_MAX;
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
    wsk__ws_clear(&ws->engine);
    wsk__buf_free(&ws->in);
    wsk__free(ws->handshake);
    wsk__free(ws->reason);
    wsk__free(ws);
}

/* What HTTP has left to send and to read is the WebSocket's from now on. */
static bool inherit(struct wsk__socket *ws, struct wsk__exchange *h)
{
    size_t len;
    const uint8_t *data = wsk_http_out_buf(&h->http, &len);

    if (len > 0 && !wsk__ws_send_before(&ws->engine, data, len))
        return false;
    wsk_http_out_ack(&h->http, len);
    ws->in = h->in;
    wsk__buf_init(&h->in, h->in.cap);
    return true;
}

bool wsk__ws_open(struct wsk__thread *th, struct wsk_conn *conn,
                  struct wsk__socket *ws)
{
    if (!inherit(ws, conn->h))
        return false;
    wsk_conn_ref(conn); /* the request's, until its handler has returned */
    pthread_mutex_lock(&conn->lock);
    conn->since_ms = wsk__now_ms();
    conn->kind = WSK__WS;
    conn->ws = ws;
    pthread_mutex_unlock(&conn->lock);
    wsk__call_upgraded(th, conn);
    if (conn->srv->draining) /* it was told before it was a WebSocket */
        wsk__ws_goaway(conn);
    wsk__post(conn, WSK__POST_LOOK); /* for its deadlines */
    return true;
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
        conn->ws->sent_ms = wsk__now_ms();
    }
    return WSK__IO_DONE;
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
        wsk_ws_out_ack(&conn->ws->engine, sent);
    }
    /* An idle connection owns no queue. */
    wsk__ws_return(&conn->ws->engine,
                   wsk__self != NULL ? &wsk__self->ws_out : &none);
    wsk__out_free(none);
    return io;
}

size_t wsk__ws_owed_locked(const struct wsk_conn *conn)
{
    size_t len;

    wsk_ws_out_buf(&conn->ws->engine, &len);
    return len;
}

/* -------------------------------------------------------------- input --- */

/* Pings that nobody fetches must not stand in the way of messages. */
static bool wants(const struct wsk__socket *ws, wsk_ws_event_kind kind)
{
    if (kind == WSK_WS_MESSAGE)
        return true;
    if (!ws->hear || ws->control_n >= WSK__INBOX_MAX)
        return false;
    if (ws->handlers == NULL)
        return true;
    return kind == WSK_WS_PING ? ws->handlers->ping != NULL
                               : ws->handlers->pong != NULL;
}

/* FNV-1a: tells the pongs of our pings from others, in four octets. */
static uint32_t hash_of(const uint8_t *data, size_t len)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * 16777619u;
    return hash;
}

void wsk__ws_pinged_locked(struct wsk__socket *ws, const uint8_t *data,
                           size_t len)
{
    uint32_t hash = hash_of(data, len);

    if (ws->asked_ns != 0 && ws->asked_hash == hash)
        return; /* its pong could be the answer to either */
    ws->asked_ns = wsk__now_ns();
    ws->asked_hash = hash;
}

static void ponged_locked(struct wsk__socket *ws, const wsk_ws_event *ev)
{
    uint64_t us;

    ws->ping_ms = 0;
    if (ws->asked_ns == 0 || ws->asked_hash != hash_of(ev->data, ev->len))
        return;
    us = (wsk__now_ns() - ws->asked_ns) / 1000;
    ws->latency_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX - 1;
    ws->asked_ns = 0;
}

static void put_mail(struct wsk__socket *ws, struct wsk__mail *mail)
{
    struct wsk__mail *newest = ws->mail;

    mail->next = newest != NULL ? newest->next : mail;
    if (newest != NULL)
        newest->next = mail;
    ws->mail = mail;
    if (mail->kind == WSK_WS_MESSAGE)
        ws->mail_n++;
    else
        ws->control_n++;
    ws->mail_bytes += mail->msg.len;
}

static bool keep_locked(struct wsk__socket *ws, const wsk_ws_event *ev)
{
    struct wsk__mail *mail = wsk__calloc(sizeof(*mail));

    if (mail == NULL)
        return false;
    mail->kind = ev->kind;
    mail->msg.opcode = ev->opcode;
    mail->msg.len = ev->len;
    if (ev->kind == WSK_WS_MESSAGE)
        wsk_ws_take_message(&ws->engine, &mail->msg.block);
    else
        mail->msg.block = wsk__memdup(ev->data, ev->len);
    mail->msg.data = mail->msg.block;
    if (ev->kind != WSK_WS_MESSAGE && mail->msg.block == NULL) {
        wsk__free(mail);
        return false;
    }
    put_mail(ws, mail);
    return true;
}

/* Without memory for its reason the end comes without one. */
static void end_locked(struct wsk__socket *ws, const wsk_ws_event *ev)
{
    ws->ended = true;
    ws->code = ev->code;
    ws->clean = ev->clean;
    if (ev->len > 0)
        ws->reason = wsk__memdup(ev->data, ev->len);
    if (ws->reason != NULL)
        ws->reason_len = (uint8_t)ev->len;
}

wsk_close_info wsk__ws_close_info(const struct wsk__socket *ws)
{
    wsk_close_info info = {
        .code = ws->code, .clean = ws->clean, .len = ws->reason_len};

    if (info.len > 0)
        memcpy(info.reason, ws->reason, info.len);
    return info;
}

/* Everything the engine has to say, into the mail. */
void wsk__ws_collect_locked(struct wsk_conn *conn)
{
    for (;;) {
        wsk_ws_event ev = wsk_ws_next(&conn->ws->engine);

        if (ev.kind == WSK_WS_NONE)
            return;
        if (ev.kind == WSK_WS_PONG)
            ponged_locked(conn->ws, &ev);
        if (ev.kind == WSK_WS_CLOSED)
            end_locked(conn->ws, &ev);
        else if (wants(conn->ws, ev.kind) && !keep_locked(conn->ws, &ev))
            wsk__ws_fail(&conn->ws->engine, 1011, "out of memory");
    }
}

static bool mailbox_full_locked(const struct wsk_conn *conn)
{
    return conn->ws->mail_n >= WSK__INBOX_MAX ||
           (conn->ws->mail_n > 0 &&
            conn->ws->mail_bytes >= conn->srv->cfg.limits.ws_max_size);
}

/* Feed as much as there is room for messages; returns the octets taken. */
static size_t feed_locked(struct wsk_conn *conn, const uint8_t *data,
                          size_t len)
{
    size_t at = 0;

    while (at < len && !mailbox_full_locked(conn)) {
        size_t used;
        wsk_status st =
            wsk_ws_feed(&conn->ws->engine, data + at, len - at, &used);

        at += used;
        if (st == WSK_E_NOMEM)
            wsk__ws_fail(&conn->ws->engine, 1011, "out of memory");
        wsk__ws_collect_locked(conn);
        if (st == WSK_E_STATE)
            return len; /* over: the rest is nobody's */
    }
    return at;
}

/* What was received earlier and found no room. False: still no room. */
bool wsk__ws_feed_kept_locked(struct wsk_conn *conn)
{
    size_t used = feed_locked(conn, wsk__buf_data(&conn->ws->in),
                              wsk__buf_len(&conn->ws->in));

    wsk__buf_ack(&conn->ws->in, used);
    if (wsk__buf_len(&conn->ws->in) > 0)
        return false;
    wsk__buf_free(&conn->ws->in);
    return true;
}

static void eof_locked(struct wsk_conn *conn)
{
    conn->eof = true;
    wsk_ws_feed_eof(&conn->ws->engine);
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
    conn->since_ms = wsk__now_ms();
    used = feed_locked(conn, data, (size_t)n);
    if (used < (size_t)n &&
        !wsk__buf_put(&conn->ws->in, data + used, (size_t)n - used)) {
        wsk__ws_fail(&conn->ws->engine, 1011, "out of memory");
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
        if (conn->ws->mail != NULL)
            return; /* deliver before the next read: fair to the others */
    }
}

/* ------------------------------------------------------------- events --- */

static bool events_due_locked(const struct wsk_conn *conn)
{
    return conn->ws->handlers != NULL && !conn->ws->calling &&
           (conn->ws->connect_due || conn->ws->mail != NULL ||
            (conn->ws->ended && !conn->ws->close_fired));
}

struct wsk__mail *wsk__ws_next_mail(struct wsk__socket *ws)
{
    struct wsk__mail *newest = ws->mail, *oldest;

    if (newest == NULL)
        return NULL;
    oldest = newest->next;
    if (oldest == newest)
        ws->mail = NULL;
    else
        newest->next = oldest->next;
    if (oldest->kind == WSK_WS_MESSAGE)
        ws->mail_n--;
    else
        ws->control_n--;
    ws->mail_bytes -= oldest->msg.len;
    return oldest;
}

static void deliver(struct wsk_conn *conn, struct wsk__mail *mail)
{
    const wsk_ws_handlers *on = conn->ws->handlers;
    void *user = conn->ws->handlers_user;

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
    const wsk_ws_handlers *on = conn->ws->handlers;
    struct wsk__mail *mail = NULL;
    bool connect = false, close = false;

    pthread_mutex_lock(&conn->lock);
    if (conn->ws->connect_due) {
        connect = true;
        conn->ws->connect_due = false;
    } else {
        mail = wsk__ws_next_mail(conn->ws);
        close = mail == NULL && conn->ws->ended && !conn->ws->close_fired;
        conn->ws->close_fired |= close;
        conn->ws->calling = mail != NULL || close;
    }
    pthread_mutex_unlock(&conn->lock);
    if (connect && on->connect != NULL)
        on->connect(conn, conn->ws->handlers_user);
    if (mail != NULL)
        deliver(conn, mail);
    if (close && on->close != NULL) {
        wsk_close_info info = wsk__ws_close_info(conn->ws);

        on->close(conn, &info, conn->ws->handlers_user);
    }
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
    if (conn->ws->cork == th)
        conn->ws->cork = NULL;
    wsk__ws_flush_locked(conn);
    pthread_mutex_unlock(&conn->lock);
    return more;
}

static void set_cork(struct wsk_conn *conn, const struct wsk__thread *th)
{
    pthread_mutex_lock(&conn->lock);
    conn->ws->cork = th;
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

void wsk__ws_bound_queue_locked(struct wsk_conn *conn, size_t before)
{
    if (before > 0 && wsk__ws_owed_locked(conn) > WSK__SEND_MAX &&
        wsk_ws_can_send(&conn->ws->engine)) {
        wsk__ws_fail(&conn->ws->engine, 1013, "too much waits to be read");
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
            conn->ws->calling |= due;
            pthread_mutex_unlock(&conn->lock);
            return due ? call_events(th, conn) : true;
        }
        if (wsk__ws_flush_locked(conn) == WSK__IO_GONE && !conn->eof)
            eof_locked(conn);
        if (conn->ws->rx == WSK__RX_LOOP)
            read_locked(th, conn);
        over = over_locked(conn);
        eof = conn->eof;
        due = events_due_locked(conn);
        conn->ws->calling |= due;
        if (!over)
            wsk__watch(
                conn,
                (conn->ws->rx == WSK__RX_LOOP && !mailbox_full_locked(conn) &&
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
        again = !conn->ws->calling &&
                (!conn->srv->edge || !conn->drained ||
                 wsk__buf_len(&conn->ws->in) > 0 ||
                 wsk_ws_done(&conn->ws->engine) || conn->ws->ended);
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
    if (!wsk_ws_can_send(&conn->ws->engine)) {
        uint64_t from;

        if (conn->ws->closing_ms == 0)
            conn->ws->closing_ms = wsk__now_ms();
        /* The peer's time to answer begins when our Close has left. */
        from = conn->ws->sent_ms > conn->ws->closing_ms ? conn->ws->sent_ms
                                                        : conn->ws->closing_ms;
        due = from + (wsk__ws_owed_locked(conn) > 0 ? WSK__STALL_MS
                                                    : cfg->ws_close_timeout_ms);
    } else if (conn->ws->ping_ms > conn->since_ms &&
               cfg->ws_ping_timeout_ms > 0)
        due = conn->ws->ping_ms + cfg->ws_ping_timeout_ms;
    else if (cfg->ws_ping_interval_ms > 0)
        due = (conn->ws->ping_ms > conn->since_ms ? conn->ws->ping_ms
                                                  : conn->since_ms) +
              cfg->ws_ping_interval_ms;
    pthread_mutex_unlock(&conn->lock);
    return due;
}

/* Silence for too long: ask for a sign of life, or give up. */
static void silent_locked(struct wsk_conn *conn)
{
    size_t owed = wsk__ws_owed_locked(conn);
    bool reading = (conn->ws->rx == WSK__RX_HANDLER
                        ? conn->ws->receiving
                        : !mailbox_full_locked(conn)) &&
                   owed < WSK__SEND_LIMIT;
    bool taking = owed > 0 && wsk__now_ms() - conn->ws->sent_ms < WSK__STALL_MS;

    /* The silence may be ours; and who takes what we send is alive, though our
     * ping may not have left yet. */
    if (!reading || taking) {
        conn->since_ms = wsk__now_ms();
    } else if (conn->ws->ping_ms > conn->since_ms &&
               conn->srv->cfg.ws_ping_timeout_ms > 0) {
        wsk__ws_fail(&conn->ws->engine, 1011, "no answer to a ping");
        wsk__ws_collect_locked(conn);
    } else {
        if (wsk_ws_send_frame(&conn->ws->engine, WSK_PING, true, NULL, 0) ==
            WSK_OK)
            wsk__ws_pinged_locked(conn->ws, NULL, 0);
        conn->ws->ping_ms = wsk__now_ms();
        if (conn->ws->ping_ms <= conn->since_ms)
            conn->ws->ping_ms = conn->since_ms + 1;
    }
}

/* Wake a handler that blocks in receive(): it reads an end. */
static void shut_locked(struct wsk_conn *conn)
{
    if (!conn->ws->shut && conn->ws->pins > 0) {
        shutdown(conn->fd, SHUT_RD);
        conn->ws->shut = true;
    }
}

bool wsk__ws_expired(struct wsk__thread *th, struct wsk_conn *conn)
{
    pthread_mutex_lock(&conn->lock);
    if (wsk_ws_can_send(&conn->ws->engine)) {
        silent_locked(conn);
        wsk__ws_flush_locked(conn);
        if (wsk_ws_done(&conn->ws->engine))
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
        wsk_ws_send_close(&conn->ws->engine, 1001, NULL, 0);
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
    if (conn->ws->handlers == NULL) {
        if (wsk_ws_send_close(&conn->ws->engine, 1000, NULL, 0) == WSK_E_NOMEM)
            wsk__ws_fail(&conn->ws->engine, 1011, "out of memory");
        wsk__ws_collect_locked(conn);
        /* Nobody will fetch what still comes. */
        for (struct wsk__mail *mail;
             (mail = wsk__ws_next_mail(conn->ws)) != NULL;)
            free_mail(mail);
    }
    if (!conn->ws->receiving)
        conn->ws->rx = WSK__RX_LOOP;
    conn->drained = false;
    wsk__ws_flush_locked(conn);
    pthread_mutex_unlock(&conn->lock);
}
