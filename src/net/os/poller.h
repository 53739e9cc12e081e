/* net/os/poller: waits for events of sockets. Three backends: epoll and kqueue,
 * edge-triggered for connections, and poll, level-triggered. Only the leader
 * calls it. */
#ifndef WSK_NET_OS_POLLER_H
#define WSK_NET_OS_POLLER_H

#include <stdbool.h>
#include <stddef.h>

/* Events of a descriptor. */
enum {
    WSK__READ = 1,
    WSK__WRITE = 2,
    WSK__HUP = 4,  /* the peer sends no more */
    WSK__GONE = 8, /* the peer reads no more, either: a reset, or both ends */
};

/* A reported event. */
struct wsk__poll_event {
    void *data;    /* as given to add() */
    unsigned what; /* a set of WSK__READ | WSK__WRITE | WSK__HUP | WSK__GONE */
};

struct wsk__poller;

/* Make a poller with the best backend of this system, or with `poll` if asked
 * for. NULL with errno. */
struct wsk__poller *wsk__poller_new(bool use_poll);

/* Free a poller; NULL: do nothing. */
void wsk__poller_free(struct wsk__poller *p);

/*
 * True if connections are edge-triggered: then WSK__WRITE is always watched, an
 * event comes once for each change, and want() acts only when WSK__READ
 * changes. Otherwise, and for level-triggered descriptors, call want() whenever
 * the awaited events change. */
bool wsk__poller_is_edge(const struct wsk__poller *p);

/* Watch fd for WSK__READ. `level`: level-triggered on every backend. False
 * with errno. */
bool wsk__poller_add(struct wsk__poller *p, int fd, void *data, bool level);

/* Watch a listening socket for connections, on every backend for as long as
 * some wait. `shared`: other processes watch it, too, and where
 * wsk__poller_is_exclusive() a connection wakes only one of those that wait,
 * the one that has been watching for longest. False with errno. */
bool wsk__poller_listen(struct wsk__poller *p, int fd, void *data, bool shared);

/* Forget a listening socket. */
void wsk__poller_unlisten(struct wsk__poller *p, int fd);

/* Return true if a connection need not wake all processes. */
bool wsk__poller_is_exclusive(const struct wsk__poller *p);

/* Wait for these events from now on. To begin with WSK__READ also reports input
 * that is already there. */
void wsk__poller_want(struct wsk__poller *p, int fd, void *data, unsigned was,
                      unsigned want, bool level);

/* Forget fd. Call before it is closed. */
void wsk__poller_remove(struct wsk__poller *p, int fd);

/* Wait for events, for at most timeout_ms (-1: without limit). Returns their
 * number, at most n. */
size_t wsk__poller_wait(struct wsk__poller *p, struct wsk__poll_event *out,
                        size_t n, int timeout_ms);

#endif
