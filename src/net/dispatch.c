#include "net/dispatch.h"

#include "base/mem.h"
#include "net/log/limits.h"
#include "net/log/log.h"
#include "net/pump.h"

#include <errno.h>
#include <time.h>

enum {
    TICK_US = 500,
    LATE_TICKS = 1,   /* since the monitor saw the call: it has lost the lead */
    AWAY_TICKS = 100, /* 50 ms: then the loop reads for the handler */
    QUIET_TICKS = 20, /* without a call: the monitor goes to sleep */
    CALM_TICKS = 200, /* without a late call: the monitor naps */
    NAP_TICKS = 16,   /* 8 ms: the most the first late call costs others */
    MIN_SPARES = 2,   /* one for the lead, one for a queued call */
    REAP_S = 10,      /* how long a surplus spare waits for work */
    RESPAWN_MS = 100, /* after the system has refused a thread */
    SLOW_ENTRY_NS = 100000,
    SLOW_ENTRIES = 16, /* fast entries until inline calls are tried again */
};

_Thread_local struct wsk__thread *wsk__self;

/* ------------------------------------------------- lists, under lock --- */

static void link_running_locked(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    th->prev = NULL;
    th->next = srv->running;
    if (th->next != NULL)
        th->next->prev = th;
    srv->running = th;
    srv->n_running++;
}

static void unlink_running_locked(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    if (th->prev != NULL)
        th->prev->next = th->next;
    else
        srv->running = th->next;
    if (th->next != NULL)
        th->next->prev = th->prev;
    th->prev = th->next = NULL;
    srv->n_running--;
}

static void push_spare_locked(struct wsk__thread *th)
{
    th->next = th->srv->spares;
    th->srv->spares = th;
    th->srv->n_spares++;
}

static struct wsk__thread *pop_spare_locked(wsk_server *srv)
{
    struct wsk__thread *th = srv->spares;

    if (th != NULL) {
        srv->spares = th->next;
        th->next = NULL;
        srv->n_spares--;
    }
    return th;
}

static void drop_spare_locked(struct wsk__thread *th)
{
    struct wsk__thread **at = &th->srv->spares;

    while (*at != th)
        at = &(*at)->next;
    *at = th->next;
    th->next = NULL;
    th->srv->n_spares--;
}

static void set_fresh_locked(struct wsk__thread *th, bool fresh)
{
    if (th->fresh == fresh)
        return;
    th->fresh = fresh;
    if (fresh)
        th->srv->n_fresh++;
    else
        th->srv->n_fresh--;
}

/* ------------------------------------------------------ who does what --- */

static void order_locked(struct wsk__thread *spare, enum wsk__order order)
{
    spare->order = order;
    if (order == WSK__LEAD)
        spare->leads = true;
    else
        set_fresh_locked(spare, true);
    pthread_cond_signal(&spare->wake);
}

/* Ask the leader to look at a connection; wsk__dispatch_unlock() wakes it. */
static void post_locked(struct wsk_conn *conn, unsigned what)
{
    wsk_server *srv = conn->srv;

    if (wsk__post_quietly(conn, what))
        srv->wake_due = true;
}

/* Before a wait in which the lock is free: wake the leader now. */
static void wake_locked(wsk_server *srv)
{
    if (srv->wake_due) {
        wsk__dispatch_unlock(srv);
        wsk__dispatch_lock(srv);
    }
}

/* Threads are asked for by the monitor: spawning may take a while. */
static unsigned missing_spares_locked(const wsk_server *srv)
{
    unsigned have = srv->n_spares + srv->n_awaiting;
    unsigned cap = srv->cfg.threads + srv->cfg.max_parked + MIN_SPARES + 1;

    if (have >= MIN_SPARES || srv->n_threads + srv->n_awaiting >= cap)
        return 0;
    return MIN_SPARES - have;
}

