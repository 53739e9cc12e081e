#include "net/dispatch/calls.h"

#include "net/dispatch/call.h"
#include "net/dispatch/crew.h"
#include "net/dispatch/dispatch.h"
#include "net/dispatch/lock.h"
#include "net/dispatch/thread.h"
#include "net/log/limits.h"
#include "net/log/metrics.h"
#include "net/os/life.h"

#include <pthread.h>

static void begin_locked(struct wsk__thread *th,
                         struct wsk__call *call) WSK__DISPATCH_LOCKED
{
    struct wsk__dispatch *dispatch = th->dispatch;

    th->in_call = true;
    th->call = call;
    th->upgraded = NULL;
    wsk__link_running_locked(th);
    dispatch->calls++;
    wsk__watch_anew_locked(th);
}

static void begin_inline_locked(struct wsk__thread *th,
                                struct wsk__call *call) WSK__DISPATCH_LOCKED
{
    struct wsk__dispatch *dispatch = th->dispatch;

    wsk__assert_leads(th);
    begin_locked(th, call);
    if (dispatch->steal_every > 0 &&
        dispatch->calls % (uint64_t)dispatch->steal_every == 0)
        wsk__steal_locked(th);
}

bool wsk__call_begin(struct wsk__thread *th, struct wsk__call *call)
{
    struct wsk__dispatch *dispatch = th->dispatch;
    bool now;

    wsk__dispatch_lock(dispatch);
    now = (dispatch->slow_entries == 0 ||
           wsk__queue_is_unserved_locked(dispatch)) &&
          dispatch->n_running < dispatch->cfg->threads &&
          dispatch->n_spares > 0 && dispatch->n_fresh == 0 &&
          dispatch->queue == NULL && dispatch->n_unparking == 0;
    if (now)
        begin_inline_locked(th, call);
    wsk__dispatch_unlock(dispatch);
    return now;
}

void wsk__call_begin_aside(struct wsk__thread *th, struct wsk__call *call)
{
    wsk__dispatch_lock(th->dispatch);
    begin_inline_locked(th, call);
    wsk__dispatch_unlock(th->dispatch);
}

static bool
calls_open_locked(const struct wsk__dispatch *dispatch) WSK__DISPATCH_LOCKED
{
    return dispatch->n_running > 0 || dispatch->n_parked > 0 ||
           dispatch->queue != NULL || dispatch->releases != NULL;
}

/* Observe how long a call has waited for the interpreter. */
static void count_entry_locked(struct wsk__thread *th) WSK__DISPATCH_LOCKED
{
    struct wsk__metrics *metrics = th->dispatch->metrics;

    wsk__observe(&metrics->own[WSK__N_GIL_WAIT], wsk__bounds_short,
                 th->entry_ns);
    th->entry_ns = 0;
}

wsk__leads wsk__call_end(struct wsk__thread *th)
{
    struct wsk__dispatch *dispatch = th->dispatch;
    wsk__leads leads;

    if (wsk__forked(dispatch->life))
        return false;
    wsk__dispatch_lock(dispatch);
    if (th->in_call)
        wsk__unlink_running_locked(th);
    else /* the call was left, see wsk__call_leave() */
        dispatch->n_parked--;
    dispatch->n_upgraded -= th->upgraded != NULL;
    if (th->entry_ns != 0)
        count_entry_locked(th);
    th->in_call = false;
    th->call = NULL;
    th->upgraded = NULL;
    leads = th->leads;
    if (dispatch->n_unparking > 0)
        pthread_cond_signal(&dispatch->slot_free);
    /* A release posts nothing that would wake the leader. */
    if (dispatch->end_awaited && !calls_open_locked(dispatch))
        dispatch->wake_due = true;
    wsk__kick_locked(dispatch);
    wsk__dispatch_unlock(dispatch);
    return leads;
}

/* Return the limit that keeps one more request from waiting. */
static enum wsk__limit
queue_limit_locked(const struct wsk__dispatch *dispatch) WSK__DISPATCH_LOCKED
{
    if (wsk__is_hopeless_locked(dispatch))
        return WSK__LIMIT_THREADS;
    return dispatch->n_queued >= dispatch->cfg->queue_limit ? WSK__LIMIT_QUEUE
                                                            : WSK__NO_LIMIT;
}

enum wsk__limit wsk__call_queue(struct wsk__dispatch *dispatch,
                                struct wsk__call *call)
{
    bool counts = call->ops->counts, late;
    enum wsk__limit limit = WSK__NO_LIMIT;

    wsk__dispatch_lock(dispatch);
    if (counts)
        limit = queue_limit_locked(dispatch);
    if (limit != WSK__NO_LIMIT) {
        wsk__dispatch_unlock(dispatch);
        return limit;
    }
    dispatch->n_queued += counts;
    late = dispatch->ended;
    call->next = NULL;
    *dispatch->queue_tail = call;
    dispatch->queue_tail = &call->next;
    wsk__kick_locked(dispatch);
    wsk__dispatch_unlock(dispatch);
    if (late)
        wsk__drop_queue(dispatch);
    return limit;
}

