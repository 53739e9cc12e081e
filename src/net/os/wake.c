#include "net/os/wake.h"

#include "net/server/server.h"
#include "wsocket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/eventfd.h>
#endif

void wsk__wake(wsk_server *srv)
{
    static const uint64_t ONE = 1;
    ssize_t n;

    do
        n = write(srv->loop.wake_fds[1], &ONE, sizeof(ONE));
    while (n < 0 && errno == EINTR);
}

bool wsk__wake_open(int fds[2])
{
#if defined(__linux__)
    fds[0] = fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fds[0] >= 0;
#else
    if (pipe(fds) != 0)
        return false;
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    return true;
#endif
}
