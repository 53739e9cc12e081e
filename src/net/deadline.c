#include "net/deadline.h"

#include "http/reply.h"
#include "net/dispatch.h"
#include "net/log/log.h"
#include "net/loop.h"
#include "net/pump.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#if defined(__linux__)
#include <linux/sockios.h>
#endif

enum {
    OVER_MS = 500,  /* for others to give memory back */
    TELL_MS = 1000, /* a wait for a slot that is told */
};

/* ------------------------------------------------------------- phases --- */

uint64_t wsk__http_deadline(const struct wsk_conn *conn)
{
    const wsk_server_config *cfg = &conn->srv->cfg;
    const struct wsk__exchange *h = conn->h;

    if (conn->busy || atomic_load(&h->at_disk))
        return UINT64_MAX;
    if (h->over_ms != 0)
        return h->over_ms + OVER_MS;
    if (h->stalled)
        return wsk__pace_due_ms(&h->departure, cfg->write_rate);
    if (h->head != NULL || wsk__http_draining(&h->http))
        return wsk__pace_due_ms(&h->arrival, cfg->body_rate);
    if (h->via != NULL && h->via->header_due)
        return h->via->since_ms + cfg->head_timeout_ms;
    if (wsk__http_head_begun(&h->http))
        return h->head_ms + cfg->head_timeout_ms;
    return conn->since_ms +
           (h->spoken ? cfg->keep_alive_ms : cfg->first_octet_timeout_ms);
}

static void refuse(struct wsk__thread *th, struct wsk_conn *conn, int status)
{
    wsk__http_set_date(th, conn);
    wsk__http_fail(&conn->h->http, status);
    wsk__http_flush(th, conn);
    /* It lingers; what it holds shall not. */
    wsk__buf_free(&conn->h->body);
    wsk__buf_free(&conn->h->in);
    conn->h->in_fed = 0;
    wsk__load_forget(conn);
    wsk__conn_linger(conn);
}

bool wsk__http_expired(struct wsk__thread *th, struct wsk_conn *conn)
{
    struct wsk__exchange *h = conn->h;

    if (h->over_ms != 0 && wsk__load_is_over(conn)) {
        wsk__limit_hit(conn->srv, WSK__LIMIT_MEMORY);
        refuse(th, conn, 503);
    } else if (h->over_ms != 0) {
        h->over_ms = 0;
        return wsk__http_run(th, conn);
    } else if (h->stalled) {
        if (wsk__stall_is_over(conn))
            wsk__conn_close(conn);
        else
            wsk__rearm(conn);
    } else if (h->head != NULL || wsk__http_head_begun(&h->http)) {
        refuse(th, conn, 408);
    } else {
        if (h->via != NULL && h->via->header_due)
            wsk__limit_hit(conn->srv, WSK__LIMIT_PROXY);
        /* A connection with no octet of a request ends in silence: browsers
         * open some ahead of time, and a 408 would be taken for an answer. */
        wsk__conn_close(conn);
    }
    return true;
}

/* -------------------------------------------------------------- rates --- */

void wsk__arrival_resume(struct wsk_conn *conn)
{
    if (conn->h->away_ms != 0)
        wsk__pace_skip(&conn->h->arrival, wsk__now_ms() - conn->h->away_ms);
    conn->h->away_ms = 0;
}

/* Octets that the peer has not acknowledged. What the kernel holds counts: it
 * wakes us only when a third of its buffer is free, which a slow but honest
 * reader may not do for minutes. */
static uint32_t held_by_kernel(int fd)
{
    int held = 0;

#if defined(SIOCOUTQ)
    if (ioctl(fd, SIOCOUTQ, &held) != 0 || held < 0)
        held = 0;
#elif defined(FIONWRITE)
    if (ioctl(fd, FIONWRITE, &held) != 0 || held < 0)
        held = 0;
#else
    (void)fd; /* it does not tell */
#endif
    return (uint32_t)held;
}

static uint64_t backlog(const struct wsk_conn *conn)
{
    return wsk__http_owed(conn) + held_by_kernel(conn->fd);
}

void wsk__stall_begin(struct wsk_conn *conn)
{
    conn->h->backlog = backlog(conn);
    wsk__pace_begin(&conn->h->departure, wsk__now_ms());
}