static void wake_monitor_locked(wsk_server *srv)
{
    if (srv->monitor_asleep) {
        srv->monitor_asleep = false;
        pthread_cond_signal(&srv->monitor_wake);
    }
}

/* Handlers that come back from receive() go before the queue, but take turns
 * with it when both wait. */
static bool queue_may_run_locked(const wsk_server *srv)
{
    return srv->n_unparking == 0 || srv->queue_turn;
}

/* The system gives no more threads, and the last is kept back for the lead:
 * only a thread whose handler returns will look at the queue. */
static bool queue_is_unserved_locked(const wsk_server *srv)
{
    return srv->no_threads && srv->n_spares < MIN_SPARES;
}

/* The state has changed: if calls wait and may run, somebody shall run them.
 * One spare always stays back for the lead. */
static void kick_locked(wsk_server *srv)
{
    bool due = (srv->ready != NULL && queue_may_run_locked(srv)) ||
               srv->releases != NULL;

    if (due && srv->n_running < srv->cfg.threads && srv->n_fresh == 0 &&
        srv->n_spares >= MIN_SPARES)
        order_locked(pop_spare_locked(srv), WSK__CALL);
    if (missing_spares_locked(srv) > 0)
        wake_monitor_locked(srv);
}

/* What its thread was about to send in this turn is sent by the new leader. */
static void give_lead_locked(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    struct wsk__thread *spare = pop_spare_locked(srv);

    if (th->conn != NULL)
        post_locked(th->conn, WSK__POST_UNCORK);
    th->leads = false;
    srv->led = spare != NULL; /* else the next thread that comes takes it */
    if (spare != NULL)
        order_locked(spare, WSK__LEAD);
}

/* A thread that is about to wait neither leads nor serves the queue. */
static void step_back_locked(struct wsk__thread *th)
{
    if (th->leads)
        give_lead_locked(th);
    set_fresh_locked(th, false);
}

/* The monitor counts from its next look. */
static void watch_anew_locked(struct wsk__thread *th)
{
    th->rearmed = false;
    th->seen = 0;
    wake_monitor_locked(th->srv);
}

/* Take the lead from a thread that is late. */
static void steal_locked(struct wsk__thread *th)
{
    give_lead_locked(th);
    if (atomic_load(&th->entering))
        set_fresh_locked(th, true); /* it will serve the queue once inside */
}

static void begin_locked(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk_server *srv = th->srv;

    th->in_call = true;
    th->conn = conn;
    th->ws = NULL;
    link_running_locked(th);
    srv->calls++;
    watch_anew_locked(th);
}

static void begin_inline_locked(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk_server *srv = th->srv;

    begin_locked(th, conn);
    if (srv->steal_every > 0 && srv->calls % (uint64_t)srv->steal_every == 0)
        steal_locked(th);
}

bool wsk__call_begin(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk_server *srv = th->srv;
    bool now;

    wsk__dispatch_lock(srv);
    now = (srv->slow_entries == 0 || queue_is_unserved_locked(srv)) &&
          srv->n_running < srv->cfg.threads && srv->n_spares > 0 &&
          srv->n_fresh == 0 && srv->ready == NULL && srv->n_unparking == 0;
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

    if (wsk__forked(srv))
        return false;
    wsk__dispatch_lock(srv);
    if (th->in_call)
        unlink_running_locked(th);
    else /* it left before: wsk__call_leave() */
        srv->n_parked--;
    srv->n_upgraded -= th->ws != NULL;
    th->in_call = false;
    th->conn = NULL;
    th->ws = NULL;
    leads = th->leads;
    if (srv->n_unparking > 0)
        pthread_cond_signal(&srv->slot_free);
    kick_locked(srv);
    wsk__dispatch_unlock(srv);
    return leads;
}

/* Nobody calls, and no thread can be made. Handlers that wait for their peers
 * may do so for ever. */
