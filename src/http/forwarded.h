/* http/forwarded: what proxies say of the client: Forwarded (RFC 7239), or the
 * X-Forwarded fields. Pure; whom to believe is the caller's list. */
#ifndef WSK_HTTP_FORWARDED_H
#define WSK_HTTP_FORWARDED_H

#include "base/address.h"

struct wsk__forwarded {
    struct wsk__ip ip; /* of the client, if known */
    bool known;
    uint16_t ip_port; /* 0: not said */
    bool https, http; /* neither: not said */
    wsk_str host;     /* an authority, as the client asked for it; or none */
    uint16_t port;    /* of our side, as the client sees it; 0: not said */
    wsk_str prefix;   /* of the path; or none */
};

/*
 * The request came from a trusted proxy. Each hop is believed about the one
 * before it as long as it is trusted itself, from the right: so the client is
 * the rightmost address that is not trusted, whatever it may have written to
 * the left of that. A Forwarded field, if there is one, speaks alone. The views
 * point into the head. False when nothing was said.
 */
bool wsk__forwarded_read(const wsk_head *head, const struct wsk__block *trusted,
                         size_t n, struct wsk__forwarded *out);

#endif
