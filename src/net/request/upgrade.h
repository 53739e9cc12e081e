/* net/request/upgrade: the opening handshake, as far as a request is concerned.
 */
#ifndef WSK_NET_REQUEST_UPGRADE_H
#define WSK_NET_REQUEST_UPGRADE_H

#include "wsocket.h"

struct wsk__conn;

/* May this attempt become a WebSocket? Then a place is reserved for it. */
wsk_ws_verdict wsk__upgrade_judge(struct wsk__conn *conn);

#endif
