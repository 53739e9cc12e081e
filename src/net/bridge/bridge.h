/* net/bridge/bridge: one end of a socket pair, for a handler that speaks on its
 * connection by itself, where TLS is on the descriptor. The leader moves the
 * octets: an end on one side becomes an end on the other. */
#ifndef WSK_NET_BRIDGE_BRIDGE_H
#define WSK_NET_BRIDGE_BRIDGE_H

#include "net/conn/protocol.h"
#include "wsocket.h"

struct wsk__conn;

/* The ops of a connection with a bridge. */
extern const struct wsk__protocol_ops wsk__bridge_protocol;

/* Build a bridge: *fd is the handler's end, and the handler's to close. `early`
 * is input that came already, and comes first. Takes a reference for the
 * request. False, with errno: the system refuses, or memory is out. The thread
 * of the call, which owns the connection. */
bool wsk__bridge_open(struct wsk__conn *conn, wsk_str early, int *fd);

/* End the connection once the handler's output has left: the handler has
 * returned. */
void wsk__bridge_handler_done(struct wsk__conn *conn);

#endif
