/* net/conn/listeners: listening sockets that are watched together, or not. */
#ifndef WSK_NET_CONN_LISTENERS_H
#define WSK_NET_CONN_LISTENERS_H

#include "net/loop/source.h"
#include "net/os/listen.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wsk__conns;
struct wsk__loop;

/* A listening socket as a source of the loop. */
struct wsk__listener {
    struct wsk__source source;
    struct wsk__conns *conns;  /* fixed */
    size_t i;                  /* among the places */
    struct wsk__address local; /* the address at which it listens */
    bool fixed;                /* every connection has `local` at this end */
    bool admin;                /* of metrics_bind; `i` is in its places */
    bool plain;                /* without TLS, where others have it */

    /* leader */
    bool watched;       /* by the poller */
    uint64_t turn;      /* loop->turn in which connections came last */
    unsigned batch;     /* most accept() calls of that turn */
    bool more;          /* more connections may have been waiting then */
    uint64_t passed;    /* loop->turn in which one was left to others last */
    uint64_t passed_ms; /* when that began */
};

/* Listening sockets, and a listener for each. */
struct wsk__listening {
    const struct wsk__places *places;
    struct wsk__listener *listeners;
    bool shared; /* other processes watch them, too */
};

/* Watch all. False: the system refuses, and none is watched. Leader. */
bool wsk__listeners_watch(struct wsk__loop *loop,
                          const struct wsk__listening *which);

/* Watch none. Leader. */
void wsk__listeners_unwatch(struct wsk__loop *loop,
                            const struct wsk__listening *which);

/* Watch none, until `timer` expires: descriptors or memory are out. Leader. */
void wsk__listeners_pause(struct wsk__loop *loop,
                          const struct wsk__listening *which,
                          struct wsk__source *timer);

#endif
