#include "net/server/metrics.h"

#include "base/mem.h"
#include "net/board/board.h"
#include "net/dispatch/lock.h"
#include "net/dispatch/thread.h"
#include "net/log/writer.h"
#include "net/loop/loop.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/process.h"
#include "net/server/server.h"
#include "net/topics/topics.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <string.h>

enum { PUBLISH_MS = 100 }; /* age of the numbers of a worker, at most */

bool wsk__server_open_metrics(wsk_server *srv)
{
    srv->about.start_s = (uint64_t)wsk__wall_s();
    if (srv->cfg.metrics_bind == NULL || srv->conns.metrics != NULL)
        return true;
    srv->conns.metrics = wsk__calloc(sizeof(*srv->conns.metrics));
    srv->dispatch.metrics = srv->conns.metrics;
    return srv->conns.metrics != NULL;
}

void wsk_server_describe(wsk_server *srv, const char *python, bool gil)
{
    srv->about.python = python;
    srv->about.gil = gil ? "on" : "off";
}

static void counters_of(wsk_server *srv, uint64_t out[WSK__COUNTERS])
{
    wsk__metrics_sum(srv->conns.metrics, out);
    for (unsigned i = 0; i < WSK__LIMITS; i++)
        out[WSK__N_LIMITS + i] = atomic_load(&srv->logs.limits[i].n);
    out[WSK__N_LOG_DROPS] = wsk__log_dropped(srv->logs.access);
    out[WSK__N_LOG_DROPS + 1] = wsk__log_dropped(srv->logs.error);
}

static unsigned less(unsigned n, unsigned by)
{
    return n > by ? n - by : 0;
}

/* Gather threads and calls; return the number of requests that are not over.
 * The call that asks is not one of them. */
static unsigned calls(wsk_server *srv, uint64_t out[WSK__GAUGES])
{
    struct wsk__dispatch *dispatch = &srv->dispatch;
    unsigned asks = wsk__self != NULL && wsk__self->dispatch == dispatch &&
                    wsk__self->in_call;
    unsigned requests;

    wsk__dispatch_lock(dispatch);
    out[WSK__G_HANDLERS] = less(dispatch->n_running, asks);
    out[WSK__G_HANDLERS + 1] = dispatch->n_parked;
    out[WSK__G_QUEUE] = dispatch->n_queued;
    requests =
        less(dispatch->n_running + dispatch->n_parked + dispatch->n_queued,
             dispatch->n_upgraded + asks);
    wsk__dispatch_unlock(dispatch);
    return requests;
}

/* Tell apart the connections, which are in one list. */
static void connections(const struct wsk__conns *conns, unsigned requests,
                        uint64_t out[WSK__GAUGES])
{
    unsigned all = less(atomic_load(&conns->n), atomic_load(&conns->n_admin));
    unsigned silent = atomic_load(&conns->n_silent);
    unsigned sockets = atomic_load(&conns->n_websockets);

    out[WSK__G_CONNECTIONS] = silent;
    out[WSK__G_CONNECTIONS + 1] = requests;
    out[WSK__G_CONNECTIONS + 2] = less(all, silent + requests + sockets);
    out[WSK__G_CONNECTIONS + 3] = out[WSK__G_WEBSOCKETS] = sockets;
}

static void gauges_of(wsk_server *srv, uint64_t out[WSK__GAUGES])
{
    struct wsk__usage usage;

    memset(out, 0, WSK__GAUGES * sizeof(*out));
    connections(&srv->conns, calls(srv, out), out);
    out[WSK__G_HANDLERS_LIMIT] = srv->cfg.threads;
    out[WSK__G_BUFFERED] = atomic_load(&srv->conns.counted);
    out[WSK__G_STATE + (wsk__server_is_ready(srv) ? 1 : 2)] = 1;
    wsk__process_usage(&usage);
    out[WSK__G_RESIDENT] = usage.resident;
    out[WSK__G_CPU] = usage.cpu_ns;
    out[WSK__G_FDS] = usage.fds;
    out[WSK__G_START] = srv->about.start_s;
    out[WSK__G_NUMBER] = srv->logs.worker;
}

/* Gather what the server counts, and its state. Any thread without a lock. */
static void measure(wsk_server *srv, uint64_t counters[WSK__COUNTERS],
                    uint64_t gauges[WSK__GAUGES])
{
    counters_of(srv, counters);
    gauges_of(srv, gauges);
    wsk__topics_measure(wsk__topics_of(srv->sockets.topics), counters, gauges);
}

/* ------------------------------------------------------ several workers --- */

static wsk_board *board_of(const wsk_server *srv)
{
    return srv->conns.metrics != NULL ? srv->conns.balance.board : NULL;
}

static void store(wsk__number *at, const uint64_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        atomic_store_explicit(&at[i], values[i], memory_order_relaxed);
}

_Static_assert((int)WSK__COUNTERS <= (int)WSK__BOARD_COUNTERS, "they fit");
_Static_assert((int)WSK__PARENT_VALUES <= (int)WSK__BOARD_GAUGES, "they fit");
_Static_assert((int)WSK__GAUGES <= (int)WSK__BOARD_GAUGES, "they fit");

