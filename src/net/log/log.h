/* net/log/log: entries of the error log. */
#ifndef WSK_NET_LOG_LOG_H
#define WSK_NET_LOG_LOG_H

#include "wsocket.h"

/* An entry of one line, if log_level lets it through. Any thread. */
void wsk__server_logf(wsk_server *srv, wsk_log_level level, const char *fmt,
                      ...) __attribute__((format(printf, 3, 4)));

#endif
