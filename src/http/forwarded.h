/* http/forwarded: what proxies say of the client: Forwarded (RFC 7239), or the
 * X-Forwarded fields. Pure; which proxies and fields count, the caller says. */
#ifndef WSK_HTTP_FORWARDED_H
#define WSK_HTTP_FORWARDED_H

#include "base/address.h"
#include "base/items.h"

struct wsk__forwarded {
    struct wsk__ip ip; /* of the client, if known */
    bool known;
    bool hidden;      /* a client was named, but by no address */
    uint16_t ip_port; /* 0: not said */
    bool https, http; /* neither: not said */
    wsk_str host;     /* an authority, as the client asked for it; or none */
    uint16_t port;    /* of our side, as the client sees it; 0: not said */
    wsk_str prefix;   /* of the path; or none */
};

/*
 * Read what a request from a trusted proxy says. Each hop is believed about the
 * one before it as long as it is trusted itself, from the right: so the client
 * is the rightmost address that is not trusted, whatever it may have written to
 * the left of that. A member that is no address hides the client: it is never
 * taken for the proxy that wrote the member.
 *
 * fields  the set of enum wsk__forwarded_field that the proxies write; others
 *         are the client's and do not count
 *
 * The views in *out point into the head. False when nothing was said.
 */
bool wsk__forwarded_read(const wsk_head *head, const struct wsk__block *trusted,
                         size_t n, unsigned fields, struct wsk__forwarded *out);

#endif
