/* net/bus/send: what a member of a bus sends to its peers: operations of its
 * route. */
#ifndef WSK_NET_BUS_SEND_H
#define WSK_NET_BUS_SEND_H

#include "net/bus/route.h"

wsk_status wsk__host_publish(struct wsk__route *route,
                             const struct wsk__bus_message *m);
wsk_status wsk__host_disconnect(struct wsk__route *route, wsk_str topic,
                                uint16_t code, wsk_str reason);
bool wsk__host_peers_have_broker(struct wsk__route *route);

#endif
