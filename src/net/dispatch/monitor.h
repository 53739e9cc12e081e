/* net/dispatch/monitor: a thread that takes the lead from a late one, and asks
 * for the threads that are missing. */
#ifndef WSK_NET_DISPATCH_MONITOR_H
#define WSK_NET_DISPATCH_MONITOR_H

#include <stdbool.h>

struct wsk__dispatch;

/* Start the monitor, which then makes threads. False, with errno: the system
 * refuses. */
bool wsk__monitor_start(struct wsk__dispatch *dispatch);

#endif
