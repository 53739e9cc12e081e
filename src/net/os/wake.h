/* net/os/wake: wakes a thread that waits in a poller. */
#ifndef WSK_NET_OS_WAKE_H
#define WSK_NET_OS_WAKE_H

#include <stdbool.h>

/* The descriptors of a wake-up. */
struct wsk__wake {
    int fds[2]; /* read, write; the same eventfd on Linux; -1: not open */
};

/* Open the descriptors. False, with errno: the system refuses. */
bool wsk__wake_open(struct wsk__wake *wake);

/* Close them; idempotent. */
void wsk__wake_close(struct wsk__wake *wake);

/* Make fds[0] readable; async-signal-safe. */
void wsk__wake(const struct wsk__wake *wake);

/* Make fds[0] unreadable until the next wake-up. */
void wsk__wake_clear(const struct wsk__wake *wake);

#endif
