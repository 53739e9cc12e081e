#include "net/os/poller.h"

#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/epoll.h>
#define HAVE_KERNEL_QUEUE 1
#elif defined(__APPLE__) || defined(__FreeBSD__)
#include <sys/event.h>
#include <sys/time.h>
#define HAVE_KERNEL_QUEUE 1
#endif

enum { BATCH = 256 };

/* Table of the poll backend: slot i belongs to one fd, in no order. */
struct table {
    struct pollfd *fds;
    void **data;
    size_t n, size;
    size_t from; /* slot at which the next wait() begins, for fairness */
};

struct wsk__poller {
    int fd; /* epoll or kqueue; -1: the table is used */
    struct table table;
};

/* ------------------------------------------------- epoll and kqueue --- */

#if defined(__linux__)

static int queue_new(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

static bool queue_control(int queue, int op, int fd, void *data, unsigned want,
                          bool level)
{
    struct epoll_event ev = {.data.ptr = data};

    if (want & WSK__READ)
        ev.events |= EPOLLIN | EPOLLRDHUP;
    if (!level)
        ev.events |= EPOLLET | EPOLLOUT;
    else if (want & WSK__WRITE)
        ev.events |= EPOLLOUT;
    return epoll_ctl(queue, op, fd, &ev) == 0;
}

static bool queue_add(int queue, int fd, void *data, bool level)
{
    return queue_control(queue, EPOLL_CTL_ADD, fd, data, WSK__READ, level);
}

/* With EPOLLEXCLUSIVE neither EPOLLRDHUP nor EPOLL_CTL_MOD is allowed: a
 * listener is changed by removing and adding it. */
static bool queue_listen(int queue, int fd, void *data, bool shared)
{
    struct epoll_event ev = {.data.ptr = data,
                             .events = EPOLLIN | (shared ? EPOLLEXCLUSIVE : 0)};

    return epoll_ctl(queue, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static void queue_want(int queue, int fd, void *data, unsigned want, bool level)
{
    queue_control(queue, EPOLL_CTL_MOD, fd, data, want, level);
}

static void queue_remove(int queue, int fd)
{
    epoll_ctl(queue, EPOLL_CTL_DEL, fd, NULL);
}

static void queue_unlisten(int queue, int fd)
{
    queue_remove(queue, fd);
}

static size_t queue_wait(int queue, struct wsk__poll_event *out, size_t n,
                         int timeout_ms)
{
    struct epoll_event ev[BATCH];
    int got = epoll_wait(queue, ev, n < BATCH ? (int)n : BATCH, timeout_ms);

    for (int i = 0; i < got; i++) {
        uint32_t e = ev[i].events;

        out[i].data = ev[i].data.ptr;
        out[i].what =
            (e & EPOLLIN ? (unsigned)WSK__READ : 0) |
            (e & EPOLLOUT ? (unsigned)WSK__WRITE : 0) |
            (e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? (unsigned)WSK__HUP : 0) |
            (e & (EPOLLHUP | EPOLLERR) ? (unsigned)WSK__GONE : 0);
    }
    return got > 0 ? (size_t)got : 0;
}

#elif defined(HAVE_KERNEL_QUEUE)

static int queue_new(void)
{
    return kqueue();
}

static bool queue_add(int queue, int fd, void *data, bool level)
{
    struct kevent ev[2];
    unsigned short flags = (unsigned short)(EV_ADD | (level ? 0 : EV_CLEAR));

    EV_SET(&ev[0], (uintptr_t)fd, EVFILT_READ, flags, 0, 0, data);
    EV_SET(&ev[1], (uintptr_t)fd, EVFILT_WRITE, flags, 0, 0, data);
    return kevent(queue, ev, level ? 1 : 2, NULL, 0, NULL) == 0;
}

static void queue_want(int queue, int fd, void *data, unsigned want, bool level)
{
    struct kevent ev;
    unsigned short on = (unsigned short)(EV_ADD | (level ? 0 : EV_CLEAR));
    unsigned short flags = want & WSK__READ ? on : (unsigned short)EV_DELETE;

    EV_SET(&ev, (uintptr_t)fd, EVFILT_READ, flags, 0, 0, data);
    kevent(queue, &ev, 1, NULL, 0, NULL);
    if (!level)
        return;
    flags = want & WSK__WRITE ? EV_ADD : EV_DELETE;
    EV_SET(&ev, (uintptr_t)fd, EVFILT_WRITE, flags, 0, 0, data);
    kevent(queue, &ev, 1, NULL, 0, NULL); /* ENOENT where none is */
}

static void queue_remove(int queue, int fd)
{
    (void)queue; /* closing the descriptor removes it */
    (void)fd;
}

static bool queue_listen(int queue, int fd, void *data, bool shared)
{
    (void)shared;
    return queue_add(queue, fd, data, true);
}

static void queue_unlisten(int queue, int fd)
{
    struct kevent ev;

    EV_SET(&ev, (uintptr_t)fd, EVFILT_READ, EV_DELETE, 0, 0, NULL);
    kevent(queue, &ev, 1, NULL, 0, NULL);
}

static size_t queue_wait(int queue, struct wsk__poll_event *out, size_t n,
                         int timeout_ms)
{
    struct kevent ev[BATCH];
    struct timespec ts = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
    int got = kevent(queue, NULL, 0, ev, n < BATCH ? (int)n : BATCH,
                     timeout_ms < 0 ? NULL : &ts);

    for (int i = 0; i < got; i++) {
        bool end = ev[i].flags & EV_EOF;

        out[i].data = ev[i].udata;
        out[i].what = (ev[i].filter == EVFILT_READ ? (unsigned)WSK__READ
                                                   : (unsigned)WSK__WRITE) |
                      (end ? (unsigned)WSK__HUP : 0) |
                      (end && ev[i].fflags != 0 ? (unsigned)WSK__GONE : 0);
    }
    return got > 0 ? (size_t)got : 0;
}

#endif

/* --------------------------------------------------------------- poll --- */

static bool table_add(struct table *t, int fd, void *data)
{
    if (t->n == t->size) {
        size_t size = t->size ? t->size * 2 : 64;
        struct pollfd *fds = wsk__realloc(t->fds, size * sizeof(*fds));
        void **d;

        if (fds == NULL)
            return false;
        t->fds = fds;
        d = wsk__realloc(t->data, size * sizeof(*d));
        if (d == NULL)
            return false;
        t->data = d;
        t->size = size;
    }
    t->fds[t->n] = (struct pollfd){.fd = fd, .events = POLLIN};
    t->data[t->n++] = data;
    return true;
}

static size_t table_find(const struct table *t, int fd)
{
    size_t i = 0;

    while (i < t->n && t->fds[i].fd != fd && t->fds[i].fd != ~fd)
        i++;
    return i;
}

static void table_want(struct table *t, int fd, unsigned want)
{
    size_t i = table_find(t, fd);

    if (i == t->n)
        return;
    t->fds[i].events = (short)((want & WSK__READ ? POLLIN : 0) |
                               (want & WSK__WRITE ? POLLOUT : 0));
    /* poll() reports POLLHUP unasked, so nothing wanted is a negative fd. */
    t->fds[i].fd = want ? fd : ~fd;
}

static void table_remove(struct table *t, int fd)
{
    size_t i = table_find(t, fd);

    if (i == t->n)
        return;
    t->n--;
    t->fds[i] = t->fds[t->n];
    t->data[i] = t->data[t->n];
}

static size_t table_wait(struct table *t, struct wsk__poll_event *out, size_t n,
                         int timeout_ms)
{
    size_t got = 0;

    if (poll(t->fds, (nfds_t)t->n, timeout_ms) <= 0)
        return 0;
    for (size_t k = 0; k < t->n && got < n; k++) {
        size_t i = (t->from + k) % t->n;
        short r = t->fds[i].revents;

        if (r == 0)
            continue;
        out[got].data = t->data[i];
        out[got++].what =
            (r & POLLIN ? (unsigned)WSK__READ : 0) |
            (r & POLLOUT ? (unsigned)WSK__WRITE : 0) |
            (r & (POLLHUP | POLLERR | POLLNVAL) ? (unsigned)WSK__HUP : 0);
        if (got == n)
            t->from = i + 1;
    }
    return got;
}

/* --------------------------------------------------------- either one --- */

struct wsk__poller *wsk__poller_new(bool use_poll)
{
    struct wsk__poller *p = wsk__calloc(sizeof(*p));

    if (p == NULL)
        return NULL;
    p->fd = -1;
#ifdef HAVE_KERNEL_QUEUE
    if (!use_poll && (p->fd = queue_new()) < 0) {
        wsk__free(p);
        return NULL;
    }
#else
    (void)use_poll;
#endif
    return p;
}

void wsk__poller_free(struct wsk__poller *p)
{
    if (p == NULL)
        return;
    if (p->fd >= 0)
        close(p->fd);
    wsk__free(p->table.fds);
    wsk__free(p->table.data);
    wsk__free(p);
}

bool wsk__poller_is_edge(const struct wsk__poller *p)
{
    return p->fd >= 0;
}

bool wsk__poller_add(struct wsk__poller *p, int fd, void *data, bool level)
{
#ifdef HAVE_KERNEL_QUEUE
    if (p->fd >= 0)
        return queue_add(p->fd, fd, data, level);
#endif
    (void)level;
    return table_add(&p->table, fd, data);
}

bool wsk__poller_listen(struct wsk__poller *p, int fd, void *data, bool shared)
{
#ifdef HAVE_KERNEL_QUEUE
    if (p->fd >= 0)
        return queue_listen(p->fd, fd, data, shared);
#endif
    (void)shared;
    return table_add(&p->table, fd, data);
}

void wsk__poller_unlisten(struct wsk__poller *p, int fd)
{
#ifdef HAVE_KERNEL_QUEUE
    if (p->fd >= 0) {
        queue_unlisten(p->fd, fd);
        return;
    }
#endif
    table_remove(&p->table, fd);
}

bool wsk__poller_is_exclusive(const struct wsk__poller *p)
{
#if defined(__linux__)
    return p->fd >= 0;
#else
    (void)p;
    return false;
#endif
}

void wsk__poller_want(struct wsk__poller *p, int fd, void *data, unsigned was,
                      unsigned want, bool level)
{
#ifdef HAVE_KERNEL_QUEUE
    if (p->fd >= 0) {
        if ((was ^ want) & (level ? WSK__READ | WSK__WRITE : WSK__READ))
            queue_want(p->fd, fd, data, want, level);
        return;
    }
#endif
    (void)data;
    (void)level;
    if (was != want)
        table_want(&p->table, fd, want);
}

void wsk__poller_remove(struct wsk__poller *p, int fd)
{
#ifdef HAVE_KERNEL_QUEUE
    if (p->fd >= 0) {
        queue_remove(p->fd, fd);
        return;
    }
#endif
    table_remove(&p->table, fd);
}

size_t wsk__poller_wait(struct wsk__poller *p, struct wsk__poll_event *out,
                        size_t n, int timeout_ms)
{
#ifdef HAVE_KERNEL_QUEUE
    if (p->fd >= 0)
        return queue_wait(p->fd, out, n, timeout_ms);
#endif
    return table_wait(&p->table, out, n, timeout_ms);
}
