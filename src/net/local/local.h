/* net/local: Unix stream sockets between processes of one user, none of which
 * waits. With -1, errno tells why. */
#ifndef WSK_NET_LOCAL_LOCAL_H
#define WSK_NET_LOCAL_LOCAL_H

#include "wsocket.h"

#include <stdbool.h>
#include <sys/types.h>

enum {
    WSK__LOCAL_PATH = 100, /* octets of a path, with its NUL, on any system */
    WSK__LOCAL_PIECES = 4, /* most of one wsk__local_sendv() */
};

/* Listen at `path`. The file appears once it can be connected to, so that
 * a peer that is refused knows that the process has gone; until then it is
 * named `draft`. Returns a descriptor. */
int wsk__local_listen(const char *draft, const char *path);

/* Connect to a process of the same user. EPERM: it is another's. EAGAIN: too
 * many others wait. Returns a descriptor. */
int wsk__local_connect(const char *path);

/* Accept a connection of a process of the same user; others are closed, with
 * EPERM. */
int wsk__local_accept(int fd);

/* Return the PID of the peer; 0: unknown. */
unsigned wsk__local_peer(int fd);

/* Send as much of the pieces as there is room for. Returns how many octets. */
ssize_t wsk__local_sendv(int fd, const wsk_str *pieces, size_t n);

/* Read the octets that have come, at most `cap`. 0: the peer's end. */
ssize_t wsk__local_recv(int fd, void *data, size_t cap);

/* Return true if the last call found no room, or nothing to read. */
bool wsk__local_is_full(void);

#endif
