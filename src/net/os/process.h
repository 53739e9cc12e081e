/* net/os/process: forks of this process. */
#ifndef WSK_NET_OS_PROCESS_H
#define WSK_NET_OS_PROCESS_H

#include <stdatomic.h>

/* Bumped in each forked child: engine threads did not survive there. */
extern atomic_uint wsk__fork_count;

/* From now on forks are counted; idempotent. */
void wsk__watch_forks(void);

#endif