bool wsk__stall_is_over(struct wsk_conn *conn)
{
    struct wsk__exchange *h = conn->h;
    uint64_t rate = conn->srv->cfg.write_rate, left = backlog(conn);
    uint64_t now_ms = wsk__now_ms();

    if (left < h->backlog)
        wsk__pace_moved(&h->departure, now_ms, h->backlog - left, rate);
    h->backlog = left;
    return wsk__pace_due_ms(&h->departure, rate) <= now_ms;
}

/* How long a WebSocket's peer may take nothing of what waits for it. Pings ask
 * it first, where there are any. */
static uint64_t ws_patience_ms(const wsk_server_config *cfg)
{
    if (cfg->ws_ping_timeout_ms == 0)
        return WSK__STALL_MS;
    return cfg->ws_ping_timeout_ms +
           (cfg->ws_ping_interval_ms > 0 ? WSK__STALL_MS : 0);
}

void wsk__ws_stall_begin_locked(struct wsk_conn *conn)
{
    const wsk_server_config *cfg = &conn->srv->cfg;
    struct wsk__socket *ws = conn->ws;

    if (ws->stalled)
        return;
    ws->stalled = true;
    ws->unread = held_by_kernel(conn->fd);
    ws->sent_ms = wsk__now_ms();
    /* The leader shall know the deadline, unless it looks before it anyway. */
    if (cfg->ws_ping_interval_ms == 0 ||
        cfg->ws_ping_interval_ms > ws_patience_ms(cfg))
        wsk__post(conn, WSK__POST_LOOK);
}

uint64_t wsk__ws_stall_deadline_locked(const struct wsk_conn *conn)
{
    if (!conn->ws->stalled || wsk__ws_owed_locked(conn) == 0)
        return UINT64_MAX;
    return conn->ws->sent_ms + ws_patience_ms(&conn->srv->cfg);
}

static void look_at_kernel_locked(struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;
    uint32_t left = ws->stalled ? held_by_kernel(conn->fd) : UINT32_MAX;

    if (left >= ws->unread)
        return;
    ws->unread = left;
    ws->sent_ms = wsk__now_ms();
}

bool wsk__ws_stall_is_over_locked(struct wsk_conn *conn)
{
    if (wsk__ws_stall_deadline_locked(conn) > wsk__now_ms())
        return false;
    look_at_kernel_locked(conn);
    return wsk__ws_stall_deadline_locked(conn) <= wsk__now_ms();
}

bool wsk__ws_is_taking_locked(struct wsk_conn *conn)
{
    look_at_kernel_locked(conn);
    return wsk__ws_owed_locked(conn) > 0 &&
           wsk__now_ms() - conn->ws->sent_ms < WSK__STALL_MS;
}

/* What has come of a message since the last look. Control frames in between do
 * not count. */
static void look_at_arrival_locked(struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;
    const struct wsk_ws *engine = &ws->engine;
    uint64_t now_ms = wsk__now_ms();

    if (!wsk__ws_in_message(engine)) {
        ws->arriving = false;
    } else if (!ws->arriving || ws->message != engine->begun) {
        ws->arriving = true;
        ws->message = engine->begun;
        wsk__pace_begin(&ws->arrival, now_ms);
    } else {
        wsk__pace_moved(&ws->arrival, now_ms, engine->arrived - ws->arrived,
                        conn->srv->cfg.body_rate);
    }
    ws->arrived = engine->arrived;
}

void wsk__ws_arrival_pause_locked(struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;

    if (!wsk__ws_in_message(&ws->engine) || ws->paused_ms != 0)
        return;
    look_at_arrival_locked(conn);
    ws->paused_ms = (uint32_t)wsk__now_ms();
}

void wsk__ws_arrival_resume_locked(struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;

    if (ws->paused_ms != 0)
        wsk__pace_skip(&ws->arrival,
                       wsk__now_ms() - wsk__recent_ms(ws->paused_ms));
    ws->paused_ms = 0;
}

uint64_t wsk__ws_arrival_due_locked(struct wsk_conn *conn, bool reading)
{
    if (!reading) {
        wsk__ws_arrival_pause_locked(conn);
        return UINT64_MAX;
    }
    wsk__ws_arrival_resume_locked(conn);
    look_at_arrival_locked(conn);
    return conn->ws->arriving
               ? wsk__pace_due_ms(&conn->ws->arrival, conn->srv->cfg.body_rate)
               : UINT64_MAX;
}

/* A thread reads a message that the leader has not seen: where no ping makes it
 * look in time, it shall know the deadline. */
