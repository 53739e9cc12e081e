#include "net/server/metrics.h"

#include "base/mem.h"
#include "net/dispatch/lock.h"
#include "net/log/writer.h"
#include "net/os/clock.h"
#include "net/os/process.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <string.h>

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

void wsk__server_counters(wsk_server *srv, uint64_t out[WSK__COUNTERS])
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

void wsk__server_gauges(wsk_server *srv, uint64_t out[WSK__GAUGES])
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
}

bool wsk__server_is_ready(const wsk_server *srv)
{
    return atomic_load(&srv->stop.asked) == 0 && !srv->conns.draining;
}
