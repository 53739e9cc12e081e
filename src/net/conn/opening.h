/* net/conn/opening: what a connection does before it speaks its protocol: the
 * header of the PROXY protocol. A handshake of TLS belongs here. */
#ifndef WSK_NET_CONN_OPENING_H
#define WSK_NET_CONN_OPENING_H

#include <stdbool.h>

struct wsk__conn;
struct wsk__ends;

/* Let a new connection take over `ends`, and speak the protocol of conns; or
 * first begin its opening, where an option asks for one. False: memory is out;
 * `ends` is freed all the same. */
bool wsk__opening_begin(struct wsk__conn *conn, struct wsk__ends *ends);

#endif
