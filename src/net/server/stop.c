#include "net/server/stop.h"

#include "base/mem.h"
#include "net/conn/accept.h"
#include "net/conn/admin.h"
#include "net/conn/balance.h"
#include "net/conn/conn.h"
#include "net/conn/drain.h"
#include "net/conn/idle.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/dispatch.h"
#include "net/dispatch/gate.h"
#include "net/dispatch/lock.h"
#include "net/dispatch/offload.h"
#include "net/dispatch/thread.h"
#include "net/log/writer.h"
#include "net/loop/loop.h"
#include "net/loop/post.h"
#include "net/loop/source.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/stream.h"
#include "net/os/wake.h"
#include "net/server/logs.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

enum {
    HOUR_MS = 3600000,
    FORCED_MS = 200, /* for close events, once the drain is over */
};

static void set_timer(wsk_server *srv, uint64_t due_ms)
{
    srv->stop.due_ms = due_ms;
    wsk__loop_set_timer(&srv->loop, &srv->stop.timer, due_ms);
}

/* Let each connection know how the server leaves, or that this has changed. */
static void tell_all(wsk_server *srv)
{
    wsk__conns_join(&srv->conns);
    for (struct wsk__conn *c = srv->conns.resting.oldest; c != NULL;
         c = c->next)
        wsk__conn_ops(c)->drain(c);
}

static void begin_drain(wsk_server *srv)
{
    const wsk_drain *how = &srv->stop.how;
    uint64_t due_ms = wsk__now_ms() + wsk__drain_time_ms(&srv->conns, how);

    if (srv->stop.stage == WSK__STOP_DRAIN && due_ms > srv->stop.due_ms)
        due_ms = srv->stop.due_ms;
    srv->stop.stage = WSK__STOP_DRAIN;
    wsk__drain_begin(&srv->conns, how);
    wsk__balance_say(&srv->conns, WSK_WORKER_DRAINING);
    wsk__accept_drain(&srv->conns);
    tell_all(srv);
    set_timer(srv, due_ms);
}

/* Follow an order to leave: the first, or one that changes it. */
static void follow(wsk_server *srv, const wsk_drain *how)
{
    uint32_t delay_ms = how->delay_ms != WSK_AUTO_MS ? how->delay_ms
                                                     : srv->cfg.stop_delay_ms;

    if (srv->stop.stage >= WSK__STOP_FORCED)
        return;
    srv->stop.how = *how;
    if (atomic_load(&srv->stop.at_once))
        return;
    if (srv->stop.stage != WSK__STOP_NONE || delay_ms == 0) {
        begin_drain(srv);
        return;
    }
    srv->stop.stage = WSK__STOP_DELAY;
    atomic_store(&srv->conns.last_answers, true);
    set_timer(srv, wsk__now_ms() + delay_ms);
}

/* Cut the answers: the time is up. Close frames and close events still leave.
 */
static void force(wsk_server *srv)
{
    struct wsk__conn *next;

    if (!srv->conns.draining)
        wsk__drain_begin(&srv->conns, &srv->stop.how);
    srv->stop.stage = WSK__STOP_FORCED;
    srv->conns.drain.forced_ms = wsk__now_ms();
    wsk__accept_close(&srv->conns);
    wsk__conns_join(&srv->conns);
    for (struct wsk__conn *c = srv->conns.resting.oldest; c != NULL; c = next) {
        next = c->next;
        if (!wsk__leader_may_work(c))
            wsk__stream_shut(&c->stream);
        else
            wsk__conn_ops(c)->end(c);
    }
    set_timer(srv, wsk__now_ms() + FORCED_MS);
}

static void end(wsk_server *srv)
{
    wsk__drop_queue(&srv->dispatch);
    wsk__conns_join(&srv->conns);
    for (struct wsk__conn *c = srv->conns.resting.oldest, *next; c != NULL;
         c = next) {
        next = c->next;
        if (wsk__leader_may_work(c))
            wsk__conn_close(c);
    }
    wsk__admin_end(&srv->conns);
    wsk__server_publish(srv);
    wsk__close_posts(&srv->loop);
    wsk__balance_say(&srv->conns, WSK_WORKER_GONE);
    wsk__conns_bury(&srv->conns);
    wsk__offload_end(&srv->shakes);
    wsk__offload_end(&srv->certs.offload);
    wsk__dispatch_end(&srv->dispatch);
}

static void heed_orders(wsk_server *srv)
{
    struct wsk__stop *stop = &srv->stop;

    while (stop->heeded < WSK__STOP_ORDERS &&
           atomic_load(&stop->order[stop->heeded].ready))
        follow(srv, &stop->order[stop->heeded++].how);
    if (atomic_load(&stop->at_once) && stop->stage < WSK__STOP_FORCED)
        force(srv);
}

/* Take the next step of a stop, if one was asked for. False: the server has
 * ended. */
