/* net/os/wake: wakes the leader from the poller. */
#ifndef WSK_NET_OS_WAKE_H
#define WSK_NET_OS_WAKE_H

#include "wsocket.h"

bool wsk__wake_open(int fds[2]);

/* Wake the leader; async-signal-safe. */
void wsk__wake(wsk_server *srv);

#endif
