/* net/conn/load: memory that is counted against memory_limit. */
#ifndef WSK_NET_CONN_LOAD_H
#define WSK_NET_CONN_LOAD_H

#include "wsocket.h"

struct wsk__conns;

enum { WSK__OVER_LOOK_MS = 50, WSK__HELD_LOOK_MS = 500 }; /* until the next */

/* More than memory_limit: what waits, and what WebSockets keep for good. */
bool wsk__memory_is_past(const struct wsk__conns *conns);

/* WebSockets that only stay open leave a half of it to others. */
bool wsk__heads_are_past(const struct wsk__conns *conns);

#endif
