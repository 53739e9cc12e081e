/* http/host: hosts of requests, and the option allowed_hosts. No I/O. */
#ifndef WSK_HTTP_HOST_H
#define WSK_HTTP_HOST_H

#include "wsocket.h"

/*
 * True if `host`, an authority whose port does not count, is in the list: by
 * its name in any case, with or without the dot at its end; as a name below an
 * element that begins with a dot, or that name itself; or by its address. "*"
 * is every host, and a request without one. A NULL list allows all.
 */
bool wsk__host_allowed(wsk_str host, const char *list);

/* Return the host of an authority: without its port, if it has one. */
wsk_str wsk__host_name(wsk_str authority);

#endif
