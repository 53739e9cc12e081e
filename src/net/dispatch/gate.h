/* net/dispatch/gate: the way into the interpreter and out of it. */
#ifndef WSK_NET_DISPATCH_GATE_H
#define WSK_NET_DISPATCH_GATE_H

struct wsk__thread;

/* ---- the interpreter ---- */

void wsk__gate_enter(struct wsk__thread *th); /* idempotent */
void wsk__gate_leave(struct wsk__thread *th); /* idempotent */

#endif
