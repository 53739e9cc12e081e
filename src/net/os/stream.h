/* net/os/stream: system calls on the descriptor of a connection. */
#ifndef WSK_NET_OS_STREAM_H
#define WSK_NET_OS_STREAM_H

#include "wsocket.h"

#include <sys/socket.h>

#ifndef MSG_MORE /* only Linux has it */
#define MSG_MORE 0
#endif

struct wsk__conn;

enum wsk__io {
    WSK__IO_DONE,
    WSK__IO_WAIT,  /* the kernel's buffer is full */
    WSK__IO_LATER, /* a post will come */
    WSK__IO_GONE,
};

/* Octets that the peer has not acknowledged. What the kernel holds counts: it
 * wakes us only when a third of its buffer is free, which a slow but honest
 * reader may not do for minutes. */
uint32_t wsk__stream_backlog(int fd);

/* Wait for one descriptor, until the peer is late. */
bool wsk__stream_wait(const struct wsk__conn *conn, short events,
                      uint64_t until_ms);

#endif
