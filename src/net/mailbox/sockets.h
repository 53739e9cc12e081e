/* net/mailbox/sockets: the memory that the WebSockets of a server share. */
#ifndef WSK_NET_MAILBOX_SOCKETS_H
#define WSK_NET_MAILBOX_SOCKETS_H

#include "ws/pool.h"

#include <stdatomic.h>
#include <stddef.h>

struct wsk__sockets {
    struct wsk__pool pool;       /* for compression */
    atomic_size_t deflate_bytes; /* reserved for windows that are kept */
};

#endif
