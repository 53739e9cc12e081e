/* net/server/logs: the two logs of a server. */
#ifndef WSK_NET_SERVER_LOGS_H
#define WSK_NET_SERVER_LOGS_H

#include "wsocket.h"

/* From log_level warning on, the default access log is off: whoever asks for
 * less noise means both. */
bool wsk__server_refresh_logs(wsk_server *srv);
void wsk__server_open_formats(wsk_server *srv);

#endif
