#include "net/dispatch/crew.h"

#include "net/conn/conn.h"
#include "net/dispatch/lock.h"
#include "net/dispatch/thread.h"
#include "net/loop/post.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    MIN_SPARES = 2, /* one for the lead, one for a queued call */
};

void wsk__link_running_locked(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    th->prev = NULL;
    th->next = srv->dispatch.running;
    if (th->next != NULL)
        th->next->prev = th;
    srv->dispatch.running = th;
    srv->dispatch.n_running++;
}

void wsk__unlink_running_locked(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    if (th->prev != NULL)
        th->prev->next = th->next;
    else
        srv->dispatch.running = th->next;
    if (th->next != NULL)
        th->next->prev = th->prev;
    th->prev = th->next = NULL;
    srv->dispatch.n_running--;
}

void wsk__push_spare_locked(struct wsk__thread *th)
{
    th->next = th->srv->dispatch.spares;
    th->srv->dispatch.spares = th;
    th->srv->dispatch.n_spares++;
}

static struct wsk__thread *pop_spare_locked(wsk_server *srv)
{
    struct wsk__thread *th = srv->dispatch.spares;

    if (th != NULL) {
        srv->dispatch.spares = th->next;
        th->next = NULL;
        srv->dispatch.n_spares--;
    }
    return th;
}

void wsk__drop_spare_locked(struct wsk__thread *th)
{
    struct wsk__thread **at = &th->srv->dispatch.spares;

    while (*at != th)
        at = &(*at)->next;
    *at = th->next;
    th->next = NULL;
    th->srv->dispatch.n_spares--;
}

void wsk__set_fresh_locked(struct wsk__thread *th, bool fresh)
{
    if (th->fresh == fresh)
        return;
    th->fresh = fresh;
    if (fresh)
        th->srv->dispatch.n_fresh++;
    else
        th->srv->dispatch.n_fresh--;
}

static void order_locked(struct wsk__thread *spare, enum wsk__order order)
{
    spare->order = order;
    if (order == WSK__LEAD)
        spare->leads = true;
    else
        wsk__set_fresh_locked(spare, true);
    pthread_cond_signal(&spare->wake);
}

void wsk__crew_post_locked(struct wsk_conn *conn, unsigned what)
{
    wsk_server *srv = conn->srv;

    if (wsk__post_quietly(conn, what))
        srv->dispatch.wake_due = true;
}

void wsk__wake_locked(wsk_server *srv)
{
    if (srv->dispatch.wake_due) {
        wsk__dispatch_unlock(srv);
        wsk__dispatch_lock(srv);
    }
}

unsigned wsk__missing_spares_locked(const wsk_server *srv)
{
    unsigned have = srv->dispatch.n_spares + srv->dispatch.n_awaiting;
    unsigned cap = srv->cfg.threads + srv->cfg.max_parked + MIN_SPARES + 1;

    if (have >= MIN_SPARES ||
        srv->dispatch.n_threads + srv->dispatch.n_awaiting >= cap)
        return 0;
    return MIN_SPARES - have;
}

static void wake_monitor_locked(wsk_server *srv)
{
    if (srv->dispatch.monitor_asleep) {
        srv->dispatch.monitor_asleep = false;
        pthread_cond_signal(&srv->dispatch.monitor_wake);
    }
}

bool wsk__queue_may_run_locked(const wsk_server *srv)
{
    return srv->dispatch.n_unparking == 0 || srv->dispatch.queue_turn;
}

bool wsk__queue_is_unserved_locked(const wsk_server *srv)
{
    return srv->dispatch.no_threads && srv->dispatch.n_spares < MIN_SPARES;
}

void wsk__kick_locked(wsk_server *srv)
{
    bool due =
        (srv->dispatch.queue != NULL && wsk__queue_may_run_locked(srv)) ||
        srv->dispatch.releases != NULL;

    if (due && srv->dispatch.n_running < srv->cfg.threads &&
        srv->dispatch.n_fresh == 0 && srv->dispatch.n_spares >= MIN_SPARES)
        order_locked(pop_spare_locked(srv), WSK__CALL);
    if (wsk__missing_spares_locked(srv) > 0)
        wake_monitor_locked(srv);
}

/* What its thread was about to send in this turn is sent by the new leader. */
static void give_lead_locked(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    struct wsk__thread *spare = pop_spare_locked(srv);

    if (th->conn != NULL)
        wsk__crew_post_locked(th->conn, WSK__POST_UNCORK);
    th->leads = false;
    srv->dispatch.led = spare !=
                        NULL; /* else the next thread that comes takes it */
    if (spare != NULL)
        order_locked(spare, WSK__LEAD);
}

void wsk__step_back_locked(struct wsk__thread *th)
{
    if (th->leads)
        give_lead_locked(th);
    wsk__set_fresh_locked(th, false);
}

void wsk__watch_anew_locked(struct wsk__thread *th)
{
    th->rearmed = false;
    th->seen = 0;
    wake_monitor_locked(th->srv);
}

void wsk__steal_locked(struct wsk__thread *th)
{
    give_lead_locked(th);
    if (atomic_load(&th->entering))
        wsk__set_fresh_locked(th,
                              true); /* it will serve the queue once inside */
}

bool wsk__is_hopeless_locked(const wsk_server *srv)
{
    return wsk__queue_is_unserved_locked(srv) && srv->dispatch.n_running == 0 &&
           srv->dispatch.n_unparking == 0;
}