void wsk__server_publish(wsk_server *srv)
{
    wsk_board *board = board_of(srv);
    struct wsk__board_metrics *at;
    uint64_t counters[WSK__COUNTERS], gauges[WSK__GAUGES];

    if (board == NULL || wsk__forked(&srv->life))
        return;
    at = wsk__board_metrics(board, srv->conns.balance.slot);
    pthread_mutex_lock(&srv->about.publishing);
    measure(srv, counters, gauges);
    store(at->counters, counters, WSK__COUNTERS);
    store(at->gauges, gauges, WSK__GAUGES);
    pthread_mutex_unlock(&srv->about.publishing);
}

static wsk__leads on_timer(struct wsk__thread *th, struct wsk__source *source)
{
    wsk_server *srv =
        WSK__OWNER(source, struct wsk_server, about.publish_timer);

    wsk__assert_leads(th);
    srv->about.published_turn = srv->loop.turn;
    wsk__server_publish(srv);
    return true;
}

/* An idle worker is not woken for that: the timer is set in a turn that the
 * timer itself has not caused. */
void wsk__server_publish_later(wsk_server *srv)
{
    struct wsk__about *about = &srv->about;

    if (board_of(srv) != NULL && about->publish_timer.timer.next == NULL &&
        srv->loop.turn != about->published_turn)
        wsk__loop_set_timer(&srv->loop, &about->publish_timer,
                            srv->loop.now_ms + PUBLISH_MS);
}

void wsk__server_init_metrics(wsk_server *srv)
{
    static const struct wsk__source_ops TIMER = {.expired = on_timer};

    srv->about.publish_timer.ops = &TIMER;
    pthread_mutex_init(&srv->about.publishing, NULL);
}

void wsk__server_close_metrics(wsk_server *srv)
{
    pthread_mutex_destroy(&srv->about.publishing);
    wsk__free(srv->conns.metrics);
}

/* Add the gauges of a process to those of its worker: while one is replaced
 * there are two of its number. */
static size_t merge(struct wsk__page_worker *workers, size_t n,
                    const uint64_t gauges[WSK__GAUGES])
{
    unsigned number = (unsigned)gauges[WSK__G_NUMBER];
    struct wsk__page_worker *at = workers;
    uint64_t start;

    while (at < workers + n && (number == 0 || at->number != number))
        at++;
    if (at == workers + n)
        *at = (struct wsk__page_worker){.number = number};
    start = at->gauges[WSK__G_START];
    for (unsigned i = 0; i < WSK__GAUGES; i++)
        at->gauges[i] += gauges[i];
    at->gauges[WSK__G_START] =
        start > gauges[WSK__G_START] ? start : gauges[WSK__G_START];
    return at == workers + n ? n + 1 : n;
}

/* Read the gauges of a slot; its state is the board's. False: it is free. */
static bool read_slot(wsk_board *board, unsigned slot,
                      uint64_t gauges[WSK__GAUGES])
{
    const struct wsk__board_metrics *at = wsk__board_metrics(board, slot);
    wsk_worker worker;

    if (wsk_board_look(board, slot, &worker) != WSK_OK || worker.pid == 0 ||
        worker.state == WSK_WORKER_FREE || worker.state == WSK_WORKER_GONE)
        return false;
    for (unsigned i = 0; i < WSK__GAUGES; i++)
        gauges[i] = atomic_load_explicit(&at->gauges[i], memory_order_relaxed);
    for (unsigned i = 0; i < 3; i++)
        gauges[WSK__G_STATE + i] = 0;
    gauges[WSK__G_STATE + (worker.state == WSK_WORKER_BOOT       ? 0
                           : worker.state == WSK_WORKER_DRAINING ? 2
                                                                 : 1)] = 1;
    return true;
}

size_t wsk__server_most_workers(const wsk_server *srv)
{
    return board_of(srv) != NULL ? wsk_board_slots(board_of(srv)) : 1;
}

size_t wsk__server_all(wsk_server *srv, uint64_t counters[WSK__COUNTERS],
                       struct wsk__page_worker *workers)
{
    wsk_board *board = board_of(srv);
    uint64_t gauges[WSK__GAUGES];
    size_t n = 0;

    if (board == NULL) {
        measure(srv, counters, gauges);
        return merge(workers, 0, gauges);
    }
    wsk__server_publish(srv);
    wsk__board_sum(board, counters, WSK__COUNTERS);
    for (unsigned slot = 0; slot < wsk_board_slots(board); slot++)
        if (read_slot(board, slot, gauges))
            n = merge(workers, n, gauges);
    return n;
}

wsk_status wsk_board_count(wsk_board *board, const char *what, const char *why)
{
    int counter = wsk__page_counter(what, why);

    if (counter < WSK__N_STARTS)
        return WSK_E_ARG;
    wsk__board_count(board, (unsigned)counter);
    return WSK_OK;
}

wsk_status wsk_board_set(wsk_board *board, const char *what, uint64_t value)
{
    int gauge = wsk__page_parent_value(what);

    if (gauge < 0)
        return WSK_E_ARG;
    wsk__board_set(board, (unsigned)gauge, value);
    return WSK_OK;
}

void wsk__server_parent_values(const wsk_server *srv,
                               uint64_t out[WSK__PARENT_VALUES])
{
    const wsk_board *board = board_of(srv);

    for (unsigned i = 0; i < WSK__PARENT_VALUES; i++)
        out[i] = board != NULL ? wsk__board_get(board, i) : 0;
}

void wsk_server_set_worker(wsk_server *srv, unsigned number)
{
    srv->logs.worker = number;
}

bool wsk__server_is_ready(const wsk_server *srv)
{
    return atomic_load(&srv->stop.asked) == 0 && !srv->conns.draining;
}
