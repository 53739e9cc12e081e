/* net/request/admit: requests that are refused before any handler: for a Host
 * that is not in allowed_hosts, and WebSockets for an Origin that is not in
 * ws_origins. The log tells of them, with their number, at most once a second.
 */
#ifndef WSK_NET_REQUEST_ADMIT_H
#define WSK_NET_REQUEST_ADMIT_H

#include "wsocket.h"

struct wsk__conn;

/* Whether allowed_hosts has the host of the open request. Owner. */
bool wsk__admits_host(struct wsk__conn *conn);

/* Whether ws_origins has the page that asks for a WebSocket. Owner. */
bool wsk__admits_origin(struct wsk__conn *conn);

#endif
