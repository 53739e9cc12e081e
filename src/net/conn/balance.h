/* net/conn/balance: the place of a worker among others that share its
 * listeners, and how it leaves new connections to those that have fewer. */
#ifndef WSK_NET_CONN_BALANCE_H
#define WSK_NET_CONN_BALANCE_H

#include "wsocket.h"

#include <stdbool.h>
#include <stdint.h>

struct wsk__conns;
struct wsk__listener;

/* The slot of a server on a board. */
struct wsk__balance {
    wsk_board *board; /* fixed; a reference; NULL: the server is alone */
    unsigned slot;    /* fixed */

    wsk_worker_state state; /* leader */
};

/* Take a slot of a board, before the start. Returns as wsk_server_set_board()
 * does. */
wsk_status wsk__balance_enter(struct wsk__conns *conns, wsk_board *board,
                              unsigned slot, uint32_t generation);

/* Say GONE, if the server has not said so, and give the board back. */
void wsk__balance_leave(struct wsk__conns *conns);

/* Publish a new state of the server. Leader, or before the start. */
void wsk__balance_say(struct wsk__conns *conns, wsk_worker_state state);

/* Set the number of connections, and publish it. Leader. */
void wsk__balance_count(struct wsk__conns *conns, unsigned n);

/* Return true if another worker that accepts has fewer connections. Leader. */
bool wsk__balance_is_above(const struct wsk__conns *conns);

/* Return true if the others are to be woken first for the next connections:
 * they have fewer, or calls wait here because all threads are busy. Leader. */
bool wsk__balance_gives_way(const struct wsk__conns *conns);

/* Return true if a connection that is reported is to be left to the others for
 * now. Only where the poller wakes all processes: there it is reported again at
 * each turn, and is accepted here once no other process has taken it for a
 * moment. Leader. */
bool wsk__balance_passes(const struct wsk__conns *conns,
                         struct wsk__listener *listener);

#endif
