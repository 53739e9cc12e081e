#include "net/dispatch/calls.h"

#include "net/conn/conn.h"
#include "net/dispatch/crew.h"
#include "net/dispatch/lock.h"
#include "net/dispatch/thread.h"
#include "net/log/limits.h"
#include "net/loop/post.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <pthread.h>

static void begin_locked(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk_server *srv = th->srv;

    th->in_call = true;
    th->conn = conn;
    th->ws = NULL;
    wsk__link_running_locked(th);
    srv->dispatch.calls++;
    wsk__watch_anew_locked(th);
}

static void begin_inline_locked(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk_server *srv = th->srv;

    begin_locked(th, conn);
    if (srv->dispatch.steal_every > 0 &&
        srv->dispatch.calls % (uint64_t)srv->dispatch.steal_every == 0)
        wsk__steal_locked(th);
}

bool wsk__call_begin(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk_server *srv = th->srv;
    bool now;

    wsk__dispatch_lock(srv);
    now = (srv->dispatch.slow_entries == 0 ||
           wsk__queue_is_unserved_locked(srv)) &&
          srv->dispatch.n_running < srv->cfg.threads &&
          srv->dispatch.n_spares > 0 && srv->dispatch.n_fresh == 0 &&
          srv->dispatch.queue == NULL && srv->dispatch.n_unparking == 0;
    if (now)
        begin_inline_locked(th, conn);
    wsk__dispatch_unlock(srv);
    return now;
}

void wsk__call_begin_aside(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk__dispatch_lock(th->srv);
    begin_inline_locked(th, conn);
    wsk__dispatch_unlock(th->srv);
}

bool wsk__call_end(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    bool leads;

    if (wsk__forked(&srv->life))
        return false;
    wsk__dispatch_lock(srv);
    if (th->in_call)
        wsk__unlink_running_locked(th);
    else /* it left before: wsk__call_leave() */
        srv->dispatch.n_parked--;
    srv->dispatch.n_upgraded -= th->ws != NULL;
    th->in_call = false;
    th->conn = NULL;
    th->ws = NULL;
    leads = th->leads;
    if (srv->dispatch.n_unparking > 0)
        pthread_cond_signal(&srv->dispatch.slot_free);
    wsk__kick_locked(srv);
    wsk__dispatch_unlock(srv);
    return leads;
}

/* What keeps one more request from waiting; WSK__LIMITS: nothing. */
static enum wsk__limit queue_limit_locked(const wsk_server *srv)
{
    if (wsk__is_hopeless_locked(srv))
        return WSK__LIMIT_THREADS;
    return srv->dispatch.n_queued >= srv->cfg.queue_limit ? WSK__LIMIT_QUEUE
                                                          : WSK__LIMITS;
}

enum wsk__limit wsk__call_queue(wsk_server *srv, struct wsk_conn *conn)
{
    bool is_request = conn->ws == NULL, late;
    enum wsk__limit limit = WSK__LIMITS;

    wsk__dispatch_lock(srv);
    if (is_request)
        limit = queue_limit_locked(srv);
    if (limit != WSK__LIMITS) {
        wsk__dispatch_unlock(srv);
        return limit;
    }
    srv->dispatch.n_queued += is_request;
    conn->queued = true;
    late = srv->dispatch.ended;
    conn->queue_next = NULL;
    *srv->dispatch.queue_tail = conn;
    srv->dispatch.queue_tail = &conn->queue_next;
    wsk__kick_locked(srv);
    wsk__dispatch_unlock(srv);
    if (late)
        wsk__drop_queue(srv);
    return limit;
}

bool wsk__call_waits_for_slot(struct wsk_conn *conn)
{
    wsk_server *srv = conn->srv;
    bool waits;

    wsk__dispatch_lock(srv);
    waits = conn->queued && srv->dispatch.n_running >= srv->cfg.threads;
    wsk__dispatch_unlock(srv);
    return waits;
}

void wsk__release_queue(wsk_server *srv, struct wsk__release *release)
{
    wsk__dispatch_lock(srv);
    release->next = srv->dispatch.releases;
    srv->dispatch.releases = release;
    wsk__kick_locked(srv);
    wsk__dispatch_unlock(srv);
}

