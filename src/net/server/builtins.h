/* net/server/builtins: the built-in handlers of a server. */
#ifndef WSK_NET_SERVER_BUILTINS_H
#define WSK_NET_SERVER_BUILTINS_H

#include "wsocket.h"

/* Make the handlers that the options ask for; idempotent. False with errno, and
 * a line for wsk_server_error(). */
bool wsk__server_open_builtins(wsk_server *srv);

/* Free them; idempotent. */
void wsk__server_close_builtins(wsk_server *srv);

#endif
