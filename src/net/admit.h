/* net/admit: requests that no handler shall see: for hosts that are not ours,
 * and WebSockets of strangers' pages. The log tells of them, with their number,
 * once a second at most. */
#ifndef WSK_NET_ADMIT_H
#define WSK_NET_ADMIT_H

#include "net/server.h"

/* Whether allowed_hosts has the host of the open request. Owner. */
bool wsk__admits_host(struct wsk_conn *conn);

/* Whether ws_origins has the page that asks for a WebSocket. Owner. */
bool wsk__admits_origin(struct wsk_conn *conn);

#endif
