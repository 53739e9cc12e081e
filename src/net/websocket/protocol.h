/* net/websocket/protocol: WebSocket as the protocol of a connection. */
#ifndef WSK_NET_WEBSOCKET_PROTOCOL_H
#define WSK_NET_WEBSOCKET_PROTOCOL_H

#include "net/conn/protocol.h"

/* The ops of a connection that has become a WebSocket. */
extern const struct wsk__protocol_ops wsk__websocket_protocol;

#endif
