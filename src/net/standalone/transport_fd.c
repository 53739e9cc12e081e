/* net/standalone/transport_fd: a stream socket as a transport. The descriptor
 * may be shared with a server; whether that has made it blocking makes no
 * difference. */
#include "net/standalone/transport_fd.h"

#include "base/mem.h"
#include "net/os/poller.h"

#include <errno.h>

wsk_status wsk__transport_wait(const struct wsk__stream *s, unsigned what,
                               int timeout_ms)
{
    int n;

    if (!wsk__stream_is_full())
        return WSK_E_CLOSED;
    n = wsk__stream_wait_once(s->fd, what, timeout_ms);
    if (n < 0)
        return errno == EINTR ? WSK_E_AGAIN : WSK_E_CLOSED;
    return n == 0 ? WSK_E_TIMEOUT : WSK_OK;
}

static wsk_status fd_recv(void *io, void *data, size_t cap, int timeout_ms,
                          size_t *got)
{
    wsk_status st = WSK_OK;
    ssize_t n;

    do {
        n = wsk__stream_recv(io, data, cap);
        *got = n > 0 ? (size_t)n : 0;
    } while (n < 0 &&
             (st = wsk__transport_wait(io, WSK__READ, timeout_ms)) == WSK_OK);
    return st;
}

wsk_status wsk__transport_send(void *io, const void *data, size_t len,
                               int timeout_ms, size_t *sent)
{
    wsk_status st = WSK_OK;
    ssize_t n;

    do {
        n = wsk__stream_send(io, data, len, false);
        *sent = n > 0 ? (size_t)n : 0;
    } while (n < 0 &&
             (st = wsk__transport_wait(io, WSK__WRITE, timeout_ms)) == WSK_OK);
    return st;
}

static void fd_shutdown(void *io, bool both)
{
    if (both)
        wsk__stream_shut(io);
    else
        wsk__stream_end(io);
}

static void fd_free(void *io)
{
    wsk__stream_close(io);
    wsk__free(io);
}

const wsk_transport *wsk_transport_fd(int fd, void **io)
{
    static const wsk_transport FD = {fd_recv, wsk__transport_send, fd_shutdown,
                                     fd_free};
    struct wsk__stream *made = wsk__alloc(sizeof(*made));

    if (made == NULL)
        return NULL;
    *made = (struct wsk__stream){.fd = fd};
    *io = made;
    return &FD;
}
