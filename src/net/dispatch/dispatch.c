#include "net/dispatch/dispatch.h"

#include "base/mem.h"
#include "net/dispatch/call.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/crew.h"
#include "net/dispatch/gate.h"
#include "net/dispatch/lock.h"
#include "net/dispatch/thread.h"
#include "net/loop/loop.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/locks.h"

#include <errno.h>
#include <pthread.h>

enum {
    REAP_MS = 10000, /* how long a surplus spare waits for work */
};

static void serve_release(struct wsk__thread *th, struct wsk__release *release)
{
    wsk__gate_enter(th);
    release->call(release->user);
    wsk__free(release);
    if (th->in_call)
        wsk__call_end(th);
}

static void serve_queue(struct wsk__thread *th)
{
    struct wsk__release *release;
    struct wsk__call *call;

    while (!wsk__forked(th->dispatch->life) &&
           wsk__next_call(th, &call, &release)) {
        if (release != NULL)
            serve_release(th, release);
        else
            call->ops->run(th, call);
    }
    wsk__gate_leave(th);
}

/* Wait for an order; false if the thread is no longer needed. */
static bool await_order_locked(struct wsk__thread *th) WSK__DISPATCH_LOCKED
{
    struct wsk__dispatch *dispatch = th->dispatch;
    bool surplus;

    wsk__push_spare_locked(th);
    surplus = dispatch->n_spares > WSK__MIN_SPARES;
    wsk__kick_locked(dispatch);
    while (th->order == WSK__NO_ORDER && !dispatch->ended) {
        struct timespec until;

        if (!surplus) {
            pthread_cond_wait(&th->wake, &dispatch->lock);
            continue;
        }
        until = wsk__wait_until(REAP_MS);
        if (pthread_cond_timedwait(&th->wake, &dispatch->lock, &until) ==
                ETIMEDOUT &&
            th->order == WSK__NO_ORDER) {
            if (dispatch->n_spares <= WSK__MIN_SPARES) {
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

/* Lead, or run calls, until this thread is no longer needed. */
static void work(struct wsk__thread *th)
{
    struct wsk__dispatch *dispatch = th->dispatch;

    wsk__dispatch_lock(dispatch);
    while (!dispatch->ended) {
        bool lead = !dispatch->led;

        if (lead)
            dispatch->led = th->leads = true;
        else if (!await_order_locked(th))
            break;
        lead = lead || th->order == WSK__LEAD;
        th->order = WSK__NO_ORDER;
        wsk__dispatch_unlock(dispatch);
        if (lead) {
            wsk__assert_leads(th);
            wsk__loop_lead(dispatch->loop, th);
        }
        serve_queue(th);
        if (wsk__forked(dispatch->life))
            return;
        wsk__dispatch_lock(dispatch);
    }
    wsk__dispatch_unlock(dispatch);
}

void wsk__dispatch_depart(struct wsk__dispatch *dispatch)
{
    struct wsk__life *life = dispatch->life;
    bool last;

    assert(!dispatch->wake_due);
    pthread_cond_broadcast(&dispatch->changed);
    last = wsk__life_let_go(life);
    wsk__dispatch_unlock(dispatch);
    if (last)
        life->end(life);
}

/* Count a thread that has come. */
static void arrive(struct wsk__dispatch *dispatch)
{
    wsk__dispatch_lock(dispatch);
    dispatch->no_threads = false;
    if (dispatch->n_awaiting > 0)
        dispatch->n_awaiting--;
    dispatch->n_threads++;
    pthread_cond_broadcast(&dispatch->changed);
    wsk__dispatch_unlock(dispatch);
}

/* Serve until the calling thread is no longer needed, and give its reference to
 * the server back. */
static void serve(struct wsk__dispatch *dispatch, void *user)
{
    struct wsk__thread *th = wsk__thread_new(dispatch, user);

    arrive(dispatch);
    if (th != NULL) {
        wsk__self = th;
        work(th);
        wsk__self = NULL;
        if (wsk__forked(dispatch->life))
            return; /* a child's copy of what other threads were using */
        wsk__thread_free(th);
    }
    if (dispatch->leave != NULL)
        dispatch->leave();
    wsk__dispatch_lock(dispatch);
    dispatch->n_threads--;
    wsk__dispatch_depart(dispatch);
}

void wsk__dispatch_work(struct wsk__dispatch *dispatch, void *user)
{
    wsk__life_hold(dispatch->life);
    serve(dispatch, user);
}

static void *own_thread(void *arg)
{
    serve(arg, NULL);
    return NULL;
}

bool wsk__spawn_own(struct wsk__dispatch *dispatch)
{
    pthread_t thread;

    assert(!wsk__holds(WSK__LOCK_ANY));
    /* No signal is blocked, because processes that a handler starts would
     * inherit that. The new thread has its reference to the server from here
     * on: it may run after the end. */
    wsk__life_hold(dispatch->life);
    if (pthread_create(&thread, NULL, own_thread, dispatch) != 0) {
        wsk__life_drop(dispatch->life);
        return false;
    }
    pthread_detach(thread);
    return true;
}

/* No other thread knows the lock yet. */
WSK__NO_ANALYSIS void wsk__dispatch_open(struct wsk__dispatch *dispatch)
{
    dispatch->queue_tail = &dispatch->queue;
    dispatch->tick = 1; /* 0 means: not seen yet */
    pthread_mutex_init(&dispatch->lock, NULL);
    pthread_cond_init(&dispatch->monitor_wake, NULL);
    pthread_cond_init(&dispatch->slot_free, NULL);
    wsk__cond_init(&dispatch->changed);
}

/* No other thread knows it any more. */
WSK__NO_ANALYSIS void wsk__dispatch_close(struct wsk__dispatch *dispatch)
{
    while (dispatch->releases != NULL) { /* no thread is left to run them */
        struct wsk__release *release = dispatch->releases;

        dispatch->releases = release->next;
        wsk__free(release);
    }
    wsk__dispatch_lock(dispatch); /* a thread that departs may still have it */
    wsk__dispatch_unlock(dispatch);
    pthread_mutex_destroy(&dispatch->lock);
    pthread_cond_destroy(&dispatch->monitor_wake);
    pthread_cond_destroy(&dispatch->slot_free);
    pthread_cond_destroy(&dispatch->changed);
}

void wsk__dispatch_end(struct wsk__dispatch *dispatch)
{
    wsk__dispatch_lock(dispatch);
    dispatch->ended = true;
    dispatch->monitor_asleep = false;
    pthread_cond_signal(&dispatch->monitor_wake);
    pthread_cond_broadcast(&dispatch->slot_free);
    pthread_cond_broadcast(&dispatch->changed);
    for (struct wsk__thread *th = dispatch->spares; th != NULL; th = th->next)
        pthread_cond_signal(&th->wake);
    wsk__dispatch_unlock(dispatch);
}

bool wsk__all_gone_locked(const struct wsk__dispatch *dispatch)
{
    /* Threads that were made here come; those of hooks.spawn perhaps never. */
    bool expected = dispatch->hooks.spawn == NULL && dispatch->n_awaiting > 0;

    return dispatch->ended && dispatch->monitor_gone &&
           dispatch->n_threads == 0 && !expected;
}