static bool heed_stop(wsk_server *srv)
{
    if (atomic_load(&srv->stop.asked) == 0)
        return true;
    heed_orders(srv);
    if (srv->stop.stage < WSK__STOP_DRAIN)
        return true;
    if (srv->stop.stage != WSK__STOP_CUT &&
        (srv->conns.n > 0 || wsk__calls_open(&srv->dispatch)))
        return true;
    if (srv->conns.listeners_open && wsk__accept_last(&srv->conns))
        return true;
    end(srv);
    return false;
}

static bool before_wait(struct wsk__loop *loop, struct wsk__thread *th)
{
    wsk_server *srv = WSK__OWNER(loop, struct wsk_server, loop);

    wsk__assert_leads(th);
    wsk__conns_bury(&srv->conns);
    wsk__accept_resume(&srv->conns);
    wsk__accept_heed(&srv->conns);
    if (!heed_stop(srv))
        return false;
    wsk__server_publish_later(srv);
    wsk__gate_leave(th);
    return true;
}

static wsk__leads on_timer(struct wsk__thread *th, struct wsk__source *source)
{
    wsk_server *srv = WSK__OWNER(source, struct wsk_server, stop.timer);

    wsk__assert_leads(th);
    switch (srv->stop.stage) {
    case WSK__STOP_DELAY:
        begin_drain(srv);
        break;
    case WSK__STOP_DRAIN:
        force(srv);
        break;
    case WSK__STOP_FORCED:
        srv->stop.stage = WSK__STOP_CUT;
        break;
    case WSK__STOP_NONE:
    case WSK__STOP_CUT:
        break;
    }
    return true;
}

void wsk__stop_init(wsk_server *srv)
{
    static const struct wsk__source_ops TIMER = {.expired = on_timer};

    srv->stop.timer.ops = &TIMER;
    srv->loop.before_wait = before_wait;
}

/* Give an order; this may run inside a signal handler. `once`: it means at once
 * if there was one before. */
static void give_order(wsk_server *srv, const wsk_drain *how, bool once)
{
    struct wsk__stop *stop = &srv->stop;
    int saved = errno;
    unsigned i;

    if (wsk__forked(&srv->life))
        return;
    i = atomic_fetch_add(&stop->asked, 1);
    if (i < WSK__STOP_ORDERS) {
        stop->order[i].how = *how;
        atomic_store(&stop->order[i].ready, true);
    }
    if (how->ms == 0 || i >= WSK__STOP_ORDERS || (once && i > 0))
        atomic_store(&stop->at_once, true);
    wsk__wake(&srv->loop.wake);
    errno = saved;
}

void wsk_server_drain(wsk_server *srv, const wsk_drain *how)
{
    static const wsk_drain PLAIN = {
        .ms = WSK_AUTO_MS, .idle_ms = WSK_AUTO_MS, .spread_ms = WSK_AUTO_MS};

    give_order(srv, how != NULL ? how : &PLAIN, false);
}

void wsk_server_stop(wsk_server *srv, int drain_ms)
{
    const wsk_drain how = {.ms = drain_ms < 0 ? WSK_AUTO_MS
                                              : (uint32_t)drain_ms,
                           .idle_ms = WSK_AUTO_MS,
                           .spread_ms = WSK_AUTO_MS};

    give_order(srv, &how, true);
}

wsk_status wsk_server_join(wsk_server *srv, int timeout_ms)
{
    unsigned wait_ms = timeout_ms < 0 ? HOUR_MS : (unsigned)timeout_ms;
    struct timespec until = wsk__wait_until(wait_ms);
    wsk_status st = WSK_OK;

    if (!srv->dispatch.started)
        return WSK_E_STATE;
    wsk__dispatch_lock(&srv->dispatch);
    while (!wsk__all_gone_locked(&srv->dispatch) && st == WSK_OK) {
        /* Spares leave at once; a thread in a handler may never come. */
        bool stuck = srv->dispatch.ended &&
                     srv->dispatch.n_running + srv->dispatch.n_parked > 0;

        if (stuck)
            st = WSK_E_STATE;
        else if (pthread_cond_timedwait(&srv->dispatch.changed,
                                        &srv->dispatch.lock,
                                        &until) == ETIMEDOUT) {
            if (timeout_ms < 0)
                until = wsk__wait_until(wait_ms);
            else
                st = WSK_E_TIMEOUT;
        }
    }
    wsk__dispatch_unlock(&srv->dispatch);
    if (st != WSK_E_TIMEOUT) {
        if (!wsk__forked(&srv->life)) {
            wsk__offload_join(&srv->shakes);
            wsk__offload_join(&srv->certs.offload);
        }
        /* before the program prints anything else */
        wsk__log_flush(srv->logs.access, WSK__LOG_FLUSH_MS);
        wsk__log_flush(srv->logs.error, WSK__LOG_FLUSH_MS);
    }
    return st;
}
