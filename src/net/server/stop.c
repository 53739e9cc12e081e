#include "net/server/stop.h"

#include "base/mem.h"
#include "net/conn/accept.h"
#include "net/conn/conn.h"
#include "net/conn/idle.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/dispatch.h"
#include "net/dispatch/gate.h"
#include "net/dispatch/lock.h"
#include "net/dispatch/thread.h"
#include "net/log/writer.h"
#include "net/loop/loop.h"
#include "net/loop/post.h"
#include "net/loop/source.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/listen.h"
#include "net/os/poller.h"
#include "net/os/stream.h"
#include "net/os/wake.h"
#include "net/server/logs.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

enum {
    GOAWAYS_AT_ONCE = 128, /* WebSockets told to go without a spread */
    GOAWAYS_PER_MS = 4,    /* where there are more */
    FORCED_MS = 200,       /* for close events, once the drain is over */
};

/* Return the time over which WebSockets are told to go: clients that are sent
 * away at once come back at once, to the next server. */
static uint32_t spread_of(const wsk_server *srv, uint32_t drain_ms)
{
    uint32_t ms = srv->conns.n / GOAWAYS_PER_MS;

    if (srv->conns.n <= GOAWAYS_AT_ONCE)
        return 0;
    return ms < drain_ms / 4 ? ms : drain_ms / 4;
}

static void begin_drain(wsk_server *srv)
{
    int asked = atomic_load(&srv->stop.ms);
    uint32_t ms = asked < 0 ? srv->cfg.graceful_timeout_ms : (uint32_t)asked;

    srv->conns.goaway_ms = wsk__now_ms();
    srv->conns.goaway_spread_ms = spread_of(srv, ms);
    wsk__accept_pause(&srv->conns);
    srv->conns.draining = true;
    for (size_t i = 0; i < srv->conns.places.n; i++) {
        wsk__poller_remove(srv->loop.poller, srv->conns.places.at[i].fd);
        wsk__place_close(&srv->conns.places, i, true);
    }
    wsk__conns_join(&srv->conns);
    for (struct wsk__conn *c = srv->conns.resting.oldest; c != NULL;
         c = c->next) {
        if (wsk__conn_ops(c)->drain != NULL)
            wsk__conn_ops(c)->drain(c);
        /* The look closes idle connections, and tells others. */
        wsk__conn_post(c, WSK__POST_LOOK);
    }
    wsk__loop_set_timer(&srv->loop, &srv->stop.drain_end, wsk__now_ms() + ms);
}

/* Cut the answers: the time is up. Close events are still delivered. */
static void force_drain(wsk_server *srv)
{
    struct wsk__conn *next;

    srv->stop.forced = true;
    for (struct wsk__conn *c = srv->conns.resting.oldest; c != NULL; c = next) {
        next = c->next;
        if (!wsk__leader_may_work(c))
            wsk__stream_shut(c->fd);
        else
            wsk__conn_ops(c)->end(c);
    }
    wsk__loop_set_timer(&srv->loop, &srv->stop.drain_end,
                        wsk__now_ms() + FORCED_MS);
}

static void end(wsk_server *srv)
{
    wsk__drop_queue(&srv->dispatch);
    for (struct wsk__conn *c = srv->conns.resting.oldest, *next; c != NULL;
         c = next) {
        next = c->next;
        if (wsk__leader_may_work(c))
            wsk__conn_close(c);
    }
    wsk__close_posts(&srv->loop);
    wsk__conns_bury(&srv->conns);
    wsk__dispatch_end(&srv->dispatch);
}

/* Take the next step of a stop, if one was asked for. False: the server has
 * ended. */
static bool heed_stop(wsk_server *srv)
{
    int asked = atomic_load(&srv->stop.asked);

    if (asked == 0)
        return true;
    if (!srv->conns.draining)
        begin_drain(srv);
    if (!srv->stop.forced && (asked > 1 || atomic_load(&srv->stop.ms) == 0))
        force_drain(srv);
    if (!srv->stop.events_cut &&
        (srv->conns.n > 0 || wsk__calls_open(&srv->dispatch)))
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
    if (!heed_stop(srv))
        return false;
    wsk__gate_leave(th);
    return true;
}

static wsk__leads end_drain(struct wsk__thread *th, struct wsk__source *source)
{
    wsk_server *srv = WSK__OWNER(source, struct wsk_server, stop.drain_end);

    wsk__assert_leads(th);
    if (srv->stop.forced)
        srv->stop.events_cut = true;
    else
        force_drain(srv);
    return true;
}

void wsk__stop_init(wsk_server *srv)
{
    static const struct wsk__source_ops DRAIN = {.expired = end_drain};

    srv->stop.drain_end.ops = &DRAIN;
    srv->loop.before_wait = before_wait;
}

void wsk_server_stop(wsk_server *srv, int drain_ms)
{
    int saved = errno; /* this may run inside a signal handler */

    if (wsk__forked(&srv->life))
        return;
    if (atomic_load(&srv->stop.asked) == 0 || drain_ms == 0)
        atomic_store(&srv->stop.ms, drain_ms);
    atomic_fetch_add(&srv->stop.asked, 1);
    wsk__wake(&srv->loop.wake);
    errno = saved;
}

wsk_status wsk_server_join(wsk_server *srv, int timeout_ms)
{
    struct timespec until;
    wsk_status st = WSK_OK;

    if (!srv->dispatch.started)
        return WSK_E_STATE;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (timeout_ms < 0 ? 3600 : timeout_ms / 1000);
    until.tv_nsec += (timeout_ms < 0 ? 0 : timeout_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
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
                until.tv_sec += 3600;
            else
                st = WSK_E_TIMEOUT;
        }
    }
    wsk__dispatch_unlock(&srv->dispatch);
    if (st != WSK_E_TIMEOUT) { /* before the program prints anything else */
        wsk__log_flush(srv->logs.access, WSK__LOG_FLUSH_MS);
        wsk__log_flush(srv->logs.error, WSK__LOG_FLUSH_MS);
    }
    return st;
}
