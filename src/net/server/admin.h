/* net/server/admin: what is asked about a server: /metrics, /ready, /live. */
#ifndef WSK_NET_SERVER_ADMIN_H
#define WSK_NET_SERVER_ADMIN_H

#include "wsocket.h"

/* Listen at metrics_bind, if it is set. Returns as wsk_server_listen() does,
 * with the error among those of the other places. */
wsk_status wsk__server_open_admin(wsk_server *srv);

/* Add the builtin for ready_path and live_path, if they are set. */
void wsk__server_open_health(wsk_server *srv);

#endif
