/* net/server/config: checks the options of a server, and derives what the rooms
 * need of them. */
#ifndef WSK_NET_SERVER_CONFIG_H
#define WSK_NET_SERVER_CONFIG_H

#include "wsocket.h"

/* Check and copy the options. False with errno. */
bool wsk__server_prepare(wsk_server *srv);

/* Return the limit for memory_limit=auto: a quarter of the memory, because the
 * application and the kernel's buffers need some, too. */
uint64_t wsk__auto_memory(void);

/* Warn if bodies cannot be written to the temporary directory, before a long
 * body finds out. */
void wsk__look_at_temp_dir(wsk_server *srv);

#endif
