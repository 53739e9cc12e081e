/* http/forwarded: read what proxies say about the client, in Forwarded (RFC
 * 7239) or in the X-Forwarded fields. No I/O; the caller says which proxies and
 * fields count. */
#ifndef WSK_HTTP_FORWARDED_H
#define WSK_HTTP_FORWARDED_H

#include "base/address.h"
#include "base/items.h"

struct wsk__forwarded {
    struct wsk__ip ip; /* address of the client, if known */
    bool known;
    bool hidden;      /* the client is named, but by no address */
    uint16_t ip_port; /* 0: absent */
    bool https, http; /* neither: absent */
    wsk_str host;     /* authority that the client asked for, or none */
    uint16_t port;    /* port of our side that the client sees; 0: absent */
    wsk_str prefix;   /* prefix of the path, or none */
};

/*
 * Read what a request from a trusted proxy says. Each hop is believed about the
 * one before it as long as it is trusted itself, from the right: therefore the
 * client is the rightmost address that is not trusted, and anything that it
 * wrote to the left of that has no effect. A member that is no address hides
 * the client: the address of the proxy that wrote the member is never used
 * instead.
 *
 * fields  the set of enum wsk__forwarded_field that the proxies write; others
 *         are the client's and do not count
 *
 * The views in *out point into the head. False when no field counts.
 */
bool wsk__forwarded_read(const wsk_head *head, const struct wsk__block *trusted,
                         size_t n, unsigned fields, struct wsk__forwarded *out);

#endif
