/* net/broker/dial: connections to servers, and waits for several descriptors.
 */
#ifndef WSK_NET_BROKER_DIAL_H
#define WSK_NET_BROKER_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An address to connect to. */
struct wsk__dial_place {
    struct sockaddr_storage address;
    socklen_t len;
};

/* Look up a name or an address, which may take many seconds. Returns the number
 * of places, at most n; 0: *why says why, a static text. */
size_t wsk__dial_resolve(const char *host, unsigned port,
                         struct wsk__dial_place *places, size_t n,
                         const char **why);

/* Make the place of a Unix socket. False: the path is too long. */
bool wsk__dial_unix(const char *path, struct wsk__dial_place *place);

/* Begin to connect. Where the system can, the connection ends once octets of
 * ours are not acknowledged for silence_ms. Returns a descriptor that does not
 * block, and becomes writable once wsk__dial_result() knows; -1 with errno. */
int wsk__dial(const struct wsk__dial_place *place, uint32_t silence_ms);

/* Return 0 if the connection is there, else an errno. */
int wsk__dial_result(int fd);

/* A descriptor to wait for: sets of WSK__READ and WSK__WRITE. */
struct wsk__dial_wait {
    int fd; /* -1: none */
    unsigned want, got;
};

/* Wait until one of n is ready, at most 4, for at most `ms` (-1: for ever). An
 * end or an error counts as all that is wanted. */
void wsk__dial_wait(struct wsk__dial_wait *waits, size_t n, int ms);

#endif
