/* net/conn/adopt: connections that the program hands to the server. */
#ifndef WSK_NET_CONN_ADOPT_H
#define WSK_NET_CONN_ADOPT_H

#include "wsocket.h"

struct wsk__conns;

/* Serve a connected stream socket as if it had been accepted. Any thread, while
 * the loop exists. Takes fd if it returns WSK_OK; WSK_E_ARG: it is no such
 * socket; WSK_E_NOMEM. */
wsk_status wsk__adopt(struct wsk__conns *conns, int fd);

#endif
