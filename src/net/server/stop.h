/* net/server/stop: ends a server, with time for open answers to be sent. */
#ifndef WSK_NET_SERVER_STOP_H
#define WSK_NET_SERVER_STOP_H

#include "net/loop/source.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <stdbool.h>

enum wsk__stop_stage {
    WSK__STOP_NONE,
    WSK__STOP_DELAY,  /* serves on, with Connection: close */
    WSK__STOP_DRAIN,  /* finishes what has begun */
    WSK__STOP_FORCED, /* the time for that is up: only close events are left */
    WSK__STOP_CUT,    /* the time for those is up, too */
};

enum { WSK__STOP_ORDERS = 8 };

struct wsk__stop {
    atomic_uint asked;   /* calls of wsk_server_stop() and wsk_server_drain() */
    atomic_bool at_once; /* one of them says so */
    /* The first calls: each is written once, by a thread or signal handler. */
    struct wsk__stop_order {
        wsk_drain how;
        atomic_bool ready;
    } order[WSK__STOP_ORDERS];

    /* leader */
    unsigned heeded; /* orders that were followed */
    enum wsk__stop_stage stage;
    wsk_drain how;            /* the last of them */
    uint64_t due_ms;          /* the end of the stage */
    struct wsk__source timer; /* the same */
};

/* Set the loop's work before each wait, which looks for a stop. */
void wsk__stop_init(wsk_server *srv);

#endif
