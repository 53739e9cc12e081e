/* net/access: one line of the access log for each answer, in the combined
 * format. */
#ifndef WSK_NET_ACCESS_H
#define WSK_NET_ACCESS_H

#include "net/server.h"

void wsk__access_log(wsk_server *srv, const wsk_request *req);

#endif
