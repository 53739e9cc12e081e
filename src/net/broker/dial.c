#include "net/broker/dial.h"

#include "net/os/poller.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { WAITS = 4 };

size_t wsk__dial_resolve(const char *host, unsigned port,
                         struct wsk__dial_place *places, size_t n,
                         const char **why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    size_t count = 0;
    char text[12];
    int fault;

    snprintf(text, sizeof(text), "%u", port);
    fault = getaddrinfo(host, text, &hints, &found);
    if (fault != 0) {
        *why = gai_strerror(fault);
        return 0;
    }
    for (struct addrinfo *at = found; at != NULL && count < n;
         at = at->ai_next) {
        if (at->ai_addrlen > sizeof(places->address))
            continue;
        memcpy(&places[count].address, at->ai_addr, at->ai_addrlen);
        places[count++].len = at->ai_addrlen;
    }
    freeaddrinfo(found);
    *why = "it has no address";
    return count;
}

bool wsk__dial_unix(const char *path, struct wsk__dial_place *place)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(sa.sun_path))
        return false;
    memcpy(sa.sun_path, path, strlen(path) + 1);
    memcpy(&place->address, &sa, sizeof(sa));
    place->len = sizeof(sa);
    return true;
}

/* Nothing here is needed for the connection to work. */
static void tune(int fd, int family, uint32_t silence_ms)
{
    static const int YES = 1;

    fcntl(fd, F_SETFD, FD_CLOEXEC);
#if defined(SO_NOSIGPIPE)
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &YES, sizeof(YES));
#endif
    if (family == AF_UNIX)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &YES, sizeof(YES));
#if defined(TCP_USER_TIMEOUT)
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms,
               sizeof(silence_ms));
#else
    (void)silence_ms;
#endif
}

int wsk__dial(const struct wsk__dial_place *place, uint32_t silence_ms)
{
    const struct sockaddr *sa = (const struct sockaddr *)&place->address;
    int fd = socket(sa->sa_family, SOCK_STREAM, 0), error;

    if (fd < 0)
        return -1;
    tune(fd, sa->sa_family, silence_ms);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
        (connect(fd, sa, place->len) == 0 || errno == EINPROGRESS ||
         errno == EINTR))
        return fd;
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

int wsk__dial_result(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error
                                                                   : errno;
}

void wsk__dial_wait(struct wsk__dial_wait *waits, size_t n, int ms)
{
    struct pollfd fds[WAITS];

    assert(n <= WAITS);
    for (size_t i = 0; i < n; i++) {
        unsigned want = waits[i].want;

        waits[i].got = 0;
        fds[i] = (struct pollfd){
            .fd = waits[i].fd,
            .events = (short)((want & WSK__READ ? POLLIN : 0) |
                              (want & WSK__WRITE ? POLLOUT : 0))};
    }
    if (poll(fds, (nfds_t)n, ms) <= 0)
        return;
    for (size_t i = 0; i < n; i++) {
        short got = fds[i].revents;

        if (got & (POLLERR | POLLHUP | POLLNVAL))
            waits[i].got = waits[i].want;
        if (got & POLLIN)
            waits[i].got |= WSK__READ;
        if (got & POLLOUT)
            waits[i].got |= WSK__WRITE;
    }
}
