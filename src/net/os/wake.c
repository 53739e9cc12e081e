#include "net/os/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/eventfd.h>
#endif

bool wsk__wake_open(struct wsk__wake *wake)
{
#if defined(__linux__)
    wake->fds[0] = wake->fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return wake->fds[0] >= 0;
#else
    if (pipe(wake->fds) != 0) {
        wake->fds[0] = wake->fds[1] = -1;
        return false;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(wake->fds[i], F_SETFD, FD_CLOEXEC);
        fcntl(wake->fds[i], F_SETFL, O_NONBLOCK);
    }
    return true;
#endif
}

void wsk__wake_close(struct wsk__wake *wake)
{
    if (wake->fds[0] >= 0)
        close(wake->fds[0]);
    if (wake->fds[1] >= 0 && wake->fds[1] != wake->fds[0])
        close(wake->fds[1]);
    wake->fds[0] = wake->fds[1] = -1;
}

void wsk__wake(const struct wsk__wake *wake)
{
    static const uint64_t ONE = 1;
    ssize_t n;

    do
        n = write(wake->fds[1], &ONE, sizeof(ONE));
    while (n < 0 && errno == EINTR);
}

void wsk__wake_clear(const struct wsk__wake *wake)
{
    uint64_t count;
    ssize_t n = read(wake->fds[0], &count, sizeof(count));

    (void)n;
}
