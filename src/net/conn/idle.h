/* net/conn/idle: the open connections in the order in which they were last
 * heard of, and which of them can be let go for a new one. Leader. */
#ifndef WSK_NET_CONN_IDLE_H
#define WSK_NET_CONN_IDLE_H

#include "wsocket.h"

struct wsk__conns;
struct wsk__conn;

/* Linked by prev and next, in the order in which they were last heard of. */
struct wsk__conn_list {
    struct wsk__conn *oldest, *newest;
};

/* A new connection. */
void wsk__conns_add(struct wsk__conn *conn);

/* It is closed. */
void wsk__conns_remove(struct wsk__conn *conn);

/* Something came from it, and it rests, or lingers, now. Moves it only once a
 * second, unless it was not idle when it was looked at. */
void wsk__conns_touch(struct wsk__conn *conn);

/* It is the first that can be let go. */
void wsk__conns_offer(struct wsk__conn *conn);

/* All of them in one list, conns->resting, from now on: the server stops.
 */
void wsk__conns_join(struct wsk__conns *conns);

/* The connection of which nothing is asked for longest: no request is open or
 * has begun, nothing is owed, and it is no WebSocket. NULL: there is none.
 * Those before it are looked at no more until they are touched. */
struct wsk__conn *wsk__conns_idlest(struct wsk__conns *conns);

#endif
