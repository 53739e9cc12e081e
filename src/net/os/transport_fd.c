/* net/os/transport_fd: a stream socket as a transport. The descriptor may be
 * shared with a server; whether that has made it blocking makes no difference.
 */
#include "base/mem.h"
#include "wsocket.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct fd_io {
    int fd;
};

/* Handle a call that failed: WSK_OK means to try again. */
static wsk_status after_failure(int fd, short events, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n;

    if (errno == EINTR)
        return WSK_OK;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        return WSK_E_CLOSED;
    n = poll(&p, 1, timeout_ms);
    if (n < 0)
        return errno == EINTR ? WSK_E_AGAIN : WSK_E_CLOSED;
    return n == 0 ? WSK_E_TIMEOUT : WSK_OK;
}

static wsk_status fd_recv(void *io, void *data, size_t cap, int timeout_ms,
                          size_t *got)
{
    int fd = ((struct fd_io *)io)->fd;
    wsk_status st = WSK_OK;
    ssize_t n;

    do {
        n = recv(fd, data, cap, MSG_DONTWAIT);
        *got = n > 0 ? (size_t)n : 0;
    } while (n < 0 && (st = after_failure(fd, POLLIN, timeout_ms)) == WSK_OK);
    return st;
}

static wsk_status fd_send(void *io, const void *data, size_t len,
                          int timeout_ms, size_t *sent)
{
    int fd = ((struct fd_io *)io)->fd;
    wsk_status st = WSK_OK;
    ssize_t n;

    do {
        n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        *sent = n > 0 ? (size_t)n : 0;
    } while (n < 0 && (st = after_failure(fd, POLLOUT, timeout_ms)) == WSK_OK);
    return st;
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