static void tell_of_arrival_locked(struct wsk_conn *conn)
{
    const wsk_server_config *cfg = &conn->srv->cfg;
    struct wsk__socket *ws = conn->ws;

    if (ws->arriving || !wsk__ws_in_message(&ws->engine) ||
        cfg->body_rate == 0 ||
        (cfg->ws_ping_interval_ms > 0 &&
         cfg->ws_ping_interval_ms <= 2 * WSK__PACE_GRACE_MS))
        return;
    look_at_arrival_locked(conn);
    wsk__post(conn, WSK__POST_LOOK);
}

/* --------------------------------------------------------------- load --- */

/* More than memory_limit: what waits, and what WebSockets keep for good. */
static bool is_past(const wsk_server *srv)
{
    uint64_t limit = srv->cfg.memory_limit;

    return limit > 0 &&
           atomic_load(&srv->held) + atomic_load(&srv->heads) > limit;
}

/* WebSockets that only stay open leave a half of it to others. */
static bool heads_are_past(const wsk_server *srv)
{
    uint64_t limit = srv->cfg.memory_limit;

    return limit > 0 && atomic_load(&srv->heads) > limit / 2;
}

void wsk__load_account(struct wsk_conn *conn)
{
    struct wsk__exchange *h = conn->h;
    size_t held;

    if (conn->srv->cfg.memory_limit == 0)
        return;
    held = h->in.size + h->body.size + wsk__http_partial_size(&h->http);
    if (held == h->held) /* as of most requests: nothing */
        return;
    atomic_fetch_add(&conn->srv->held, held - (size_t)h->held); /* may wrap */
    h->held = held;
}

void wsk__load_forget(struct wsk_conn *conn)
{
    if (conn->h == NULL || conn->h->held == 0)
        return;
    atomic_fetch_sub(&conn->srv->held, (size_t)conn->h->held);
    conn->h->held = 0;
}

bool wsk__load_is_over(const struct wsk_conn *conn)
{
    const struct wsk__exchange *h = conn->h;
    bool attempt = h->head != NULL && h->head->websocket;

    if (h->called || (h->held == 0 && !attempt))
        return false;
    return is_past(conn->srv) || (attempt && heads_are_past(conn->srv));
}

void wsk__load_wait(struct wsk_conn *conn)
{
    if (conn->h->over_ms == 0)
        conn->h->over_ms = wsk__now_ms();
    wsk__watch(conn, 0);
    wsk__rearm(conn);
}

static bool is_much(const wsk_server *srv)
{
    return atomic_load(&srv->held) > srv->cfg.memory_limit / 4;
}

/* What is kept of a message that has more to come, for a handler that is away,
 * and for a peer that does not read. */
void wsk__ws_account_locked(struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;
    size_t held;

    tell_of_arrival_locked(conn);
    if (conn->srv->cfg.memory_limit == 0)
        return;
    held = wsk__ws_held(&ws->engine) + ws->mail_bytes +
           (ws->in != NULL ? ws->in->size : 0) +
           (ws->aside != NULL ? ws->aside->size : 0);
    if (held != ws->held)
        atomic_fetch_add(&conn->srv->held, held - ws->held); /* may wrap */
    ws->held = held;
    /* Whoever reads and sends for it: from now on the leader looks. While all
     * together hold little it need not: those that come to a rest before hold
     * no more than that. */
    if (held > 0 && ws->look_ms == 0 && is_much(conn->srv) &&
        wsk_ws_can_send(&ws->engine)) {
        ws->look_ms = wsk__now_ms() + WSK__HELD_LOOK_MS;
        wsk__post(conn, WSK__POST_LOOK);
    }
}

void wsk__ws_forget_locked(struct wsk_conn *conn)
{
    wsk__ws_drop_out(&conn->ws->engine);
    wsk__ws_account_locked(conn);
}

bool wsk__ws_is_over_locked(const struct wsk_conn *conn)
{
    return conn->ws->held > 0 && wsk_ws_can_send(&conn->ws->engine) &&
           is_past(conn->srv);
}

/* What only its handler can give back is waited for. */
static bool peer_gives_nothing_back_locked(const struct wsk_conn *conn,
                                           uint64_t now_ms)
{
    const struct wsk__socket *ws = conn->ws;

    bool more = ws->aside != NULL || wsk__ws_assembles(&ws->engine);

    return (more && ws->mail == NULL) ||
           (wsk__ws_owed_locked(conn) > 0 && now_ms - ws->sent_ms >= OVER_MS);
}

