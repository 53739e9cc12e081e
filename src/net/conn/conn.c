#include "net/conn/conn.h"

#include "base/mem.h"
#include "net/conn/accept.h"
#include "net/conn/idle.h"
#include "net/conn/lock.h"
#include "net/dispatch/crew.h"
#include "net/dispatch/thread.h"
#include "net/http1/deadline.h"
#include "net/http1/exchange.h"
#include "net/http1/load.h"
#include "net/http1/run.h"
#include "net/log/limits.h"
#include "net/loop/post.h"
#include "net/loop/source.h"
#include "net/loop/timer.h"
#include "net/os/clock.h"
#include "net/os/poller.h"
#include "net/request/timeout.h"
#include "net/server/server.h"
#include "net/websocket/end.h"
#include "net/websocket/load.h"
#include "net/websocket/served.h"
#include "wsocket.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    DISCARDS_MAX = 16, /* reads of a lingering connection in one go */
};

void wsk__watch(struct wsk__conn *conn, unsigned want)
{
    wsk_server *srv = conn->srv;

    if (conn->fd < 0)
        return;
    if (srv->loop.edge) {
        /* Only what its handler reads by itself is worth a system call. */
        bool handlers = conn->kind == WSK__WS
                            ? conn->ws->rx == WSK__RX_HANDLER &&
                                  conn->ws->handlers == NULL
                            : conn->detached && conn->busy;

        want = handlers ? 0 : WSK__READ;
    }
    if (want == conn->want)
        return;
    wsk__poller_want(srv->loop.poller, conn->fd, conn, conn->want, want, false);
    conn->want = (uint8_t)want;
}

static uint64_t deadline(struct wsk__conn *conn)
{
    switch (conn->kind) {
    case WSK__HTTP:
        return wsk__http_deadline(conn);
    case WSK__WS:
        return wsk__ws_deadline(conn);
    case WSK__LINGER:
        return conn->since_ms + WSK__LINGER_MS;
    case WSK__DEAD:
        break;
    }
    return UINT64_MAX;
}

void wsk__rearm(struct wsk__conn *conn)
{
    wsk__rearm_at(conn, deadline(conn));
}

void wsk__rearm_at(struct wsk__conn *conn, uint64_t due)
{
    if (due != UINT64_MAX &&
        (conn->source.timer.next == NULL || due < conn->source.timer.due_ms))
        wsk__timer_set(&conn->srv->loop.wheel, &conn->source.timer, due);
}

struct wsk__conn *wsk__conn_ref(struct wsk__conn *conn)
{
    atomic_fetch_add(&conn->refs, 1);
    return conn;
}

void wsk__conn_unref(struct wsk__conn *conn)
{
    if (atomic_fetch_sub(&conn->refs, 1) != 1)
        return;
    if (conn->fd >= 0)
        close(conn->fd);
    conn->srv->conns.release(conn);
    wsk__life_drop(&conn->srv->life);
    wsk__free(conn);
}

void wsk__conn_close(struct wsk__conn *conn)
{
    wsk_server *srv = conn->srv;
    bool websocket;

    if (conn->kind == WSK__DEAD)
        return;
    wsk__conn_lock(conn);
    wsk__poller_remove(srv->loop.poller, conn->fd);
    conn->kind = WSK__DEAD;
    conn->eof = true;
    if (conn->ws != NULL &&
        conn->ws->pins > 0) { /* a thread waits on it: wake it, it closes */
        shutdown(conn->fd, SHUT_RDWR);
        conn->ws->close_due = true;
    } else {
        if (conn->detached) /* the handler's descriptor would keep it open */
            shutdown(conn->fd, SHUT_RDWR);
        close(conn->fd);
        conn->fd = -1;
    }
    websocket = conn->ws != NULL;
    if (websocket)
        wsk__ws_forget_locked(conn);
    wsk__conn_unlock(conn);
    if (websocket)
        wsk__ws_log_end(conn);
    wsk__timer_clear(&srv->loop.wheel, &conn->source.timer);
    wsk__conns_remove(conn);
    conn->next = srv->conns.graveyard;
    srv->conns.graveyard = conn;
    if (!websocket) { /* else its handler's thread may be freeing conn->h */
        wsk__load_forget(conn);
        wsk__exchange_drop_file(conn);
    }
    if (srv->conns.accept_paused && srv->conns.n < srv->cfg.max_connections)
        wsk__pause_accepting(srv, false);
}

void wsk__conn_rests(struct wsk__conn *conn)
{
    wsk__conns_touch(conn);
    if (conn->srv->conns.accept_paused) {
        wsk__conns_offer(conn);
        wsk__pause_accepting(conn->srv, false);
    }
}

void wsk__conns_bury(wsk_server *srv)
{
    while (srv->conns.graveyard != NULL) {
        struct wsk__conn *conn = srv->conns.graveyard;

        srv->conns.graveyard = conn->next;
        conn->next = NULL;
        wsk__conn_unref(conn);
    }
}

void wsk__conn_orphan(struct wsk__conn *conn)
{
    bool first;

    wsk__conn_lock(conn);
    first = conn->kind != WSK__DEAD;
    conn->kind = WSK__DEAD;
    if ((conn->ws == NULL || conn->ws->pins == 0) && conn->fd >= 0) {
        close(conn->fd);
        conn->fd = -1;
    }
    wsk__conn_unlock(conn);
    if (first)
        wsk__conn_unref(conn); /* the loop's */
}

