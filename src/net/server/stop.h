/* net/server/stop: how a server ends. */
#ifndef WSK_NET_SERVER_STOP_H
#define WSK_NET_SERVER_STOP_H

#include "wsocket.h"

struct wsk__thread;

/* The time is up: no more answers, but every close event. */
void wsk__force_drain(wsk_server *srv);

/* What a stop asks for now. False: the server has ended. */
bool wsk__heed_stop(struct wsk__thread *th);

#endif
