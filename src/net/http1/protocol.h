/* net/http1/protocol: HTTP/1.1 as the protocol of a connection. */
#ifndef WSK_NET_HTTP1_PROTOCOL_H
#define WSK_NET_HTTP1_PROTOCOL_H

#include "net/conn/protocol.h"

/* The ops of a connection that speaks HTTP/1.1. */
extern const struct wsk__protocol_ops wsk__http1_protocol;

/* Give a connection its exchange; see struct wsk__protocol. */
bool wsk__http1_open(struct wsk__conn *conn, struct wsk__ends *ends,
                     struct wsk__buf *early);

/* Free the exchange, if the connection still has one. */
void wsk__http1_release(struct wsk__conn *conn);

#endif