static void discard(struct wsk__thread *th, struct wsk__conn *conn)
{
    for (int reads = 0;; reads++) {
        ssize_t n;

        if (reads == DISCARDS_MAX) {
            wsk__conn_post(conn, WSK__POST_LOOK);
            return;
        }
        n = recv(conn->fd, th->rx, WSK__RX_SIZE, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            wsk__watch(conn, WSK__READ);
            wsk__rearm(conn);
            return;
        }
        if (n > 0)
            conn->lingered += (uint32_t)n;
        if (n <= 0 || conn->lingered > WSK__LINGER_BYTES) {
            wsk__conn_close(conn);
            return;
        }
    }
}

void wsk__conn_linger(struct wsk__conn *conn)
{
    if (conn->kind == WSK__DEAD || conn->kind == WSK__LINGER)
        return;
    if (shutdown(conn->fd, SHUT_WR) != 0) {
        wsk__conn_close(conn);
        return;
    }
    wsk__conn_lock(conn);
    conn->kind = WSK__LINGER;
    conn->since_ms = wsk__now_ms();
    wsk__conn_unlock(conn);
    conn->busy = false;
    wsk__conns_touch(conn); /* it may be let go */
    /* The next look reads what is there; edges have been used up already. */
    wsk__conn_post(conn, WSK__POST_LOOK);
}

bool wsk__leader_may_work(struct wsk__conn *conn)
{
    if (conn->busy) {
        wsk__conn_lock(conn);
        if (conn->kind != WSK__HTTP)
            conn->busy = false;
        wsk__conn_unlock(conn);
    }
    return !conn->busy;
}

static bool is_detached(struct wsk__conn *conn)
{
    bool taken;

    wsk__conn_lock(conn);
    taken = conn->detached;
    wsk__conn_unlock(conn);
    return taken;
}

static wsk__leads run(struct wsk__thread *th, struct wsk__conn *conn)
{
    if (conn->kind == WSK__LINGER)
        discard(th, conn);
    if (conn->ws != NULL) /* its events outlive its transport */
        return wsk__ws_serve(th, conn);
    return conn->kind != WSK__HTTP || wsk__http_run(th, conn);
}

static wsk__leads on_ready(struct wsk__thread *th, struct wsk__source *source,
                           unsigned what)
{
    struct wsk__conn *conn = (struct wsk__conn *)source;

    if (what & WSK__HUP)
        conn->hup_seen = true;
    if (what & WSK__GONE)
        atomic_store(&conn->gone, true);
    if (!wsk__leader_may_work(conn)) {
        if (is_detached(conn))
            wsk__watch(conn, 0);
        return true; /* whoever has it reads again when done */
    }
    if (conn->kind == WSK__HTTP) { /* and not busy: the leader's alone */
        /* Room to write, as epoll tells of every new connection. */
        if (what == WSK__WRITE && !conn->h->stalled)
            return true;
        conn->drained = false;
        conn->hup = conn->hup_seen;
    } else {
        wsk__conn_lock(conn);
        conn->drained = false;
        conn->hup = conn->hup_seen;
        wsk__conn_unlock(conn);
    }
    return run(th, conn);
}

static wsk__leads on_posted(struct wsk__thread *th, struct wsk__source *source,
                            unsigned what)
{
    struct wsk__conn *conn = (struct wsk__conn *)source;

    if (what & WSK__POST_RUN)
        conn->busy = false;
    if (what & WSK__POST_REFUSE)
        wsk__http_refuse(th, conn, WSK__LIMIT_THREADS);
    if (wsk__leader_may_work(conn)) {
        wsk__conn_lock(conn);
        if (what & (WSK__POST_AWAY | WSK__POST_RUN)) {
            conn->drained = false;
            conn->hup = conn->hup_seen;
            if (conn->ws != NULL && !conn->ws->receiving && !conn->ws->calling)
                conn->ws->rx = WSK__RX_LOOP;
        }
        if (conn->ws != NULL && (what & WSK__POST_UNCORK))
            conn->ws->corked = false;
        wsk__conn_unlock(conn);
        return run(th, conn);
    }
    return true;
}

static wsk__leads on_expired(struct wsk__thread *th, struct wsk__source *source)
{
    struct wsk__conn *conn = (struct wsk__conn *)source;
    uint64_t due;

    if (!wsk__leader_may_work(conn)) {
        wsk__wait_told(conn);
        wsk__overdue(th, conn);
        return true;
    }
    due = deadline(conn);
    if (due > th->srv->loop.now_ms) {
        if (due != UINT64_MAX)
            wsk__timer_set(&th->srv->loop.wheel, &conn->source.timer, due);
        return true;
    }
    switch (conn->kind) {
    case WSK__HTTP:
        return wsk__http_expired(th, conn);
    case WSK__WS:
        return wsk__ws_expired(th, conn);
    case WSK__LINGER:
        wsk__conn_close(conn);
        break;
    case WSK__DEAD:
        break;
    }
    return true;
}

static void hold(struct wsk__source *source)
{
    wsk__conn_ref((struct wsk__conn *)source);
}

static void drop(struct wsk__source *source)
{
    wsk__conn_unref((struct wsk__conn *)source);
}

static void on_orphaned(struct wsk__source *source, unsigned what)
{
    if (what & WSK__POST_RUN)
        wsk__conn_orphan((struct wsk__conn *)source);
}

const struct wsk__source_ops wsk__conn_source = {
    .ready = on_ready,
    .posted = on_posted,
    .expired = on_expired,
    .hold = hold,
    .drop = drop,
    .orphaned = on_orphaned,
};

void wsk__conn_post(struct wsk__conn *conn, unsigned what)
{
    wsk__post(&conn->srv->loop, &conn->source, what);
}

void wsk__conn_post_locked(struct wsk__conn *conn, unsigned what)
{
    wsk__post_locked(&conn->srv->dispatch, &conn->source, what);
}
