#include "net/conn/drain.h"

#include "base/close_code.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/os/clock.h"

#include <stdatomic.h>

enum {
    IDLE_MS = 100,      /* idle without a successor: a request on its way */
    SPEAK_MS = 1500,    /* from an accept to the first byte: a packet that was
                           lost comes again after 1 s (RFC 6298 2.1) */
    PIPELINE_MS = 1000, /* for requests in a pipeline */
    CLOSES_PER_S = 250, /* of WebSockets */
};

uint32_t wsk__drain_time_ms(const struct wsk__conns *conns,
                            const wsk_drain *how)
{
    return how->ms != WSK_AUTO_MS ? how->ms : conns->cfg->graceful_timeout_ms;
}

/* Return the time over which the WebSockets of all parts are closed. */
static uint32_t spread_of(const struct wsk__conns *conns, const wsk_drain *how,
                          uint32_t parts)
{
    uint32_t most = wsk__drain_time_ms(conns, how);
    uint64_t ms = how->spread_ms != WSK_AUTO_MS ? how->spread_ms
                                                : conns->cfg->ws_drain_ms;

    if (ms == WSK_AUTO_MS) {
        ms = (uint64_t)atomic_load(&conns->n_websockets) * parts * 1000 /
             CLOSES_PER_S;
        most /= 2;
    }
    return ms < most ? (uint32_t)ms : most;
}

void wsk__drain_begin(struct wsk__conns *conns, const wsk_drain *how)
{
    const wsk_server_config *cfg = conns->cfg;
    struct wsk__drain *drain = &conns->drain;
    uint32_t parts = how->parts > 0 ? how->parts : 1;
    uint32_t part = how->part < parts ? how->part : parts - 1;

    atomic_store(&drain->began_ms, wsk__now_ms());
    drain->successor = how->successor;
    drain->alone = how->alone;
    drain->idle_ms = how->successor ? cfg->drain_idle_ms : IDLE_MS;
    if (how->idle_ms != WSK_AUTO_MS)
        drain->idle_ms = how->idle_ms;
    drain->code =
        (uint16_t)(how->successor ? cfg->ws_restart_code : cfg->ws_stop_code);
    if (wsk__is_close_code(how->code))
        drain->code = how->code;
    drain->spread_ms = spread_of(conns, how, parts);
    drain->part_ms = drain->spread_ms / parts;
    drain->from_ms = (uint32_t)((uint64_t)drain->spread_ms * part / parts);
    atomic_store(&conns->last_answers, true);
    atomic_store(&conns->draining, true);
}

uint64_t wsk__drain_idle_due(const struct wsk__conns *conns, uint64_t since_ms,
                             bool spoken)
{
    uint64_t began_ms = atomic_load(&conns->drain.began_ms);
    uint64_t due = (began_ms > since_ms ? began_ms : since_ms) +
                   conns->drain.idle_ms;

    if (!spoken && due < since_ms + SPEAK_MS)
        due = since_ms + SPEAK_MS;
    return due;
}

/* Return a number that is as good as random, and stays the same for a
 * connection. */
static uint32_t chance_of(const struct wsk__conn *conn)
{
    return (uint32_t)((uintptr_t)conn >> 4) * 2654435761u;
}

static uint64_t part_of(uint32_t chance, uint32_t ms)
{
    return (uint64_t)chance * ms >> 32;
}

uint64_t wsk__drain_close_due(const struct wsk__conn *conn, uint64_t opened_ms)
{
    const struct wsk__drain *drain = &conn->conns->drain;
    uint64_t began_ms = atomic_load(&drain->began_ms);

    if (drain->forced_ms != 0)
        return 0;
    if (opened_ms > began_ms) /* in the last tenth of the window */
        return began_ms + drain->spread_ms -
               part_of(chance_of(conn), drain->spread_ms / 10);
    return began_ms + drain->from_ms + part_of(chance_of(conn), drain->part_ms);
}

wsk_str wsk__drain_reason(const struct wsk__conns *conns)
{
    return conns->drain.successor ? (wsk_str){"restart", 7}
                                  : (wsk_str){"stop", 4};
}

unsigned wsk__drain_retry_s(const struct wsk__conn *conn)
{
    uint32_t mixed = chance_of(conn) ^ (uint32_t)wsk__now_ns() * 2654435761u;

    return 1 + (unsigned)part_of(mixed, 5);
}

bool wsk__drain_spares_pipelines(const struct wsk__conns *conns)
{
    return !atomic_load(&conns->draining) ||
           wsk__now_ms() - atomic_load(&conns->drain.began_ms) < PIPELINE_MS;
}
