/* net/server/builtins: the handlers of ours that a server has. */
#ifndef WSK_NET_SERVER_BUILTINS_H
#define WSK_NET_SERVER_BUILTINS_H

#include "wsocket.h"

/* Make those that the options ask for, unless they are there already. False
 * with errno, and a line for wsk_server_error(). */
bool wsk__server_open_builtins(wsk_server *srv);
void wsk__server_close_builtins(wsk_server *srv);

#endif