bool wsk__ws_over_wait_locked(struct wsk_conn *conn)
{
    struct wsk__socket *ws = conn->ws;
    uint64_t now_ms;

    if (!wsk__ws_is_over_locked(conn)) {
        if (ws->over_ms != 0) /* the silence was ours */
            conn->since_ms = wsk__now_ms();
        ws->over_ms = 0;
        return false;
    }
    now_ms = wsk__now_ms();
    if (ws->over_ms == 0)
        ws->over_ms = (uint32_t)now_ms;
    if (now_ms - wsk__recent_ms(ws->over_ms) < OVER_MS ||
        !peer_gives_nothing_back_locked(conn, now_ms))
        return true;
    wsk__limit_hit_locked(conn, WSK__LIMIT_WS_MEMORY);
    wsk__ws_fail_unread_locked(conn, 1013, "too little memory", "memory_limit");
    wsk__ws_flush_locked(conn);
    return false;
}

/* ----------------------------------------------------- request_timeout --- */

void wsk__overdue_arm(struct wsk_conn *conn)
{
    wsk_server *srv = conn->srv;
    uint64_t due;

    if (srv->cfg.request_timeout_ms == 0)
        return;
    due = wsk__now_ms();
    conn->call_ms = (uint32_t)due;
    conn->to_head = conn->h->http.to_head;
    atomic_store(&conn->claim, WSK__UNCLAIMED);
    due += srv->cfg.request_timeout_ms;
    if (conn->timer.next == NULL || due < conn->timer.due_ms)
        wsk__timer_set(&srv->wheel, &conn->timer, due);
}

void wsk__wait_arm(struct wsk_conn *conn)
{
    uint64_t now_ms = wsk__now_ms();

    conn->call_ms = (uint32_t)now_ms;
    wsk__rearm_at(conn, now_ms + TELL_MS);
}

/* The timer may have been set for an earlier request of the connection. */
void wsk__wait_told(struct wsk_conn *conn)
{
    uint64_t due = wsk__recent_ms(conn->call_ms) + TELL_MS;

    if (!wsk__call_waits_for_slot(conn))
        return;
    if (due > conn->srv->now_ms)
        wsk__rearm_at(conn, due);
    else
        wsk__limit_hit(conn->srv, WSK__LIMIT_SLOTS);
}

/* Beside the engine, which is the handler's; that finds the descriptor shut. */
static void answer_503(struct wsk__thread *th, const struct wsk_conn *conn)
{
    const wsk_limits *limits = &conn->srv->cfg.limits;
    struct wsk__reply refusal = {
        .status = 503,
        .date = limits->date_header ? th->date.text : NULL,
        .server = limits->server_header,
        .to_head = conn->to_head,
    };
    struct wsk__buf out;

    wsk__buf_init(&out, 4096);
    wsk__date_refresh(&th->date);
    wsk__reply_refusal(&out, &refusal);
    if (wsk__buf_len(&out) > 0 &&
        send(conn->fd, wsk__buf_data(&out), wsk__buf_len(&out),
             MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        shutdown(conn->fd, SHUT_RD);
    wsk__buf_free(&out);
    shutdown(conn->fd, SHUT_WR);
}

void wsk__overdue(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk_server *srv = conn->srv;
    uint64_t due = wsk__recent_ms(conn->call_ms) + srv->cfg.request_timeout_ms;
    unsigned char was = WSK__UNCLAIMED;

    if (srv->cfg.request_timeout_ms == 0)
        return;
    if (due > srv->now_ms) {
        wsk__rearm_at(conn, due);
        return;
    }
    if (atomic_compare_exchange_strong(&conn->claim, &was, WSK__TIMED_OUT))
        answer_503(th, conn);
    else if (was == WSK__CLAIMED &&
             atomic_compare_exchange_strong(&conn->claim, &was, WSK__TIMED_OUT))
        shutdown(conn->fd, SHUT_RDWR);
    else
        return;
    wsk__server_logf(srv, WSK_LOG_WARNING,
                     "a handler has taken longer than request_timeout; its "
                     "client was told");
}

bool wsk__claim_answer(struct wsk_conn *conn, enum wsk__claim as)
{
    unsigned char was = WSK__UNCLAIMED;

    if (conn->srv->cfg.request_timeout_ms == 0)
        return true;
    return atomic_compare_exchange_strong(&conn->claim, &was,
                                          (unsigned char)as) ||
           was == as;
}

bool wsk__is_overdue(const struct wsk_conn *conn)
{
    return atomic_load(&conn->claim) == WSK__TIMED_OUT;
}
