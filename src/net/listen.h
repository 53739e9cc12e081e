/* net/listen: listening sockets, and addresses as text. */
#ifndef WSK_NET_LISTEN_H
#define WSK_NET_LISTEN_H

#include "wsocket.h"

#include <sys/socket.h>

enum { WSK__LISTENERS = 4, WSK__ADDRESS = 46 };

/* An address as text and its port. */
struct wsk__address {
    char text[WSK__ADDRESS]; /* "" for Unix sockets */
    uint16_t port;
};

void wsk__address_of(const struct sockaddr_storage *sa,
                     struct wsk__address *out);

/*
 * Listen at host:port; `localhost` means both families, "" every address.
 * Port 0: the same free port for every socket. Fills fds[WSK__LISTENERS], *n
 * and the real *port. WSK_E_SYS with errno, nothing left open.
 */
wsk_status wsk__listen(const char *host, uint16_t port, unsigned backlog,
                       int *fds, size_t *n, uint16_t *bound);

#endif
