#include "net/dispatch/dispatch.h"

#include "base/buf.h"
#include "base/mem.h"
#include "http/head.h"
#include "net/conn/conn.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/crew.h"
#include "net/dispatch/gate.h"
#include "net/dispatch/lock.h"
#include "net/dispatch/monitor.h"
#include "net/dispatch/thread.h"
#include "net/http1/output.h"
#include "net/http1/run.h"
#include "net/loop/loop.h"
#include "net/loop/post.h"
#include "net/os/locks.h"
#include "net/server/server.h"
#include "net/websocket/events.h"
#include "ws/conn.h"
#include "wsocket.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

enum {
    MIN_SPARES = 2, /* one for the lead, one for a queued call */
    REAP_S = 10,    /* how long a surplus spare waits for work */
};

_Thread_local struct wsk__thread *wsk__self;

static void serve_release(struct wsk__thread *th, struct wsk__release *release)
{
    release->call(release->user);
    wsk__free(release);
    if (th->in_call)
        wsk__call_end(th);
}

static void serve_request(struct wsk__thread *th, struct wsk_conn *conn)
{
    bool upgraded = wsk__http_call(th, conn, WSK__CALL_QUEUED);

    if (!upgraded)
        wsk__http_flush(th, conn);
    wsk__call_end(th);
    wsk__post(conn, WSK__POST_RUN);
    if (upgraded)
        wsk_conn_unref(conn);
}

static void serve_events(struct wsk__thread *th, struct wsk_conn *conn)
{
    enum wsk__calls calls = wsk__ws_call(th, conn, false);

    wsk__call_end(th);
    if (calls == WSK__CALLS_MORE) {
        wsk__call_queue(th->srv, conn);
    } else {
        wsk__post(conn, WSK__POST_RUN);
        wsk_conn_unref(conn); /* taken when its events were queued */
    }
}

static void serve_queue(struct wsk__thread *th)
{
    struct wsk__release *release;
    struct wsk_conn *conn;

    while (!wsk__forked(&th->srv->life) &&
           wsk__next_call(th, &conn, &release)) {
        if (release != NULL || conn->ws != NULL)
            wsk__gate_enter(th);
        if (release != NULL)
            serve_release(th, release);
        else if (conn->ws != NULL)
            serve_events(th, conn);
        else
            serve_request(th, conn);
    }
    wsk__gate_leave(th);
}

/* Wait for an order; false when the thread is not needed any more. */
static bool await_order_locked(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    bool surplus;

    wsk__push_spare_locked(th);
    surplus = srv->dispatch.n_spares > MIN_SPARES;
    wsk__kick_locked(srv);
    while (th->order == WSK__NO_ORDER && !srv->dispatch.ended) {
        struct timespec until;

        if (!surplus) {
            pthread_cond_wait(&th->wake, &srv->dispatch.lock);
            continue;
        }
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += REAP_S;
        if (pthread_cond_timedwait(&th->wake, &srv->dispatch.lock, &until) ==
                ETIMEDOUT &&
            th->order == WSK__NO_ORDER) {
            if (srv->dispatch.n_spares <= MIN_SPARES) {
                surplus = false;
                continue;
            }
            wsk__drop_spare_locked(th);
            return false;
        }
    }
    if (th->order == WSK__NO_ORDER)
        wsk__drop_spare_locked(th);
    return th->order != WSK__NO_ORDER;
}

void wsk__dispatch_work(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    wsk__dispatch_lock(srv);
    while (!srv->dispatch.ended) {
        bool lead = !srv->dispatch.led;

        if (lead)
            srv->dispatch.led = th->leads = true;
        else if (!await_order_locked(th))
            break;
        lead = lead || th->order == WSK__LEAD;
        th->order = WSK__NO_ORDER;
        wsk__dispatch_unlock(srv);
        if (lead)
            wsk__lead(th);
        serve_queue(th);
        if (wsk__forked(&srv->life))
            return;
        wsk__dispatch_lock(srv);
    }
    wsk__dispatch_unlock(srv);
}

