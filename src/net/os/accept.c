#include "net/os/accept.h"

#include "net/os/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

int wsk__accept(int listener, struct wsk__address *peer)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
#if defined(__linux__)
    int fd = accept4(listener, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC);
#else
    int fd = accept(listener, (struct sockaddr *)&sa, &len);

    if (fd >= 0) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, 0); /* BSDs inherit O_NONBLOCK */
        wsk__send_at_once(fd); /* on Linux the listener's counts */
    }
#endif

    if (fd >= 0)
        wsk__address_of(&sa, peer);
    return fd;
}

bool wsk__accept_given(int fd, struct wsk__address *peer)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    int type = 0;

    if (getpeername(fd, (struct sockaddr *)&sa, &len) != 0)
        return false;
    wsk__address_of(&sa, peer);
    len = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
        type != SOCK_STREAM)
        return false;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    wsk__send_at_once(fd);
    return true;
}

bool wsk__accept_is_out(void)
{
    return errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
           errno == ENOMEM;
}
