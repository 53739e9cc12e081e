/* net/os/locks: the order of locks, asserted in debug builds. */
#ifndef WSK_NET_OS_LOCKS_H
#define WSK_NET_OS_LOCKS_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>

/* A thread holds at most one of the first two locks, and takes the others last,
 * in this order. */
enum wsk__lock {
    WSK__LOCK_DISPATCH = 1, /* dispatch->lock */
    WSK__LOCK_CONN = 2,     /* wsk__conn_lock() */
    WSK__LOCK_OFFLOAD = 4,  /* offload->lock */
    WSK__LOCK_POSTS = 8,    /* loop->post_lock */
};

enum {
    WSK__LOCK_ANY = WSK__LOCK_DISPATCH | WSK__LOCK_CONN | WSK__LOCK_OFFLOAD |
                    WSK__LOCK_POSTS
};

#if defined(NDEBUG)
enum { wsk__locks_held = 0 };
#else
extern _Thread_local unsigned wsk__locks_held; /* bits of enum wsk__lock */
#endif

/* Return true if the calling thread holds one of the locks in `which`; for
 * assertions only. A thread that holds any must not log, make a thread, call
 * code of the application, or wait. */
static inline bool wsk__holds(unsigned which)
{
    return ((unsigned)wsk__locks_held & which) != 0;
}

/* Lock a mutex; `which` tells its place in the order. */
static inline void wsk__lock(pthread_mutex_t *mutex, enum wsk__lock which)
{
    /* In the order of the enum; the first two exclude each other. */
    assert(!wsk__holds(which > WSK__LOCK_CONN ? WSK__LOCK_ANY & ~(which - 1u)
                                              : WSK__LOCK_ANY));
    pthread_mutex_lock(mutex);
#if !defined(NDEBUG)
    wsk__locks_held |= which;
#else
    (void)which;
#endif
}

/* Unlock a mutex that the calling thread holds. */
static inline void wsk__unlock(pthread_mutex_t *mutex, enum wsk__lock which)
{
    assert(wsk__holds(which));
#if !defined(NDEBUG)
    wsk__locks_held &= ~(unsigned)which;
#else
    (void)which;
#endif
    pthread_mutex_unlock(mutex);
}

#endif
