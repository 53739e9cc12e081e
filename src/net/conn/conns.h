/* net/conn/conns: the connections of a server. */
#ifndef WSK_NET_CONN_CONNS_H
#define WSK_NET_CONN_CONNS_H

#include "net/conn/accept.h"
#include "net/conn/conn.h"
#include "net/conn/idle.h"
#include "net/conn/peer.h"
#include "net/loop/timer.h"
#include "net/os/listen.h"

#include <stdatomic.h>

struct wsk__dispatch;
struct wsk__life;
struct wsk__logs;
struct wsk__loop;
struct wsk__offload;
struct wsk__site;
struct wsk__sockets;

struct wsk__conns {
    /* fixed */
    const wsk_server_config *cfg;
    struct wsk__life *life;
    struct wsk__logs *logs;
    struct wsk__loop *loop;
    struct wsk__dispatch *dispatch;
    struct wsk__offload *offload;
    struct wsk__sockets *sockets; /* of the room websocket */
    struct wsk__site *site;       /* of the room request */

    const struct wsk__protocol *protocol; /* fixed: of new connections */
    atomic_size_t counted; /* bytes that wait for more, see memory_limit */
    atomic_size_t
        heads; /* the same: handshakes that WebSockets keep for good */

    /* fixed once listening */
    struct wsk__listener listeners[WSK__LISTENERS];
    struct wsk__places places;
    struct wsk__trust trust;
    uint16_t port;
    bool listening;

    /* leader */
    struct wsk__conn_list resting; /* see conn/idle */
    struct wsk__conn_list parted;  /* not idle when a look at `resting` met them
                                    */
    atomic_uint n;                 /* in both; written by the leader */
    atomic_uint n_websockets;      /* of them */
    struct wsk__conn *graveyard;   /* closed in this batch; linked by next */
    bool accept_paused;
    bool accept_due; /* there may be room for a connection again */
    struct wsk__source accept_pause; /* its timer ends a pause */
    uint64_t goaway_ms;        /* from then on WebSockets are told to go, */
    uint32_t goaway_spread_ms; /* each at its moment of so long a time */
    atomic_bool draining;      /* written by the leader */

    struct wsk__conn_mutex locks[WSK__CONN_LOCKS];
};

#endif
