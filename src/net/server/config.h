/* net/server/config: the options of a server, checked and unfolded. */
#ifndef WSK_NET_SERVER_CONFIG_H
#define WSK_NET_SERVER_CONFIG_H

#include "wsocket.h"

bool wsk__server_prepare(wsk_server *srv);

/* memory_limit=auto: the application needs some, too, and so does the kernel
 * for what it queues. */
uint64_t wsk__auto_memory(void);

/* A long body would find out. */
void wsk__look_at_temp_dir(wsk_server *srv);

#endif
