/* net/os/accept: connections that the kernel has for a listener. */
#ifndef WSK_NET_OS_ACCEPT_H
#define WSK_NET_OS_ACCEPT_H

#include "net/os/listen.h"

/* Accept a connection. Returns its descriptor, which blocks and is closed by
 * exec(), and the peer's address; -1 with errno: EAGAIN if none waits. */
int wsk__accept(int listener, struct wsk__address *peer);

/* Make a connection that another program accepted like one of wsk__accept().
 * False: fd is no connected stream socket. */
bool wsk__accept_given(int fd, struct wsk__address *peer);

/* Return true if accept() has failed for want of descriptors or memory;
 * otherwise the peer has gone. */
bool wsk__accept_is_out(void);

#endif
