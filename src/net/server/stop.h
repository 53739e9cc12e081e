/* net/server/stop: ends a server, with time for open answers to be sent. */
#ifndef WSK_NET_SERVER_STOP_H
#define WSK_NET_SERVER_STOP_H

#include "net/loop/source.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <stdbool.h>

struct wsk__stop {
    atomic_int asked; /* calls of wsk_server_stop() */
    atomic_int ms;    /* drain_ms of the first call, or 0 of a later one */

    /* leader */
    bool forced;                  /* the time to drain is up: answers are cut */
    bool events_cut;              /* the time for close events is up, too */
    struct wsk__source drain_end; /* the timer of both */
};

/* Set the loop's work before each wait, which looks for a stop. */
void wsk__stop_init(wsk_server *srv);

#endif
