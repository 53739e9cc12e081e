/* net/server/stop: how a server ends. */
#ifndef WSK_NET_SERVER_STOP_H
#define WSK_NET_SERVER_STOP_H

#include "net/loop/timer.h"

#include <stdatomic.h>
#include <stdbool.h>

struct wsk__stop {
    atomic_int asked; /* calls of wsk_server_stop() */
    atomic_int ms;    /* what the first said */

    /* leader */
    bool forced; /* the drain's time is up: answers are cut */
    bool over;   /* and the time for close events, too */
    struct wsk__timer drain_timer;
};

#include "wsocket.h"

struct wsk__thread;

/* The time is up: no more answers, but every close event. */
void wsk__force_drain(wsk_server *srv);

/* What a stop asks for now. False: the server has ended. */
bool wsk__heed_stop(struct wsk__thread *th);

#endif
