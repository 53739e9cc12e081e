/* net/server/metrics: gathers the numbers of a server from its rooms. */
#ifndef WSK_NET_SERVER_METRICS_H
#define WSK_NET_SERVER_METRICS_H

#include "net/log/metrics.h"
#include "net/log/page.h"
#include "net/loop/source.h"
#include "wsocket.h"

#include <pthread.h>

/* Texts that the program has given, and the start. */
struct wsk__about {
    const char *python, *gil; /* static; NULL: there is no Python */
    uint64_t start_s;         /* since 1970 */

    /* of a worker: its numbers go to the board some time after each turn */
    pthread_mutex_t publishing;
    struct wsk__source publish_timer; /* leader, as the next one */
    uint64_t published_turn;          /* of the loop */
};

/* Count, if metrics_bind is set. False: memory is out. */
bool wsk__server_open_metrics(wsk_server *srv);

/* Put the numbers of a worker on its board, so that they are on every worker's
 * page. No page shows what is not there yet, so no sum ever falls. Any thread
 * without a lock. */
void wsk__server_publish(wsk_server *srv);

/* See to it that this is done soon. Leader, before the poller waits. */
void wsk__server_publish_later(wsk_server *srv);

/* Make the timer and the lock for that, and destroy the lock. */
void wsk__server_init_metrics(wsk_server *srv);
void wsk__server_close_metrics(wsk_server *srv);

/* Gather what all workers have published: their sums, and the gauges of those
 * that live. Returns the number of entries of `workers`, which has room for
 * wsk__server_most_workers(). */
size_t wsk__server_all(wsk_server *srv, uint64_t counters[WSK__COUNTERS],
                       struct wsk__page_worker *workers);
size_t wsk__server_most_workers(const wsk_server *srv);

/* Read what the supervisor has set; 0 without one. */
void wsk__server_parent_values(const wsk_server *srv,
                               uint64_t out[WSK__PARENT_VALUES]);

/* Return true if the server takes requests, and does not stop. */
bool wsk__server_is_ready(const wsk_server *srv);

#endif
