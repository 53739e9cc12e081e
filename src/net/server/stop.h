/* net/server/stop: how a server ends. */
#ifndef WSK_NET_SERVER_STOP_H
#define WSK_NET_SERVER_STOP_H

#include "net/loop/source.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <stdbool.h>

struct wsk__stop {
    atomic_int asked; /* calls of wsk_server_stop() */
    atomic_int ms;    /* what the first said */

    /* leader */
    bool forced;                  /* the drain's time is up: answers are cut */
    bool over;                    /* and the time for close events, too */
    struct wsk__source drain_end; /* its timer ends the drain */
};

/* Give the loop what it does before each wait, which heeds a stop. */
void wsk__stop_init(wsk_server *srv);

#endif
