/* net/dispatch/gate: the way into the interpreter and out of it. */
#ifndef WSK_NET_DISPATCH_GATE_H
#define WSK_NET_DISPATCH_GATE_H

#include "net/os/locks.h"

struct wsk__thread;

/* Enter the interpreter by hooks.enter, which may wait; idempotent. */
void wsk__gate_enter(struct wsk__thread *th) WSK__EXCLUDES_ALL;

/* Leave the interpreter by hooks.leave; idempotent. */
void wsk__gate_leave(struct wsk__thread *th) WSK__EXCLUDES_ALL;

#endif
