/* net/request/redirect: requests that came without https and are led to it, by
 * the option redirect_https. */
#ifndef WSK_NET_REQUEST_REDIRECT_H
#define WSK_NET_REQUEST_REDIRECT_H

#include "wsocket.h"

struct wsk__buf;
struct wsk__conns;
struct wsk__ends;

/* Return true if a request is to be led to https. Before script_name is taken
 * off its path. */
bool wsk__redirects(const struct wsk__conns *conns,
                    const struct wsk__ends *ends, const wsk_head *head);

/* Append the URL to which such a request is led, that names a host; `port` is
 * where https is. False: memory is out. */
bool wsk__redirect_location(struct wsk__buf *to, const wsk_head *head,
                            uint16_t port);

#endif
