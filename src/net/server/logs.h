/* net/server/logs: opens the two logs of a server. */
#ifndef WSK_NET_SERVER_LOGS_H
#define WSK_NET_SERVER_LOGS_H

#include "wsocket.h"

/* The longest wait for the lines of a log to be written, in ms. */
enum { WSK__LOG_FLUSH_MS = 1000 };

/* Open the logs. The default access log stays off from
 * log_level warning on, because a user who asks for fewer lines means both
 * logs. False with errno, and a line for wsk_server_error(). */
bool wsk__server_open_logs(wsk_server *srv);

/* Find out which data the format of the access log needs. */
void wsk__server_open_formats(wsk_server *srv);

#endif
