#include "net/http1/deadline.h"

#include "http/conn.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/drain.h"
#include "net/conn/min_rate.h"
#include "net/http1/exchange.h"
#include "net/http1/output.h"
#include "net/os/clock.h"
#include "net/os/stream.h"
#include "wsocket.h"

#include <stdatomic.h>

enum {
    MEMORY_MS = 500, /* for other connections to give memory back */
};

uint64_t wsk__http_deadline(const struct wsk__conn *conn)
{
    const wsk_server_config *cfg = conn->conns->cfg;
    const struct wsk__exchange *h = conn->h;
    uint64_t due;

    if (conn->busy || atomic_load(&h->at_disk))
        return UINT64_MAX;
    if (h->memory_ms != 0)
        return h->memory_ms + MEMORY_MS;
    if (h->stalled)
        return wsk__min_rate_due_ms(&h->departure, cfg->write_rate);
    if (h->head != NULL || wsk__http_draining(&h->http))
        return wsk__min_rate_due_ms(&h->arrival, cfg->body_rate);
    if (wsk__head_has_begun(conn))
        return h->head_ms + cfg->head_timeout_ms;
    due = conn->since_ms +
          (h->spoken ? cfg->keep_alive_ms : cfg->first_octet_timeout_ms);
    if (conn->conns->draining &&
        due > wsk__drain_idle_due(conn->conns, conn->since_ms, h->spoken))
        due = wsk__drain_idle_due(conn->conns, conn->since_ms, h->spoken);
    return due;
}

void wsk__arrival_resume(struct wsk__conn *conn)
{
    if (conn->h->away_ms != 0)
        wsk__min_rate_skip(&conn->h->arrival, wsk__now_ms() - conn->h->away_ms);
    conn->h->away_ms = 0;
}

static uint64_t backlog(const struct wsk__conn *conn)
{
    return wsk__http_owed(conn) + wsk__stream_backlog(&conn->stream);
}

void wsk__stall_begin(struct wsk__conn *conn)
{
    conn->h->backlog = backlog(conn);
    wsk__min_rate_begin(&conn->h->departure, wsk__now_ms());
}

bool wsk__stall_is_too_long(struct wsk__conn *conn)
{
    struct wsk__exchange *h = conn->h;
    uint64_t rate = conn->conns->cfg->write_rate, left = backlog(conn);
    uint64_t now_ms = wsk__now_ms();

    if (left < h->backlog)
        wsk__min_rate_moved(&h->departure, now_ms, h->backlog - left, rate);
    h->backlog = left;
    return wsk__min_rate_due_ms(&h->departure, rate) <= now_ms;
}
