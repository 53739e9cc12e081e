/* net/standalone/adopted: WebSockets on sockets of other servers. */
#ifndef WSK_NET_STANDALONE_ADOPTED_H
#define WSK_NET_STANDALONE_ADOPTED_H

#include "wsocket.h"

/* As the functions of wsk_request that are called so, for one without a
 * connection. */
const char *wsk__adopted_subprotocols(const wsk_request *req);
wsk_status wsk__adopted_upgrade(wsk_request *req, const char *protocol,
                                const wsk_header *headers, size_t n,
                                wsk_conn **conn);

#endif
