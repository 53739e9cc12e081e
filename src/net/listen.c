#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void wsk__address_of(const struct sockaddr_storage *sa,
                     struct wsk__address *out)
{
    out->text[0] = '\0';
    out->port = 0;
    if (sa->ss_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, sa, sizeof(in));
        inet_ntop(AF_INET, &in.sin_addr, out->text, sizeof(out->text));
        out->port = ntohs(in.sin_port);
    } else if (sa->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, sa, sizeof(in6));
        /* A v4 client of a dual-stack socket is shown as what it is. */
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
            inet_ntop(AF_INET, in6.sin6_addr.s6_addr + 12, out->text,
                      sizeof(out->text));
        else
            inet_ntop(AF_INET6, &in6.sin6_addr, out->text, sizeof(out->text));
        out->port = ntohs(in6.sin6_port);
    }
}

static int listen_at(const struct addrinfo *ai, unsigned backlog)
{
    int fd = socket(ai->ai_family, ai->ai_socktype, ai->ai_protocol);
    int on = 1, saved;

    if (fd < 0)
        return -1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (ai->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
        listen(fd, backlog > INT32_MAX ? INT32_MAX : (int)backlog) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    struct wsk__address a;

    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return 0;
    wsk__address_of(&sa, &a);
    return a.port;
}

static void set_port(struct addrinfo *ai, uint16_t port)
{
    uint16_t net = htons(port);
    size_t at = ai->ai_family == AF_INET6
                    ? offsetof(struct sockaddr_in6, sin6_port)
                    : offsetof(struct sockaddr_in, sin_port);

    memcpy((char *)ai->ai_addr + at, &net, sizeof(net));
}

/* An address of this family does not exist here: go on with the others. */
static bool family_missing(int err)
{
    return err == EADDRNOTAVAIL || err == EAFNOSUPPORT;
}

static wsk_status listen_all(struct addrinfo *list, unsigned backlog, int *fds,
                             size_t *n, uint16_t *port)
{
    int saved = EADDRNOTAVAIL;

    *n = 0;
    for (struct addrinfo *ai = list; ai && *n < WSK__LISTENERS;
         ai = ai->ai_next) {
        set_port(ai, *port);
        fds[*n] = listen_at(ai, backlog);
        if (fds[*n] >= 0) {
            if (*port == 0)
                *port = port_of(fds[*n]);
            ++*n;
        } else {
            saved = errno;
            if (!family_missing(errno))
                break;
        }
    }
    if (*n > 0 && (saved == EADDRNOTAVAIL || family_missing(saved)))
        return WSK_OK;
    while (*n > 0)
        close(fds[--*n]);
    errno = saved;
    return WSK_E_SYS;
}

wsk_status wsk__listen(const char *host, uint16_t port, unsigned backlog,
                       int *fds, size_t *n, uint16_t *bound)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    wsk_status st = WSK_E_SYS;

    /* With port 0 the second family may find the first one's port taken. */
    for (int tries = port == 0 ? 8 : 1; st != WSK_OK && tries > 0; tries--) {
        int err = getaddrinfo(host[0] ? host : NULL, "0", &hints, &list);

        if (err != 0) {
            errno = err == EAI_SYSTEM ? errno : EADDRNOTAVAIL;
            return WSK_E_SYS;
        }
        *bound = port;
        st = listen_all(list, backlog, fds, n, bound);
        err = errno;
        freeaddrinfo(list);
        errno = err;
        if (st != WSK_OK && errno != EADDRINUSE)
            break;
    }
    return st;
}
