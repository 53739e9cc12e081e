/* net/conn/drain: when the connections of a server that leaves are closed. */
#ifndef WSK_NET_CONN_DRAIN_H
#define WSK_NET_CONN_DRAIN_H

#include "wsocket.h"

#include <stdatomic.h>

struct wsk__conn;
struct wsk__conns;

/* How the server leaves: a wsk_drain without defaults. Leader, but for the
 * first. */
struct wsk__drain {
    atomic_ullong began_ms; /* written by the leader */
    uint32_t idle_ms;       /* a connection may be idle for so long */
    uint32_t spread_ms;     /* WebSockets are closed over so long */
    uint32_t from_ms;       /* begin of this server's part of spread_ms, */
    uint32_t part_ms;       /* and its length */
    uint16_t code;          /* of their Close frames */
    bool successor, alone;
    uint64_t forced_ms; /* since when the time is up; 0: it is not */
};

/* Set conns->drain, and conns->draining. A later call sets it anew. */
void wsk__drain_begin(struct wsk__conns *conns, const wsk_drain *how);

/* Return the time for running handlers and WebSockets. */
uint32_t wsk__drain_time_ms(const struct wsk__conns *conns,
                            const wsk_drain *how);

/* Return until when a connection may be idle that has been so since `since_ms`.
 * `spoken`: it has sent something before. */
uint64_t wsk__drain_idle_due(const struct wsk__conns *conns, uint64_t since_ms,
                             bool spoken);

/* Return when a WebSocket that was opened at `opened_ms` is to be closed. */
uint64_t wsk__drain_close_due(const struct wsk__conn *conn, uint64_t opened_ms);

/* Return the reason for the Close frame. */
wsk_str wsk__drain_reason(const struct wsk__conns *conns);

/* Return the seconds after which a client may come again: 1 to 5, at random. */
unsigned wsk__drain_retry_s(const struct wsk__conn *conn);

/* Return true until the drain has lasted so long that requests in a pipeline
 * are answered no more. Any thread. */
bool wsk__drain_spares_pipelines(const struct wsk__conns *conns);

#endif