static bool is_hopeless_locked(const wsk_server *srv)
{
    return queue_is_unserved_locked(srv) && srv->n_running == 0 &&
           srv->n_unparking == 0;
}

/* What keeps one more request from waiting; WSK__LIMITS: nothing. */
static enum wsk__limit queue_limit_locked(const wsk_server *srv)
{
    if (is_hopeless_locked(srv))
        return WSK__LIMIT_THREADS;
    return srv->n_ready >= srv->cfg.queue_limit ? WSK__LIMIT_QUEUE
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
    srv->n_ready += is_request;
    conn->queued = true;
    late = srv->ended;
    conn->ready_next = NULL;
    *srv->ready_tail = conn;
    srv->ready_tail = &conn->ready_next;
    kick_locked(srv);
    wsk__dispatch_unlock(srv);
    if (late)
        wsk__drop_ready(srv);
    return limit;
}

bool wsk__call_waits_for_slot(struct wsk_conn *conn)
{
    wsk_server *srv = conn->srv;
    bool waits;

    wsk__dispatch_lock(srv);
    waits = conn->queued && srv->n_running >= srv->cfg.threads;
    wsk__dispatch_unlock(srv);
    return waits;
}

void wsk__release_queue(wsk_server *srv, struct wsk__release *release)
{
    wsk__dispatch_lock(srv);
    release->next = srv->releases;
    srv->releases = release;
    kick_locked(srv);
    wsk__dispatch_unlock(srv);
}

static bool reserve_place_locked(wsk_server *srv)
{
    bool free = srv->n_places < srv->cfg.max_parked;

    srv->n_places += free;
    return free;
}

/* The thread gives its slot away. */
static void park_locked(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    unlink_running_locked(th);
    srv->n_parked++;
    if (srv->n_unparking > 0)
        pthread_cond_signal(&srv->slot_free);
}

void wsk__call_park(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    if (wsk__forked(srv))
        return;
    wsk__dispatch_lock(srv);
    step_back_locked(th);
    th->took_place = th->ws == NULL && reserve_place_locked(srv);
    th->parked = th->ws != NULL || th->took_place;
    if (th->parked)
        park_locked(th);
    kick_locked(srv);
    wsk__dispatch_unlock(srv);
    if (!th->parked)
        wsk__limit_hit(srv, WSK__LIMIT_WAITS);
}

void wsk__call_unpark(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    if (wsk__forked(srv) || !th->parked)
        return;
    wsk__dispatch_lock(srv);
    srv->n_unparking++;
    if (srv->n_running >= srv->cfg.threads && th->ws != NULL)
        post_locked(th->ws, WSK__POST_AWAY); /* it will not read for a while */
    wake_locked(srv);
    while (!srv->ended && (srv->n_running >= srv->cfg.threads ||
                           (srv->queue_turn && srv->ready != NULL &&
                            !queue_is_unserved_locked(srv))))
        pthread_cond_wait(&srv->slot_free, &srv->lock);
    srv->n_unparking--;
    srv->queue_turn = srv->ready != NULL;
    srv->n_parked--;
    srv->n_places -= th->took_place;
    th->parked = th->took_place = false;
    link_running_locked(th);
    watch_anew_locked(th);
    kick_locked(srv);
    wsk__dispatch_unlock(srv);
}

void wsk__call_leave(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    if (!wsk__forked(srv)) {
        wsk__dispatch_lock(srv);
        step_back_locked(th);
        park_locked(th);
        kick_locked(srv);
        wsk__dispatch_unlock(srv);
    }
    th->in_call = false; /* read by this thread only */
}

void wsk__call_upgraded(struct wsk__thread *th, struct wsk_conn *conn)
{
    wsk__dispatch_lock(th->srv);
    th->ws = conn;
    th->srv->n_upgraded++;
    watch_anew_locked(th);
    wsk__dispatch_unlock(th->srv);
}

