#include "net/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128 };

#ifndef MSG_NOSIGNAL /* a socket option there */
#define MSG_NOSIGNAL 0
#endif

/* Close after a failure, whose errno is kept. */
static int fail(int fd)
{
    int saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
    return -1;
}

static bool set_address(struct sockaddr_un *sa, const char *path)
{
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(sa->sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(sa->sun_path, path, strlen(path));
    return true;
}

static bool set_flags(int fd)
{
#if defined(SO_NOSIGPIPE)
    int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
#endif
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
           fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

static int make(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    return fd < 0 || set_flags(fd) ? fd : fail(fd);
}

/* Tell whose the peer is. */
static bool is_ours(int fd)
{
#if defined(SO_PEERCRED)
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    if (peer.uid == geteuid())
        return true;
#else
    uid_t uid;
    gid_t gid;

    if (getpeereid(fd, &uid, &gid) != 0)
        return false;
    if (uid == geteuid())
        return true;
#endif
    errno = EPERM;
    return false;
}

int wsk__local_listen(const char *draft, const char *path)
{
    struct sockaddr_un sa;
    int fd;

    if (!set_address(&sa, draft))
        return -1;
    fd = make();
    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
        return fail(fd);
    if (listen(fd, BACKLOG) == 0 && rename(draft, path) == 0)
        return fd;
    fail(fd);
    unlink(draft);
    return -1;
}

int wsk__local_connect(const char *path)
{
    struct sockaddr_un sa;
    int fd, failed;

    if (!set_address(&sa, path))
        return -1;
    fd = make();
    if (fd < 0)
        return -1;
    do
        failed = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
    while (failed && errno == EINTR);
    return failed || !is_ours(fd) ? fail(fd) : fd;
}

int wsk__local_accept(int fd)
{
    int peer;

    do
        peer = accept(fd, NULL, NULL);
    while (peer < 0 && errno == EINTR);
    if (peer < 0)
        return -1;
    return set_flags(peer) && is_ours(peer) ? peer : fail(peer);
}

unsigned wsk__local_peer(int fd)
{
#if defined(SO_PEERCRED)
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
        return (unsigned)peer.pid;
#endif
    (void)fd;
    return 0;
}

ssize_t wsk__local_sendv(int fd, const wsk_str *pieces, size_t n)
{
    struct iovec some[WSK__LOCAL_PIECES];
    struct msghdr msg = {.msg_iov = some};
    ssize_t sent;

    for (size_t i = 0; i < n && i < WSK__LOCAL_PIECES; i++)
        some[msg.msg_iovlen++] = /* an int where the C library is musl */
            (struct iovec){(void *)(uintptr_t)pieces[i].p, pieces[i].len};
    do
        sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

ssize_t wsk__local_recv(int fd, void *data, size_t cap)
{
    ssize_t n;

    do
        n = recv(fd, data, cap, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n;
}

bool wsk__local_is_full(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
}