static bool reserve_place_locked(wsk_server *srv)
{
    bool free = srv->dispatch.n_places < srv->cfg.max_parked;

    srv->dispatch.n_places += free;
    return free;
}

/* The thread gives its slot away. */
static void park_locked(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    wsk__unlink_running_locked(th);
    srv->dispatch.n_parked++;
    if (srv->dispatch.n_unparking > 0)
        pthread_cond_signal(&srv->dispatch.slot_free);
}

void wsk__call_park(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    if (wsk__forked(&srv->life))
        return;
    wsk__dispatch_lock(srv);
    wsk__step_back_locked(th);
    th->took_place = th->ws == NULL && reserve_place_locked(srv);
    th->parked = th->ws != NULL || th->took_place;
    if (th->parked)
        park_locked(th);
    wsk__kick_locked(srv);
    wsk__dispatch_unlock(srv);
    if (!th->parked)
        wsk__limit_hit(&srv->logs, WSK__LIMIT_WAITS);
}

void wsk__call_unpark(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    if (wsk__forked(&srv->life) || !th->parked)
        return;
    wsk__dispatch_lock(srv);
    srv->dispatch.n_unparking++;
    if (srv->dispatch.n_running >= srv->cfg.threads && th->ws != NULL)
        wsk__crew_post_locked(
            th->ws, WSK__POST_AWAY); /* it will not read for a while */
    wsk__wake_locked(srv);
    while (!srv->dispatch.ended &&
           (srv->dispatch.n_running >= srv->cfg.threads ||
            (srv->dispatch.queue_turn && srv->dispatch.queue != NULL &&
             !wsk__queue_is_unserved_locked(srv))))
        pthread_cond_wait(&srv->dispatch.slot_free, &srv->dispatch.lock);
    srv->dispatch.n_unparking--;
    srv->dispatch.queue_turn = srv->dispatch.queue != NULL;
    srv->dispatch.n_parked--;
    srv->dispatch.n_places -= th->took_place;
    th->parked = th->took_place = false;
    wsk__link_running_locked(th);
    wsk__watch_anew_locked(th);
    wsk__kick_locked(srv);
    wsk__dispatch_unlock(srv);
}

void wsk__call_leave(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    if (!wsk__forked(&srv->life)) {
        wsk__dispatch_lock(srv);
        wsk__step_back_locked(th);
        park_locked(th);
        wsk__kick_locked(srv);
        wsk__dispatch_unlock(srv);
    }
    th->in_call = false; /* read by this thread only */
}

void wsk__call_upgraded(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk__dispatch_lock(th->srv);
    th->ws = conn;
    th->srv->dispatch.n_upgraded++;
    wsk__watch_anew_locked(th);
    wsk__dispatch_unlock(th->srv);
}

void wsk__call_is_back(struct wsk__thread *th)
{
    wsk__dispatch_lock(th->srv);
    wsk__watch_anew_locked(th);
    wsk__dispatch_unlock(th->srv);
}

bool wsk__call_goes_on(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    bool others;

    wsk__dispatch_lock(srv);
    wsk__watch_anew_locked(th);
    others = srv->dispatch.n_running >= srv->cfg.threads &&
             (srv->dispatch.n_unparking > 0 || srv->dispatch.queue != NULL);
    wsk__dispatch_unlock(srv);
    return !others;
}

void wsk__call_take_turns(struct wsk__thread *th)
{
    if (!wsk__call_goes_on(th)) {
        wsk__call_park(th);
        wsk__call_unpark(th);
    }
}

bool wsk__socket_reserve(wsk_server *srv)
{
    bool free;

    wsk__dispatch_lock(srv);
    free = reserve_place_locked(srv);
    wsk__dispatch_unlock(srv);
    return free;
}

void wsk__socket_release(wsk_server *srv)
{
    wsk__dispatch_lock(srv);
    srv->dispatch.n_places--;
    wsk__dispatch_unlock(srv);
}

