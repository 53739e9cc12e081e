/* net/transport: a stream socket as a transport. The descriptor may be shared,
 * with a server that has made it blocking or not: neither matters here. */
#include "base/mem.h"
#include "net/timer.h"
#include "wsocket.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct fd_io {
    int fd;
};

/* WSK_OK when the descriptor is ready, or an end or error shows. */
static wsk_status wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n = poll(&p, 1, timeout_ms);

    if (n < 0)
        return errno == EINTR ? WSK_E_AGAIN : WSK_E_CLOSED;
    return n == 0 ? WSK_E_TIMEOUT : WSK_OK;
}

static wsk_status fd_recv(void *io, void *data, size_t cap, int timeout_ms,
                          size_t *got)
{
    int fd = ((struct fd_io *)io)->fd;

    for (;;) {
        ssize_t n = recv(fd, data, cap, MSG_DONTWAIT);
        wsk_status st;

        *got = n > 0 ? (size_t)n : 0;
        if (n >= 0)
            return WSK_OK;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return WSK_E_CLOSED;
        st = wait_for(fd, POLLIN, timeout_ms);
        if (st != WSK_OK)
            return st;
    }
}

static wsk_status fd_send(void *io, const void *data, size_t len,
                          int timeout_ms, size_t *sent)
{
    int fd = ((struct fd_io *)io)->fd;

    for (;;) {
        ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        wsk_status st;

        *sent = n > 0 ? (size_t)n : 0;
        if (n >= 0)
            return WSK_OK;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return WSK_E_CLOSED;
        st = wait_for(fd, POLLOUT, timeout_ms);
        if (st != WSK_OK)
            return st;
    }
}

static void fd_shutdown(void *io, bool both)
{
    shutdown(((struct fd_io *)io)->fd, both ? SHUT_RDWR : SHUT_WR);
}

static void fd_free(void *io)
{
    close(((struct fd_io *)io)->fd);
    wsk__free(io);
}

const wsk_transport *wsk_transport_fd(int fd, void **io)
{
    static const wsk_transport FD = {fd_recv, fd_send, fd_shutdown, fd_free};
    struct fd_io *made = wsk__alloc(sizeof(*made));

    if (made == NULL)
        return NULL;
    made->fd = fd;
    *io = made;
    return &FD;
}
