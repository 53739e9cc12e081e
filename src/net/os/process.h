/* net/os/process: forks of this process, and what the system lets it have. */
#ifndef WSK_NET_OS_PROCESS_H
#define WSK_NET_OS_PROCESS_H

#include <stdatomic.h>

/* Bumped in each forked child: engine threads did not survive there. */
extern atomic_uint wsk__fork_count;

/* From now on forks are counted; idempotent. */
void wsk__watch_forks(void);

/* As many descriptors as the system lets us have, less some for the program. */
unsigned wsk__descriptor_limit(unsigned asked);

#endif
