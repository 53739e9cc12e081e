/* http/proxy: the PROXY protocol, versions 1 and 2: who is behind a proxy that
 * speaks before HTTP begins. Pure. */
#ifndef WSK_HTTP_PROXY_H
#define WSK_HTTP_PROXY_H

#include "base/address.h"

/* The most octets a header has; a longer one is bad. */
enum { WSK__PROXY_MAX = 2048 };

enum wsk__proxy_result { WSK__PROXY_MORE, WSK__PROXY_OK, WSK__PROXY_BAD };

struct wsk__proxied {
    enum {
        WSK__PROXIED_LOCAL, /* the proxy speaks for itself */
        WSK__PROXIED_KNOWN,
        WSK__PROXIED_HIDDEN, /* for a client that it does not name */
    } client;
    struct wsk__ip from, to; /* of KNOWN, and their ports */
    uint16_t from_port, to_port;
};

/* *used: octets of the header, on OK; on all else it is 0 and *out is empty. */
enum wsk__proxy_result wsk__proxy_parse(const uint8_t *data, size_t len,
                                        size_t *used, struct wsk__proxied *out);

#endif