void wsk__call_is_back(struct wsk__thread *th)
{
    wsk__dispatch_lock(th->srv);
    watch_anew_locked(th);
    wsk__dispatch_unlock(th->srv);
}

bool wsk__call_goes_on(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    bool others;

    wsk__dispatch_lock(srv);
    watch_anew_locked(th);
    others = srv->n_running >= srv->cfg.threads &&
             (srv->n_unparking > 0 || srv->ready != NULL);
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
    srv->n_places--;
    wsk__dispatch_unlock(srv);
}

/* ---------------------------------------------------- the interpreter --- */

void wsk__gate_enter(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    uint64_t began;
    unsigned slow;

    if (srv->hooks.enter == NULL || th->inside)
        return;
    assert(!wsk__holds(WSK__LOCK_ANY));
    began = wsk__now_ns();
    atomic_store(&th->entering, true);
    srv->hooks.enter(th->lent);
    atomic_store(&th->entering, false);
    th->inside = true;
    if (wsk__now_ns() - began > SLOW_ENTRY_NS)
        atomic_store(&srv->slow_entries, SLOW_ENTRIES);
    else if ((slow = atomic_load(&srv->slow_entries)) > 0)
        atomic_compare_exchange_strong(&srv->slow_entries, &slow, slow - 1);
}

void wsk__gate_leave(struct wsk__thread *th)
{
    if (!th->inside)
        return;
    th->inside = false;
    th->srv->hooks.leave(th->lent);
}

/* --------------------------------------------------- a thread's share --- */

/* A slot is free, and no other fresh thread already serves the queue. */
static bool may_take_locked(const struct wsk__thread *th)
{
    const wsk_server *srv = th->srv;

    return srv->n_running < srv->cfg.threads &&
           (th->fresh || srv->n_fresh == 0);
}

/* What was lent may be given back: a call like any other, for it may run code
 * of the application. Those that are left when the server has ended are
 * nobody's call any more. */
static struct wsk__release *take_release_locked(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    struct wsk__release *release = srv->releases;

    if (release == NULL || !(srv->ended || may_take_locked(th)))
        return NULL;
    srv->releases = release->next;
    if (!srv->ended) {
        begin_locked(th, NULL);
        set_fresh_locked(th, true);
    }
    return release;
}

/* The next queued call, begun for this thread, or what to release, which gives
 * memory back and so goes first. False when there is neither, or another thread
 * sees to them. */
static bool next_call(struct wsk__thread *th, struct wsk_conn **conn,
                      struct wsk__release **release)
{
    wsk_server *srv = th->srv;

    *conn = NULL;
    wsk__dispatch_lock(srv);
    *release = take_release_locked(th);
    if (*release == NULL && !srv->ended && srv->ready != NULL &&
        queue_may_run_locked(srv) && may_take_locked(th)) {
        *conn = srv->ready;
        srv->ready = (*conn)->ready_next;
        if (srv->ready == NULL)
            srv->ready_tail = &srv->ready;
        srv->n_ready -= (*conn)->ws == NULL;
        (*conn)->queued = false;
        begin_locked(th, *conn);
        set_fresh_locked(th, true);
        srv->queue_turn = false;
        if (srv->n_unparking > 0)
            pthread_cond_signal(&srv->slot_free);
    } else if (*release == NULL) {
        set_fresh_locked(th, false);
    }
    wsk__dispatch_unlock(srv);
    return *release != NULL || *conn != NULL;
}

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

    while (!wsk__forked(th->srv) && next_call(th, &conn, &release)) {
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

    push_spare_locked(th);
    surplus = srv->n_spares > MIN_SPARES;
    kick_locked(srv);
    while (th->order == WSK__NO_ORDER && !srv->ended) {
        struct timespec until;

        if (!surplus) {
            pthread_cond_wait(&th->wake, &srv->lock);
            continue;
        }
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += REAP_S;
        if (pthread_cond_timedwait(&th->wake, &srv->lock, &until) ==
                ETIMEDOUT &&
            th->order == WSK__NO_ORDER) {
            if (srv->n_spares <= MIN_SPARES) {
                surplus = false;
                continue;
            }
            drop_spare_locked(th);
            return false;
        }
    }
    if (th->order == WSK__NO_ORDER)
        drop_spare_locked(th);
    return th->order != WSK__NO_ORDER;
}

