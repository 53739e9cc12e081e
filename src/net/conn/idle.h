/* net/conn/idle: the open connections by the time of their last activity, to
 * find one that can be closed in favour of a new one. Leader. */
#ifndef WSK_NET_CONN_IDLE_H
#define WSK_NET_CONN_IDLE_H

#include "wsocket.h"

struct wsk__conns;
struct wsk__conn;

/* Connections linked by prev and next, by the time of their last activity. */
struct wsk__conn_list {
    struct wsk__conn *oldest, *newest;
};

/* Add a new connection. */
void wsk__conns_add(struct wsk__conn *conn);

/* Remove a connection that is closed. */
void wsk__conns_remove(struct wsk__conn *conn);

/* Make a connection the newest: input came, and now it is idle, or lingers.
 * Does so once a second at most, unless the connection was parted. */
void wsk__conns_touch(struct wsk__conn *conn);

/* Make a connection the first to close in favour of a new one. */
void wsk__conns_offer(struct wsk__conn *conn);

/* Move all connections to conns->resting, for good: the server stops. */
void wsk__conns_join(struct wsk__conns *conns);

/* Return the connection that has been idle for longest: no request is open or
 * has begun, no output is left, and it is no WebSocket. NULL: none is idle.
 * Those found not idle are parted, and not looked at until they are touched. */
struct wsk__conn *wsk__conns_idlest(struct wsk__conns *conns);

#endif
