#include "net/dispatch/monitor.h"

#include "net/dispatch/call.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/crew.h"
#include "net/dispatch/dispatch.h"
#include "net/dispatch/lock.h"
#include "net/dispatch/thread.h"
#include "net/log/log.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "wsocket.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum {
    TICK_US = 500,
    LATE_TICKS = 1, /* since the monitor saw the call: it has lost the lead */
    AWAY_TICKS = WSK__AWAY_MS * 1000 / TICK_US,
    QUIET_TICKS = 20, /* without a call: the monitor goes to sleep */
    CALM_TICKS = 200, /* without a late call: the monitor naps */
    NAP_TICKS = 16,   /* 8 ms: the most the first late call costs others */
    RESPAWN_MS = 100, /* after the system has refused a thread */
};

/* The state of the monitor between looks. A look costs a busy server a context
 * switch, so while every call is quick the monitor naps. After a nap it looks
 * twice, a tick apart, because a call that it finds running may have begun just
 * before. */
struct watch {
    bool open;            /* a running call must be watched further */
    bool unsure;          /* a running call was seen for the first time */
    bool napped;          /* before this look */
    uint64_t calls;       /* dispatch->calls at the last look */
    unsigned quiet, calm; /* ticks without a call; ticks without a late one */
};

/* Look at a running call. */
static void inspect_call_locked(struct watch *w,
                                struct wsk__thread *th) WSK__DISPATCH_LOCKED
{
    struct wsk__dispatch *dispatch = th->dispatch;
    bool first = th->seen == 0, late;

    if (first)
        th->seen = dispatch->tick;
    late = dispatch->tick - th->seen >= LATE_TICKS;
    if (late && (th->leads || th->fresh))
        w->calm = 0;
    if (late && th->leads && dispatch->n_spares > 0)
        wsk__steal_locked(th);
    if (late && th->fresh && !atomic_load(&th->entering))
        wsk__set_fresh_locked(th, false);
    if (th->upgraded != NULL && !th->rearmed &&
        dispatch->tick - th->seen >= AWAY_TICKS) {
        th->rearmed = true;
        th->upgraded->ops->away(th->upgraded);
    }
    w->unsure |= first && (th->leads || th->fresh);
    w->open |= th->leads || th->fresh || (th->upgraded != NULL && !th->rearmed);
}

static void inspect_locked(struct watch *w,
                           struct wsk__dispatch *dispatch) WSK__DISPATCH_LOCKED
{
    w->open = w->unsure = false;
    if (w->calls != dispatch->calls)
        w->quiet = 0;
    w->calls = dispatch->calls;
    for (struct wsk__thread *th = dispatch->running; th != NULL; th = th->next)
        inspect_call_locked(w, th);
    wsk__kick_locked(dispatch);
}

/* Return the ticks until the next look. */
static unsigned pause_ticks(struct watch *w)
{
    unsigned ticks;

    w->napped = w->calm >= CALM_TICKS && !(w->napped && w->unsure);
    ticks = w->napped ? NAP_TICKS : 1;
    w->quiet += ticks;
    w->calm += w->calm < CALM_TICKS ? ticks : 0;
    return ticks;
}

static void spawn_missing_locked(struct wsk__dispatch *dispatch,
                                 unsigned n) WSK__DISPATCH_LOCKED
{
    dispatch->n_awaiting += n;
    wsk__dispatch_unlock(dispatch);
    for (; n > 0; n--) {
        if (dispatch->hooks.spawn != NULL) {
            dispatch->hooks.spawn(dispatch->hooks.user);
        } else if (!wsk__spawn_own(dispatch)) {
            wsk__logf(dispatch->logs, WSK_LOG_WARNING,
                      "no new thread: the system refuses");
            break;
        }
    }
    wsk__dispatch_lock(dispatch);
    if (n > 0) {
        dispatch->spawn_after_ms = wsk__now_ms() + RESPAWN_MS;
        wsk__despair_locked(dispatch);
    }
    dispatch->n_awaiting -= n > dispatch->n_awaiting ? dispatch->n_awaiting : n;
}

static void *monitor(void *arg)
{
    struct wsk__dispatch *dispatch = arg;
    struct watch watch = {.open = false};
    unsigned missing, ticks;

    wsk__dispatch_lock(dispatch);
    while (!dispatch->ended) {
        missing = wsk__missing_spares_locked(dispatch);
        if (missing > 0 && wsk__now_ms() >= dispatch->spawn_after_ms)
            spawn_missing_locked(dispatch, missing);
        if (missing > 0)
            watch.calm = 0; /* more may be missing soon */
        missing = wsk__missing_spares_locked(dispatch);
        inspect_locked(&watch, dispatch);
        if (!watch.open && missing == 0 && watch.quiet >= QUIET_TICKS) {
            dispatch->monitor_asleep = true;
            wsk__wake_locked(dispatch);
            while (dispatch->monitor_asleep && !dispatch->ended)
                pthread_cond_wait(&dispatch->monitor_wake, &dispatch->lock);
            watch.quiet = watch.calm = 0;
        }
        ticks = pause_ticks(&watch);
        wsk__dispatch_unlock(dispatch);
        nanosleep(&(struct timespec){.tv_nsec = ticks * TICK_US * 1000L}, NULL);
        wsk__dispatch_lock(dispatch);
        dispatch->tick += ticks;
    }
    dispatch->monitor_gone = true;
    wsk__dispatch_depart(dispatch);
    return NULL;
}

bool wsk__monitor_start(struct wsk__dispatch *dispatch)
{
    pthread_t thread;
    int err;

    wsk__life_hold(dispatch->life);
    err = pthread_create(&thread, NULL, monitor, dispatch);
    if (err != 0) {
        wsk__life_drop(dispatch->life);
        errno = err;
        return false;
    }
    pthread_detach(thread);
    return true;
}
