/* net/websocket/protocol: WebSocket as the protocol of a connection. */
#ifndef WSK_NET_WEBSOCKET_PROTOCOL_H
#define WSK_NET_WEBSOCKET_PROTOCOL_H

#include "net/conn/protocol.h"

extern const struct wsk__protocol_ops wsk__websocket_protocol;

#endif