bool wsk__call_waits_for_slot(struct wsk__dispatch *dispatch,
                              const struct wsk__call *call)
{
    bool waits;

    wsk__dispatch_lock(dispatch);
    waits = call->next != call && dispatch->n_running >= dispatch->cfg->threads;
    wsk__dispatch_unlock(dispatch);
    return waits;
}

bool wsk__calls_wait(struct wsk__dispatch *dispatch)
{
    bool wait;

    wsk__dispatch_lock(dispatch);
    wait = dispatch->n_queued > 0 &&
           dispatch->n_running >= dispatch->cfg->threads;
    wsk__dispatch_unlock(dispatch);
    return wait;
}

void wsk__release_queue(struct wsk__dispatch *dispatch,
                        struct wsk__release *release)
{
    wsk__dispatch_lock(dispatch);
    release->next = dispatch->releases;
    dispatch->releases = release;
    wsk__kick_locked(dispatch);
    wsk__dispatch_unlock(dispatch);
}

static bool
reserve_place_locked(struct wsk__dispatch *dispatch) WSK__DISPATCH_LOCKED
{
    bool free = dispatch->n_places < dispatch->cfg->max_parked;

    dispatch->n_places += free;
    return free;
}

/* Give the thread's slot away. */
static void park_locked(struct wsk__thread *th) WSK__DISPATCH_LOCKED
{
    struct wsk__dispatch *dispatch = th->dispatch;

    wsk__unlink_running_locked(th);
    dispatch->n_parked++;
    if (dispatch->n_unparking > 0)
        pthread_cond_signal(&dispatch->slot_free);
}

void wsk__call_park(struct wsk__thread *th)
{
    struct wsk__dispatch *dispatch = th->dispatch;

    if (wsk__forked(dispatch->life))
        return;
    wsk__dispatch_lock(dispatch);
    wsk__step_back_locked(th);
    th->took_place = th->upgraded == NULL && reserve_place_locked(dispatch);
    th->parked = th->upgraded != NULL || th->took_place;
    if (th->parked)
        park_locked(th);
    wsk__kick_locked(dispatch);
    wsk__dispatch_unlock(dispatch);
    if (!th->parked)
        wsk__limit_hit(dispatch->logs, WSK__LIMIT_WAITS);
}

void wsk__call_unpark(struct wsk__thread *th)
{
    struct wsk__dispatch *dispatch = th->dispatch;

    if (wsk__forked(dispatch->life) || !th->parked)
        return;
    wsk__dispatch_lock(dispatch);
    dispatch->n_unparking++;
    if (dispatch->n_running >= dispatch->cfg->threads && th->upgraded != NULL)
        /* The handler will not read for a while. */
        th->upgraded->ops->away(th->upgraded);
    wsk__wake_locked(dispatch);
    while (!dispatch->ended &&
           (dispatch->n_running >= dispatch->cfg->threads ||
            (dispatch->queue_turn && dispatch->queue != NULL &&
             !wsk__queue_is_unserved_locked(dispatch))))
        pthread_cond_wait(&dispatch->slot_free, &dispatch->lock);
    dispatch->n_unparking--;
    dispatch->queue_turn = dispatch->queue != NULL;
    dispatch->n_parked--;
    dispatch->n_places -= th->took_place;
    th->parked = th->took_place = false;
    wsk__link_running_locked(th);
    wsk__watch_anew_locked(th);
    wsk__kick_locked(dispatch);
    wsk__dispatch_unlock(dispatch);
}

void wsk__call_leave(struct wsk__thread *th)
{
    struct wsk__dispatch *dispatch = th->dispatch;

    if (!wsk__forked(dispatch->life)) {
        wsk__dispatch_lock(dispatch);
        wsk__step_back_locked(th);
        park_locked(th);
        wsk__kick_locked(dispatch);
        wsk__dispatch_unlock(dispatch);
    }
    th->in_call = false; /* read by this thread only */
}

void wsk__call_becomes(struct wsk__thread *th, struct wsk__call *call,
                       const struct wsk__call_ops *ops)
{
    wsk__dispatch_lock(th->dispatch);
    call->ops = ops;
    th->upgraded = call;
    th->dispatch->n_upgraded++;
    wsk__watch_anew_locked(th);
    wsk__dispatch_unlock(th->dispatch);
}

void wsk__call_is_back(struct wsk__thread *th)
{
    wsk__dispatch_lock(th->dispatch);
    wsk__watch_anew_locked(th);
    wsk__dispatch_unlock(th->dispatch);
}

