/* net/websocket/sockets: the memory that the WebSockets of a server share. */
#ifndef WSK_NET_WEBSOCKET_SOCKETS_H
#define WSK_NET_WEBSOCKET_SOCKETS_H

#include "net/handle/spare.h"
#include "ws/pool.h"

#include <stdatomic.h>
#include <stddef.h>

struct wsk__sockets {
    struct wsk__pool pool;       /* for compression */
    wsk__spare_place spare;      /* see handle/spare */
    atomic_size_t heads;         /* bytes of handshakes kept for good */
    atomic_size_t deflate_bytes; /* reserved for windows that are kept */
};

#endif
