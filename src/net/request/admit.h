/* net/request/admit: requests refused before any handler: for a Host that is
 * not in allowed_hosts, and WebSockets for an Origin that is not in ws_origins.
 * The log tells of them, with their number, at most once a second. */
#ifndef WSK_NET_REQUEST_ADMIT_H
#define WSK_NET_REQUEST_ADMIT_H

#include "wsocket.h"

struct wsk__conns;

/* Return true if allowed_hosts has the host of a request. */
bool wsk__admits_host(struct wsk__conns *conns, const wsk_head *head);

/* Return true if ws_origins has the page that asks for a WebSocket; `https`:
 * its client came so. */
bool wsk__admits_origin(struct wsk__conns *conns, const wsk_head *head,
                        bool https);

#endif