bool wsk__call_goes_on(struct wsk__thread *th)
{
    struct wsk__dispatch *dispatch = th->dispatch;
    bool others;

    wsk__dispatch_lock(dispatch);
    wsk__watch_anew_locked(th);
    others = dispatch->n_running >= dispatch->cfg->threads &&
             (dispatch->n_unparking > 0 || dispatch->queue != NULL);
    wsk__dispatch_unlock(dispatch);
    return !others;
}

void wsk__call_take_turns(struct wsk__thread *th)
{
    if (!wsk__call_goes_on(th)) {
        wsk__call_park(th);
        wsk__call_unpark(th);
    }
}

bool wsk__socket_reserve(struct wsk__dispatch *dispatch)
{
    bool free;

    wsk__dispatch_lock(dispatch);
    free = reserve_place_locked(dispatch);
    wsk__dispatch_unlock(dispatch);
    return free;
}

void wsk__socket_release(struct wsk__dispatch *dispatch)
{
    wsk__dispatch_lock(dispatch);
    dispatch->n_places--;
    wsk__dispatch_unlock(dispatch);
}

/* Return true if a slot is free, and no other fresh thread already serves the
 * queue. */
static bool may_take_locked(const struct wsk__thread *th) WSK__DISPATCH_LOCKED
{
    const struct wsk__dispatch *dispatch = th->dispatch;

    return dispatch->n_running < dispatch->cfg->threads &&
           (th->fresh || dispatch->n_fresh == 0);
}

/* Take a release from the queue, and begin a call for it, because it may run
 * code of the application. Releases that are left when the server has ended run
 * outside of any call. */
static struct wsk__release *
take_release_locked(struct wsk__thread *th) WSK__DISPATCH_LOCKED
{
    struct wsk__dispatch *dispatch = th->dispatch;
    struct wsk__release *release = dispatch->releases;

    if (release == NULL || !(dispatch->ended || may_take_locked(th)))
        return NULL;
    dispatch->releases = release->next;
    if (!dispatch->ended) {
        begin_locked(th, NULL);
        wsk__set_fresh_locked(th, true);
    }
    return release;
}

bool wsk__next_call(struct wsk__thread *th, struct wsk__call **call,
                    struct wsk__release **release)
{
    struct wsk__dispatch *dispatch = th->dispatch;

    *call = NULL;
    wsk__dispatch_lock(dispatch);
    *release = take_release_locked(th);
    if (*release == NULL && !dispatch->ended && dispatch->queue != NULL &&
        wsk__queue_may_run_locked(dispatch) && may_take_locked(th)) {
        *call = dispatch->queue;
        dispatch->queue = (*call)->next;
        if (dispatch->queue == NULL)
            dispatch->queue_tail = &dispatch->queue;
        dispatch->n_queued -= (*call)->ops->counts;
        (*call)->next = *call;
        begin_locked(th, *call);
        wsk__set_fresh_locked(th, true);
        dispatch->queue_turn = false;
        if (dispatch->n_unparking > 0)
            pthread_cond_signal(&dispatch->slot_free);
    } else if (*release == NULL) {
        wsk__set_fresh_locked(th, false);
    }
    wsk__dispatch_unlock(dispatch);
    return *release != NULL || *call != NULL;
}

/* Refuse the queued requests, which must not wait for ever; events of
 * WebSockets may. */
static void
refuse_queue_locked(struct wsk__dispatch *dispatch) WSK__DISPATCH_LOCKED
{
    struct wsk__call **at = &dispatch->queue;

    while (*at != NULL) {
        struct wsk__call *call = *at;

        if (!call->ops->counts) {
            at = &call->next;
            continue;
        }
        *at = call->next;
        call->next = call;
        dispatch->n_queued--;
        call->ops->refused(call);
    }
    dispatch->queue_tail = at;
}

void wsk__despair_locked(struct wsk__dispatch *dispatch)
{
    dispatch->no_threads = true;
    /* The next slot is not the queue's any more. */
    pthread_cond_broadcast(&dispatch->slot_free);
    if (wsk__is_hopeless_locked(dispatch))
        refuse_queue_locked(dispatch);
}

void wsk__dispatch_no_thread(struct wsk__dispatch *dispatch)
{
    wsk__dispatch_lock(dispatch);
    wsk__despair_locked(dispatch);
    wsk__dispatch_unlock(dispatch);
}

bool wsk__calls_open(struct wsk__dispatch *dispatch)
{
    bool open;

    wsk__dispatch_lock(dispatch);
    open = calls_open_locked(dispatch);
    dispatch->end_awaited = open;
    wsk__dispatch_unlock(dispatch);
    return open;
}

void wsk__drop_queue(struct wsk__dispatch *dispatch)
{
    struct wsk__call *call;

    wsk__dispatch_lock(dispatch);
    call = dispatch->queue;
    dispatch->queue = NULL;
    dispatch->queue_tail = &dispatch->queue;
    dispatch->n_queued = 0;
    wsk__dispatch_unlock(dispatch);
    while (call != NULL) {
        struct wsk__call *next = call->next;

        call->ops->dropped(call);
        call = next;
    }
}
