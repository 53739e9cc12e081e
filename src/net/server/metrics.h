/* net/server/metrics: gathers the numbers of a server from its rooms. */
#ifndef WSK_NET_SERVER_METRICS_H
#define WSK_NET_SERVER_METRICS_H

#include "net/log/metrics.h"
#include "wsocket.h"

/* Texts that the program has given, and the start. */
struct wsk__about {
    const char *python, *gil; /* static; NULL: there is no Python */
    uint64_t start_s;         /* since 1970 */
};

/* Count, if metrics_bind is set. False: memory is out. */
bool wsk__server_open_metrics(wsk_server *srv);

/* Gather what the server has counted, and its state. Any thread without a lock.
 */
void wsk__server_counters(wsk_server *srv, uint64_t out[WSK__COUNTERS]);
void wsk__server_gauges(wsk_server *srv, uint64_t out[WSK__GAUGES]);

/* Return true if the server takes requests, and does not stop. */
bool wsk__server_is_ready(const wsk_server *srv);

#endif
