/* net/dispatch/monitor: a thread that takes the lead from a late one. */
#ifndef WSK_NET_DISPATCH_MONITOR_H
#define WSK_NET_DISPATCH_MONITOR_H

void *wsk__monitor(void *arg);

#endif
