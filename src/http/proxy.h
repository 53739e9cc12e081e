/* http/proxy: the PROXY protocol, versions 1 and 2, by which a proxy names the
 * client before HTTP begins. No I/O. */
#ifndef WSK_HTTP_PROXY_H
#define WSK_HTTP_PROXY_H

#include "base/address.h"

/* Most bytes of a header; a longer one is bad. */
enum { WSK__PROXY_MAX = 2048 };

enum wsk__proxy_result { WSK__PROXY_MORE, WSK__PROXY_OK, WSK__PROXY_BAD };

struct wsk__proxied {
    enum {
        WSK__PROXIED_LOCAL, /* the connection is the proxy's own */
        WSK__PROXIED_KNOWN,
        WSK__PROXIED_HIDDEN, /* the proxy does not name the client */
    } client;
    struct wsk__ip from, to; /* addresses, for KNOWN, and their ports */
    uint16_t from_port, to_port;
};

/* Read a header. *used: its octets on OK; else 0, and *out is empty. */
enum wsk__proxy_result wsk__proxy_parse(const uint8_t *data, size_t len,
                                        size_t *used, struct wsk__proxied *out);

#endif