/* A slot is free, and no other fresh thread already serves the queue. */
static bool may_take_locked(const struct wsk__thread *th)
{
    const wsk_server *srv = th->srv;

    return srv->dispatch.n_running < srv->cfg.threads &&
           (th->fresh || srv->dispatch.n_fresh == 0);
}

/* What was lent may be given back: a call like any other, for it may run code
 * of the application. Those that are left when the server has ended are
 * nobody's call any more. */
static struct wsk__release *take_release_locked(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    struct wsk__release *release = srv->dispatch.releases;

    if (release == NULL || !(srv->dispatch.ended || may_take_locked(th)))
        return NULL;
    srv->dispatch.releases = release->next;
    if (!srv->dispatch.ended) {
        begin_locked(th, NULL);
        wsk__set_fresh_locked(th, true);
    }
    return release;
}

bool wsk__next_call(struct wsk__thread *th, struct wsk_conn **conn,
                    struct wsk__release **release)
{
    wsk_server *srv = th->srv;

    *conn = NULL;
    wsk__dispatch_lock(srv);
    *release = take_release_locked(th);
    if (*release == NULL && !srv->dispatch.ended &&
        srv->dispatch.queue != NULL && wsk__queue_may_run_locked(srv) &&
        may_take_locked(th)) {
        *conn = srv->dispatch.queue;
        srv->dispatch.queue = (*conn)->queue_next;
        if (srv->dispatch.queue == NULL)
            srv->dispatch.queue_tail = &srv->dispatch.queue;
        srv->dispatch.n_queued -= (*conn)->ws == NULL;
        (*conn)->queued = false;
        begin_locked(th, *conn);
        wsk__set_fresh_locked(th, true);
        srv->dispatch.queue_turn = false;
        if (srv->dispatch.n_unparking > 0)
            pthread_cond_signal(&srv->dispatch.slot_free);
    } else if (*release == NULL) {
        wsk__set_fresh_locked(th, false);
    }
    wsk__dispatch_unlock(srv);
    return *release != NULL || *conn != NULL;
}

/* Requests shall not wait for ever; events of WebSockets may. */
static void refuse_queue_locked(wsk_server *srv)
{
    struct wsk_conn **at = &srv->dispatch.queue;

    while (*at != NULL) {
        struct wsk_conn *conn = *at;

        if (conn->ws != NULL) {
            at = &conn->queue_next;
            continue;
        }
        *at = conn->queue_next;
        conn->queued = false;
        srv->dispatch.n_queued--;
        wsk__crew_post_locked(conn, WSK__POST_RUN | WSK__POST_REFUSE);
    }
    srv->dispatch.queue_tail = at;
}

void wsk__despair_locked(wsk_server *srv)
{
    srv->dispatch.no_threads = true;
    pthread_cond_broadcast(
        &srv->dispatch.slot_free); /* not the queue's turn any more */
    if (wsk__is_hopeless_locked(srv))
        refuse_queue_locked(srv);
}

void wsk_server_no_thread(wsk_server *srv)
{
    wsk__dispatch_lock(srv);
    wsk__despair_locked(srv);
    wsk__dispatch_unlock(srv);
}

bool wsk__calls_open(wsk_server *srv)
{
    bool open;

    wsk__dispatch_lock(srv);
    open = srv->dispatch.n_running > 0 || srv->dispatch.n_parked > 0 ||
           srv->dispatch.queue != NULL || srv->dispatch.releases != NULL;
    wsk__dispatch_unlock(srv);
    return open;
}

void wsk__drop_queue(wsk_server *srv)
{
    struct wsk_conn *conn;

    wsk__dispatch_lock(srv);
    conn = srv->dispatch.queue;
    srv->dispatch.queue = NULL;
    srv->dispatch.queue_tail = &srv->dispatch.queue;
    srv->dispatch.n_queued = 0;
    wsk__dispatch_unlock(srv);
    while (conn != NULL) {
        struct wsk_conn *next = conn->queue_next;

        conn->busy = false;
        if (conn->ws != NULL)
            wsk_conn_unref(conn); /* taken when its events were queued */
        conn = next;
    }
}
