/* net/standalone/transport_fd: what the transports over a descriptor share. The
 * `io` of each begins with its struct wsk__stream. */
#ifndef WSK_NET_STANDALONE_TRANSPORT_FD_H
#define WSK_NET_STANDALONE_TRANSPORT_FD_H

#include "net/os/stream.h"
#include "wsocket.h"

/* Handle a call that failed: wait for `what`. WSK_OK means to try again. */
wsk_status wsk__transport_wait(const struct wsk__stream *s, unsigned what,
                               int timeout_ms);

/* The `send` of a transport. */
wsk_status wsk__transport_send(void *io, const void *data, size_t len,
                               int timeout_ms, size_t *sent);

#endif
