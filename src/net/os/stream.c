#include "net/os/stream.h"

#include "net/conn/conn.h"
#include "net/os/clock.h"
#include "wsocket.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#if defined(__linux__)
#include <linux/sockios.h>
#endif

uint32_t wsk__stream_backlog(int fd)
{
    int held = 0;

#if defined(SIOCOUTQ)
    if (ioctl(fd, SIOCOUTQ, &held) != 0 || held < 0)
        held = 0;
#elif defined(FIONWRITE)
    if (ioctl(fd, FIONWRITE, &held) != 0 || held < 0)
        held = 0;
#else
    (void)fd; /* it does not tell */
#endif
    return (uint32_t)held;
}

bool wsk__stream_wait(const struct wsk__conn *conn, short events,
                      uint64_t until_ms)
{
    struct pollfd p = {.fd = conn->fd, .events = events};

    for (;;) {
        uint64_t now = wsk__now_ms();
        uint64_t left = now < until_ms ? until_ms - now : 0;
        int n = poll(&p, 1, left < INT_MAX ? (int)left : -1);

        if (n >= 0 || errno != EINTR)
            return n > 0;
    }
}
