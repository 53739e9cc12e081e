/* net/bus/route: a way by which publications leave this process and come in:
 * the bus of a host, or a broker. */
#ifndef WSK_NET_BUS_ROUTE_H
#define WSK_NET_BUS_ROUTE_H

#include "wsocket.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A publication on its way. Everything is borrowed for the call. */
struct wsk__bus_message {
    const wsk_str *topics; /* valid names */
    size_t n_topics;       /* at least 1 */
    wsk_opcode opcode;     /* WSK_TEXT, valid UTF-8, or WSK_BINARY */
    bool plain;            /* never compressed */
    bool relay;            /* a process without a broker asks the one that
                              receives it to pass it on */
    const uint8_t *data;   /* the payload, without a frame's header */
    size_t len;            /* at most topic_message_max of the publisher */
    uint64_t node;         /* the process that published it, a number that no
                              other has, on no host; 0: unknown */
    uint64_t except;       /* the socket of that process that gets no copy; 0:
                              none */
};

/* Events of a route, which calls these from its own thread, or from a call of
 * wsk__route_ops.publish, with none of its locks held, and never after stop()
 * has returned. */
struct wsk__route_events {
    /* A publication arrived. The names, the opcode and the UTF-8 of its text
     * are checked here: WSK_E_ARG tells that they are bad, and no
     * subscriber got it. Else WSK_OK or WSK_E_NOMEM. */
    wsk_status (*message)(void *user, const struct wsk__bus_message *message);
    /* A process wants the WebSockets of a topic closed. Checked as well.
     * `relay` as that of a message. */
    wsk_status (*disconnect)(void *user, wsk_str topic, uint16_t code,
                             wsk_str reason, bool relay);
    /* Publications to n topics may have been missed; 0: to any. */
    void (*gap)(void *user, const wsk_str *topics, size_t n);
    /* A broker begins to take publications, or no longer does. NULL: never. */
    void (*takes)(void *user, bool takes);
    /* Something an operator should read. */
    void (*log)(void *user, wsk_log_level level, const char *text);
};

/* The first member of a route of any kind. */
struct wsk__route {
    const struct wsk__route_ops *ops;       /* fixed */
    const struct wsk__route_events *events; /* fixed once attached */
    void *user;                             /* fixed once attached */
    const atomic_bool *serves; /* fixed once attached, or NULL: this process has
                                  a server, whose options tell of its broker */
};

/* The state of a route, for operators. */
struct wsk__route_state {
    bool up;          /* a broker takes publications */
    uint64_t outages; /* times that it was lost */
    size_t peers;     /* processes that a bus is linked to */
    size_t bytes;     /* not sent yet */
};

struct wsk__route_ops {
    /* Publications come back: local subscribers get them by the route's event
     * only. Otherwise the publisher delivers to them itself. */
    bool returns;

    /* Begin; the wanted topics are told next. Any thread, no lock is held. */
    void (*start)(struct wsk__route *route);

    /* Send a publication. Returns WSK_OK: it is on its way; WSK_E_AGAIN: the
     * broker is down, its own or that of all relays; WSK_E_NOMEM. No lock is
     * held. */
    wsk_status (*publish)(struct wsk__route *route,
                          const struct wsk__bus_message *message);

    /* Have all other processes close a topic's WebSockets. Returns as publish
     * does. NULL: another route does it. No lock is held. */
    wsk_status (*disconnect)(struct wsk__route *route, wsk_str topic,
                             uint16_t code, wsk_str reason);

    /* This process has a broker, for good, which takes publications or not: to
     * peers without one it is a relay. NULL: this is the broker. No lock is
     * held. */
    void (*set_broker)(struct wsk__route *route, bool takes);

    /* Return true if a peer has a broker, or had one: what it publishes does
     * not come this way. NULL: this is the broker. No lock is held. */
    bool (*peers_have_broker)(struct wsk__route *route);

    /* A topic got its first local subscription, or lost its last one. Never
     * waits, and calls no event: a connection's and a shard's lock may be held.
     * The calls for one topic come in order. */
    void (*want)(struct wsk__route *route, wsk_str topic);
    void (*unwant)(struct wsk__route *route, wsk_str topic);

    /* Wait until publications to a wanted topic arrive, for each of its
     * subscriptions: cheap where they do. May give up, which is a gap then. No
     * lock is held. */
    void (*confirm)(struct wsk__route *route, wsk_str topic);

    /* Wait until what was published has arrived, or 2 seconds. NULL: another
     * function does it. No lock is held. */
    void (*flush)(struct wsk__route *route);

    /* Tell the state. No lock is held. */
    void (*look)(struct wsk__route *route, struct wsk__route_state *out);

    /* End: no event is called any more, unless by the calling thread's callers.
     * The route is freed. No lock is held. */
    void (*stop)(struct wsk__route *route);
};

#endif