static void *own_thread(void *arg)
{
    wsk_server *srv = arg;

    wsk_server_work(srv, NULL);
    wsk__life_drop(&srv->life);
    return NULL;
}

bool wsk__spawn_own(wsk_server *srv)
{
    pthread_t thread;

    assert(!wsk__holds(WSK__LOCK_ANY));
    /* No signal is blocked: what a handler starts would inherit that. */
    wsk__life_hold(&srv->life); /* the thread's: it may come after the end */
    if (pthread_create(&thread, NULL, own_thread, srv) != 0) {
        wsk__life_drop(&srv->life);
        return false;
    }
    pthread_detach(thread);
    return true;
}

bool wsk__dispatch_start(wsk_server *srv)
{
    pthread_t thread;
    int err;

    srv->dispatch.queue_tail = &srv->dispatch.queue;
    srv->dispatch.tick = 1; /* 0 says: not seen yet */
    wsk__life_hold(&srv->life);
    err = pthread_create(&thread, NULL, wsk__monitor, srv);
    if (err != 0) {
        wsk__life_drop(&srv->life);
        errno = err;
        return false;
    }
    pthread_detach(thread);
    return true;
}

void wsk__dispatch_end(wsk_server *srv)
{
    wsk__dispatch_lock(srv);
    srv->dispatch.ended = true;
    srv->dispatch.monitor_asleep = false;
    pthread_cond_signal(&srv->dispatch.monitor_wake);
    pthread_cond_broadcast(&srv->dispatch.slot_free);
    pthread_cond_broadcast(&srv->dispatch.changed);
    for (struct wsk__thread *th = srv->dispatch.spares; th != NULL;
         th = th->next)
        pthread_cond_signal(&th->wake);
    wsk__dispatch_unlock(srv);
}

static void thread_free(struct wsk__thread *th)
{
    pthread_cond_destroy(&th->wake);
    wsk__buf_free(&th->spare_out);
    wsk__out_free(th->ws_out);
    wsk__free(th->heads);
    wsk__free(th->rx);
    wsk__free(th);
}

static struct wsk__thread *thread_new(wsk_server *srv, void *lent)
{
    struct wsk__thread *th = wsk__calloc(sizeof(*th));

    if (th == NULL)
        return NULL;
    pthread_cond_init(&th->wake, NULL);
    th->srv = srv;
    th->lent = lent;
    th->rx = wsk__alloc(WSK__RX_SIZE);
    th->heads = wsk__head_store_new(&srv->cfg.limits);
    wsk__buf_init(&th->spare_out, SIZE_MAX / 4);
    if (th->rx == NULL || th->heads == NULL) {
        thread_free(th);
        return NULL;
    }
    return th;
}

/* A thread that was asked for has come (+1), or one has gone (-1). */
static void count_thread(wsk_server *srv, int change)
{
    wsk__dispatch_lock(srv);
    if (change > 0)
        srv->dispatch.no_threads = false;
    if (change > 0 && srv->dispatch.n_awaiting > 0)
        srv->dispatch.n_awaiting--;
    srv->dispatch.n_threads += (unsigned)change;
    pthread_cond_broadcast(&srv->dispatch.changed);
    wsk__dispatch_unlock(srv);
}

void wsk_server_work(wsk_server *srv, void *lent)
{
    struct wsk__thread *th = thread_new(srv, lent);

    wsk__life_hold(&srv->life);
    count_thread(srv, 1);
    if (th != NULL) {
        wsk__self = th;
        wsk__dispatch_work(th);
        wsk__self = NULL;
        if (wsk__forked(&srv->life))
            return; /* a child's copy of what other threads were using */
        thread_free(th);
    }
    count_thread(srv, -1);
    wsk__life_drop(&srv->life);
}

bool wsk__all_gone_locked(const wsk_server *srv)
{
    /* Our own threads come when they were asked for; others perhaps never. */
    bool expected = srv->dispatch.hooks.spawn == NULL &&
                    srv->dispatch.n_awaiting > 0;

    return srv->dispatch.ended && srv->dispatch.monitor_gone &&
           srv->dispatch.n_threads == 0 && !expected;
}