void wsk__dispatch_work(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    wsk__dispatch_lock(srv);
    while (!srv->ended) {
        bool lead = !srv->led;

        if (lead)
            srv->led = th->leads = true;
        else if (!await_order_locked(th))
            break;
        lead = lead || th->order == WSK__LEAD;
        th->order = WSK__NO_ORDER;
        wsk__dispatch_unlock(srv);
        if (lead)
            wsk__lead(th);
        serve_queue(th);
        if (wsk__forked(srv))
            return;
        wsk__dispatch_lock(srv);
    }
    wsk__dispatch_unlock(srv);
}

/* -------------------------------------------------------- the monitor --- */

/* How the monitor spends its time. It costs a busy server a context switch per
 * look, so while every call is quick it naps. After a nap it looks twice, a
 * tick apart, for a call that it finds running may have begun just before. */
struct watch {
    bool open;   /* some running call must be watched on */
    bool unsure; /* one of them was seen for the first time */
    bool napped;
    uint64_t calls;       /* the server's, at the last look */
    unsigned quiet, calm; /* ticks without a call, without a late one */
};

/* One look at a running call. */
static void inspect_call_locked(struct watch *w, struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    bool first = th->seen == 0, late;

    if (first)
        th->seen = srv->tick;
    late = srv->tick - th->seen >= LATE_TICKS;
    if (late && (th->leads || th->fresh))
        w->calm = 0;
    if (late && th->leads && srv->n_spares > 0)
        steal_locked(th);
    if (late && th->fresh && !atomic_load(&th->entering))
        set_fresh_locked(th, false);
    if (th->ws != NULL && !th->rearmed && srv->tick - th->seen >= AWAY_TICKS) {
        th->rearmed = true;
        post_locked(th->ws, WSK__POST_AWAY);
    }
    w->unsure |= first && (th->leads || th->fresh);
    w->open |= th->leads || th->fresh || (th->ws != NULL && !th->rearmed);
}

static void inspect_locked(struct watch *w, wsk_server *srv)
{
    w->open = w->unsure = false;
    if (w->calls != srv->calls)
        w->quiet = 0;
    w->calls = srv->calls;
    for (struct wsk__thread *th = srv->running; th != NULL; th = th->next)
        inspect_call_locked(w, th);
    kick_locked(srv);
}

/* How long until the next look. */
static unsigned pause_ticks(struct watch *w)
{
    unsigned ticks;

    w->napped = w->calm >= CALM_TICKS && !(w->napped && w->unsure);
    ticks = w->napped ? NAP_TICKS : 1;
    w->quiet += ticks;
    w->calm += w->calm < CALM_TICKS ? ticks : 0;
    return ticks;
}

static void *own_thread(void *arg)
{
    wsk_server_work(arg, NULL);
    wsk__server_unref(arg);
    return NULL;
}

static bool spawn_own(wsk_server *srv)
{
    pthread_t thread;

    assert(!wsk__holds(WSK__LOCK_ANY));
    /* No signal is blocked: what a handler starts would inherit that. */
    wsk__server_ref(srv); /* the thread's: it may come after the end */
    if (pthread_create(&thread, NULL, own_thread, srv) != 0) {
        wsk__server_unref(srv);
        return false;
    }
    pthread_detach(thread);
    return true;
}

