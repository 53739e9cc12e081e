/* net/websocket/sockets: what the WebSockets of a server share. */
#ifndef WSK_NET_WEBSOCKET_SOCKETS_H
#define WSK_NET_WEBSOCKET_SOCKETS_H

#include "ws/pool.h"

#include <stdatomic.h>
#include <stddef.h>

struct wsk__spare;

struct wsk__sockets {
    struct wsk__pool pool;              /* for compression */
    _Atomic(struct wsk__spare *) spare; /* see long_message; or NULL */
    atomic_size_t heads;                /* bytes of handshakes kept for good */
    atomic_size_t deflate_bytes;        /* reserved for windows that are kept */
};

#endif
