/* net/conn/load: the memory of connections against memory_limit. */
#ifndef WSK_NET_CONN_LOAD_H
#define WSK_NET_CONN_LOAD_H

#include "wsocket.h"

struct wsk__conns;

/* Milliseconds between looks at the memory of a WebSocket: of one that waits
 * for memory, and of one that only buffers something. */
enum { WSK__OVER_LOOK_MS = 50, WSK__HELD_LOOK_MS = 500 };

/* Return true if buffers and kept handshakes exceed memory_limit. */
bool wsk__memory_is_past(const struct wsk__conns *conns);

/* Return true if the handshakes that WebSockets keep exceed half of
 * memory_limit; the other half is for buffers. */
bool wsk__heads_are_past(const struct wsk__conns *conns);

#endif