/* Requests shall not wait for ever; events of WebSockets may. */
static void refuse_ready_locked(wsk_server *srv)
{
    struct wsk_conn **at = &srv->ready;

    while (*at != NULL) {
        struct wsk_conn *conn = *at;

        if (conn->ws != NULL) {
            at = &conn->ready_next;
            continue;
        }
        *at = conn->ready_next;
        conn->queued = false;
        srv->n_ready--;
        post_locked(conn, WSK__POST_RUN | WSK__POST_REFUSE);
    }
    srv->ready_tail = at;
}

static void despair_locked(wsk_server *srv)
{
    srv->no_threads = true;
    pthread_cond_broadcast(&srv->slot_free); /* not the queue's turn any more */
    if (is_hopeless_locked(srv))
        refuse_ready_locked(srv);
}

void wsk_server_no_thread(wsk_server *srv)
{
    wsk__dispatch_lock(srv);
    despair_locked(srv);
    wsk__dispatch_unlock(srv);
}

static void spawn_missing_locked(wsk_server *srv, unsigned n)
{
    srv->n_awaiting += n;
    wsk__dispatch_unlock(srv);
    for (; n > 0; n--) {
        if (srv->hooks.spawn != NULL) {
            srv->hooks.spawn(srv->hooks.user);
        } else if (!spawn_own(srv)) {
            wsk__server_logf(srv, WSK_LOG_WARNING,
                             "no new thread: the system refuses");
            break;
        }
    }
    wsk__dispatch_lock(srv);
    if (n > 0) {
        srv->spawn_after_ms = wsk__now_ms() + RESPAWN_MS;
        despair_locked(srv);
    }
    srv->n_awaiting -= n > srv->n_awaiting ? srv->n_awaiting : n;
}

static void *monitor(void *arg)
{
    wsk_server *srv = arg;
    struct watch watch = {.open = false};
    unsigned missing, ticks;

    wsk__dispatch_lock(srv);
    while (!srv->ended) {
        missing = missing_spares_locked(srv);
        if (missing > 0 && wsk__now_ms() >= srv->spawn_after_ms)
            spawn_missing_locked(srv, missing);
        if (missing > 0)
            watch.calm = 0; /* more may be missing soon */
        missing = missing_spares_locked(srv);
        inspect_locked(&watch, srv);
        if (!watch.open && missing == 0 && watch.quiet >= QUIET_TICKS) {
            srv->monitor_asleep = true;
            wake_locked(srv);
            while (srv->monitor_asleep && !srv->ended)
                pthread_cond_wait(&srv->monitor_wake, &srv->lock);
            watch.quiet = watch.calm = 0;
        }
        ticks = pause_ticks(&watch);
        wsk__dispatch_unlock(srv);
        nanosleep(&(struct timespec){.tv_nsec = ticks * TICK_US * 1000L}, NULL);
        wsk__dispatch_lock(srv);
        srv->tick += ticks;
    }
    srv->monitor_gone = true;
    pthread_cond_broadcast(&srv->changed);
    wsk__dispatch_unlock(srv);
    wsk__server_unref(srv);
    return NULL;
}

bool wsk__dispatch_start(wsk_server *srv)
{
    pthread_t thread;
    int err;

    srv->ready_tail = &srv->ready;
    srv->tick = 1; /* 0 says: not seen yet */
    wsk__server_ref(srv);
    err = pthread_create(&thread, NULL, monitor, srv);
    if (err != 0) {
        wsk__server_unref(srv);
        errno = err;
        return false;
    }
    pthread_detach(thread);
    return true;
}

void wsk__dispatch_end(wsk_server *srv)
{
    wsk__dispatch_lock(srv);
    srv->ended = true;
    srv->monitor_asleep = false;
    pthread_cond_signal(&srv->monitor_wake);
    pthread_cond_broadcast(&srv->slot_free);
    pthread_cond_broadcast(&srv->changed);
    for (struct wsk__thread *th = srv->spares; th != NULL; th = th->next)
        pthread_cond_signal(&th->wake);
    wsk__dispatch_unlock(srv);
}
