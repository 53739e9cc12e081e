/* net/dispatch/dispatch: who runs the loop, who runs the handlers. The rules
 * are told in docs/internals/dispatch.md. */
#ifndef WSK_NET_DISPATCH_DISPATCH_H
#define WSK_NET_DISPATCH_DISPATCH_H

#include "wsocket.h"

struct wsk__thread;

bool wsk__spawn_own(wsk_server *srv);
bool wsk__all_gone_locked(const wsk_server *srv);

/* ---- life ---- */

bool wsk__dispatch_start(wsk_server *srv); /* the monitor and two spares */
void wsk__dispatch_end(wsk_server *srv);   /* the leader, once all is over */

/* Run this thread's share until it is no longer needed. */
void wsk__dispatch_work(struct wsk__thread *th);

#endif
