#include "net/os/stream.h"

#include "net/os/clock.h"
#include "net/os/poller.h"
#include "wsocket.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/sockios.h>
#include <sys/sendfile.h>
#endif

enum { COPY = 64 << 10 }; /* bytes of a file in one wsk__stream_copyfile() */

ssize_t wsk__stream_sendv(const struct wsk__stream *s, const wsk_str *pieces,
                          size_t n, bool more)
{
    struct iovec iov[WSK__STREAM_PIECES];
    struct msghdr msg = {.msg_iov = iov};
    ssize_t sent;

    assert(n <= WSK__STREAM_PIECES);
    if (wsk__stream_is_tls(s))
        return wsk__stream_tls_sendv(s->tls, pieces, n, more);
    for (size_t i = 0; i < n; i++)
        if (pieces[i].len > 0)
            iov[msg.msg_iovlen++] =
                (struct iovec){(void *)(uintptr_t)pieces[i].p, pieces[i].len};
    if (msg.msg_iovlen == 0)
        return 0;
    do
        sent = sendmsg(s->fd, &msg,
                       MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    while (sent < 0 && errno == EINTR);
    return sent;
}

ssize_t wsk__stream_copyfile(const struct wsk__stream *s, int file,
                             uint64_t offset, size_t n)
{
    char data[COPY];
    ssize_t got = pread(file, data, n < COPY ? n : COPY, (off_t)offset);

    if (got <= 0) {
        errno = got < 0 ? EIO : 0;
        return got;
    }
    return wsk__stream_send(s, data, (size_t)got, false);
}

#if defined(__linux__)
/* Block SIGPIPE around the call, because sendfile() knows no MSG_NOSIGNAL, and
 * take the signal back if the call has raised it. */
ssize_t wsk__stream_sendfile(const struct wsk__stream *s, int file,
                             uint64_t offset, size_t n)
{
    static const struct timespec NOW;
    off_t at = (off_t)offset;
    sigset_t pipe, old, pending;
    ssize_t sent;
    int saved;

    if (wsk__stream_is_tls(s))
        return wsk__stream_copyfile(s, file, offset, n);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &old);
    do
        sent = sendfile(s->fd, file, &at, n);
    while (sent < 0 && errno == EINTR);
    saved = errno;
    /* A call that had sent something before raises SIGPIPE, too. */
    if (sent < (ssize_t)n && !sigismember(&old, SIGPIPE) &&
        sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE))
        sigtimedwait(&pipe, NULL, &NOW);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (sent < 0 && (saved == EINVAL || saved == ENOSYS))
        return wsk__stream_copyfile(s, file, offset, n);
    errno = saved;
    return sent;
}
#else
ssize_t wsk__stream_sendfile(const struct wsk__stream *s, int file,
                             uint64_t offset, size_t n)
{
    return wsk__stream_copyfile(s, file, offset, n);
}
#endif

void wsk__stream_block(const struct wsk__stream *s, bool blocks)
{
    if (!wsk__stream_is_tls(s)) /* which never sends by the descriptor's way */
        fcntl(s->fd, F_SETFL, blocks ? 0 : O_NONBLOCK);
}

int wsk__stream_wait_once(int fd, unsigned what, int ms)
{
    struct pollfd p = {.fd = fd,
                       .events = (short)((what & WSK__READ ? POLLIN : 0) |
                                         (what & WSK__WRITE ? POLLOUT : 0))};

    return poll(&p, 1, ms);
}

bool wsk__stream_wait(const struct wsk__stream *s, unsigned what,
                      uint64_t until_ms)
{
    for (;;) {
        uint64_t now = wsk__now_ms();
        uint64_t left = now < until_ms ? until_ms - now : 0;
        int n =
            wsk__stream_wait_once(s->fd, what, left < INT_MAX ? (int)left : -1);

        if (n >= 0 || errno != EINTR)
            return n > 0;
    }
}

bool wsk__stream_has_ended(const struct wsk__stream *s)
{
#if defined(POLLRDHUP)
    struct pollfd p = {.fd = s->fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0;
#else
    char one;
    ssize_t n = recv(s->fd, &one, 1, MSG_PEEK | MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
#endif
}

uint32_t wsk__stream_backlog(const struct wsk__stream *s)
{
    int held = 0;

#if defined(SIOCOUTQ)
    if (ioctl(s->fd, SIOCOUTQ, &held) != 0 || held < 0)
        held = 0;
#elif defined(FIONWRITE)
    if (ioctl(s->fd, FIONWRITE, &held) != 0 || held < 0)
        held = 0;
#else
    (void)s; /* this system does not tell */
#endif
    return (uint32_t)held;
}

void wsk__stream_limit_unsent(const struct wsk__stream *s, int most)
{
#if defined(TCP_NOTSENT_LOWAT)
    setsockopt(s->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof(most));
#else
    (void)s;
    (void)most;
#endif
}

void wsk__stream_reset(const struct wsk__stream *s)
{
    static const struct linger RESET = {.l_onoff = 1};

    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &RESET, sizeof(RESET));
}

bool wsk__stream_pair(struct wsk__stream *ours, int *other)
{
    int fds[2] = {-1, -1};

    *ours = (struct wsk__stream){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
        return false;
    for (int i = 0; i < 2; i++) { /* not in one call everywhere */
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
#if defined(SO_NOSIGPIPE)
        setsockopt(fds[i], SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
    }
    ours->fd = fds[0];
    *other = fds[1];
    return true;
}
