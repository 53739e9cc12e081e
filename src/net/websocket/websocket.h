/* net/websocket/websocket: the ops of a handle, for the WebSockets of a server.
 */
#ifndef WSK_NET_WEBSOCKET_WEBSOCKET_H
#define WSK_NET_WEBSOCKET_WEBSOCKET_H

#include "net/handle/handle.h"

/* The ops of a struct wsk__served. */
extern const struct wsk__websocket_ops wsk__websocket_served;

#endif
