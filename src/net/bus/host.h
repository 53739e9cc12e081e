/* net/bus/host: the bus of a host. The processes that share a folder connect
 * each to each, and send publications to those peers that want them. */
#ifndef WSK_NET_BUS_HOST_H
#define WSK_NET_BUS_HOST_H

#include "net/bus/folder.h"
#include "net/bus/route.h"

/* Become a member of the bus in a folder, from the route's start on. `made`:
 * the folder was made for this process, and is removed at the end if it is
 * empty. NULL, with the reason in `error`. */
struct wsk__route *wsk__host_new(const char *folder, bool made,
                                 char error[WSK__FOLDER_ERROR]);

/* Be a relay no more, and wait until what peers have sent before is passed on,
 * or 2 seconds. No lock is held. */
void wsk__host_retire(struct wsk__route *route);

/* Send what waits, as far as peers take it, and remove this process's files:
 * it is about to end, and needs no other call. No lock is held. */
void wsk__host_leave(struct wsk__route *route);

#endif
