#include "net/dispatch/crew.h"

#include "net/dispatch/call.h"
#include "net/dispatch/dispatch.h"
#include "net/dispatch/lock.h"
#include "net/dispatch/thread.h"
#include "net/log/metrics.h"
#include "net/loop/post.h"
#include "net/loop/source.h"

#include <pthread.h>
#include <stdatomic.h>

void wsk__link_running_locked(struct wsk__thread *th)
{
    struct wsk__dispatch *dispatch = th->dispatch;

    th->prev = NULL;
    th->next = dispatch->running;
    if (th->next != NULL)
        th->next->prev = th;
    dispatch->running = th;
    dispatch->n_running++;
}

void wsk__unlink_running_locked(struct wsk__thread *th)
{
    struct wsk__dispatch *dispatch = th->dispatch;

    if (th->prev != NULL)
        th->prev->next = th->next;
    else
        dispatch->running = th->next;
    if (th->next != NULL)
        th->next->prev = th->prev;
    th->prev = th->next = NULL;
    dispatch->n_running--;
}

void wsk__push_spare_locked(struct wsk__thread *th)
{
    th->next = th->dispatch->spares;
    th->dispatch->spares = th;
    th->dispatch->n_spares++;
}

static struct wsk__thread *
pop_spare_locked(struct wsk__dispatch *dispatch) WSK__DISPATCH_LOCKED
{
    struct wsk__thread *th = dispatch->spares;

    if (th != NULL) {
        dispatch->spares = th->next;
        th->next = NULL;
        dispatch->n_spares--;
    }
    return th;
}

void wsk__drop_spare_locked(struct wsk__thread *th)
{
    struct wsk__thread **at = &th->dispatch->spares;

    while (*at != th)
        at = &(*at)->next;
    *at = th->next;
    th->next = NULL;
    th->dispatch->n_spares--;
}

void wsk__set_fresh_locked(struct wsk__thread *th, bool fresh)
{
    if (th->fresh == fresh)
        return;
    th->fresh = fresh;
    if (fresh)
        th->dispatch->n_fresh++;
    else
        th->dispatch->n_fresh--;
}

static void order_locked(struct wsk__thread *spare,
                         enum wsk__order order) WSK__DISPATCH_LOCKED
{
    spare->order = order;
    if (order == WSK__LEAD)
        spare->leads = true;
    else
        wsk__set_fresh_locked(spare, true);
    pthread_cond_signal(&spare->wake);
}

void wsk__post_locked(struct wsk__dispatch *dispatch,
                      struct wsk__source *source, unsigned what)
{
    if (wsk__post_quietly(dispatch->loop, source, what))
        dispatch->wake_due = true;
}

void wsk__wake_locked(struct wsk__dispatch *dispatch)
{
    if (dispatch->wake_due) {
        wsk__dispatch_unlock(dispatch);
        wsk__dispatch_lock(dispatch);
    }
}

unsigned wsk__missing_spares_locked(const struct wsk__dispatch *dispatch)
{
    unsigned have = dispatch->n_spares + dispatch->n_awaiting;
    unsigned cap = dispatch->cfg->threads + dispatch->cfg->max_parked +
                   WSK__MIN_SPARES + 1;

    if (have >= WSK__MIN_SPARES ||
        dispatch->n_threads + dispatch->n_awaiting >= cap)
        return 0;
    return WSK__MIN_SPARES - have;
}

static void
wake_monitor_locked(struct wsk__dispatch *dispatch) WSK__DISPATCH_LOCKED
{
    if (dispatch->monitor_asleep) {
        dispatch->monitor_asleep = false;
        pthread_cond_signal(&dispatch->monitor_wake);
    }
}

bool wsk__queue_may_run_locked(const struct wsk__dispatch *dispatch)
{
    return dispatch->n_unparking == 0 || dispatch->queue_turn;
}

bool wsk__queue_is_unserved_locked(const struct wsk__dispatch *dispatch)
{
    return dispatch->no_threads && dispatch->n_spares < WSK__MIN_SPARES;
}

void wsk__kick_locked(struct wsk__dispatch *dispatch)
{
    bool due =
        (dispatch->queue != NULL && wsk__queue_may_run_locked(dispatch)) ||
        dispatch->releases != NULL;

    if (due && dispatch->n_running < dispatch->cfg->threads &&
        dispatch->n_fresh == 0 && dispatch->n_spares >= WSK__MIN_SPARES)
        order_locked(pop_spare_locked(dispatch), WSK__CALL);
    if (wsk__missing_spares_locked(dispatch) > 0)
        wake_monitor_locked(dispatch);
}

/* Give the lead to a spare. The new leader sends what the thread's call has
 * queued. */
static void give_lead_locked(struct wsk__thread *th) WSK__DISPATCH_LOCKED
{
    struct wsk__dispatch *dispatch = th->dispatch;
    struct wsk__thread *spare = pop_spare_locked(dispatch);

    if (th->call != NULL)
        th->call->ops->late(th->call);
    th->leads = false;
    if (dispatch->metrics != NULL)
        wsk__add(&dispatch->metrics->own[WSK__N_HANDOVERS], 1);
    /* Without a spare, the next thread that comes takes the lead. */
    dispatch->led = spare != NULL;
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
    wake_monitor_locked(th->dispatch);
}

void wsk__steal_locked(struct wsk__thread *th)
{
    give_lead_locked(th);
    /* A thread that waits for the interpreter will serve the queue once inside.
     */
    if (atomic_load(&th->entering))
        wsk__set_fresh_locked(th, true);
}

bool wsk__is_hopeless_locked(const struct wsk__dispatch *dispatch)
{
    return wsk__queue_is_unserved_locked(dispatch) &&
           dispatch->n_running == 0 && dispatch->n_unparking == 0;
}
