/* net/mailbox/sockets: the memory that the WebSockets of a server share, and
 * their options that are words. */
#ifndef WSK_NET_MAILBOX_SOCKETS_H
#define WSK_NET_MAILBOX_SOCKETS_H

#include "net/handle/handshake.h"
#include "ws/pool.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct wsk__topics;

struct wsk__sockets {
    struct wsk__topics *topics;          /* a reference; fixed once listening */
    struct wsk__compression compression; /* fixed */
    bool drops;                          /* fixed: ws_send_policy is "drop" */
    struct wsk__pool pool;               /* for compression */
    atomic_size_t deflate_bytes; /* reserved for windows that are kept */
};

#endif
