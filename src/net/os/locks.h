/* net/os/locks: the order of locks, asserted in debug builds, and which
 * function needs which lock, checked by clang's -Wthread-safety. */
#ifndef WSK_NET_OS_LOCKS_H
#define WSK_NET_OS_LOCKS_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>

/*
 * clang knows a lock by a name that stands for the lock of any server, and
 * wsk__cap_conn for any of the 64 of connections: in C, an attribute of a
 * member cannot name the member beside it. Debug builds assert which is held.
 */
#if defined(__clang__)
#define WSK__CLANG(attribute) __attribute__((attribute))
#else
#define WSK__CLANG(attribute)
#endif
#define WSK__CAPABILITY(kind) WSK__CLANG(capability(kind))
/* Before a member, or before an unnamed struct for all that are in it. */
#define WSK__GUARDED_BY(cap) WSK__CLANG(guarded_by(cap))
/* Behind the parameters of a function. */
#define WSK__REQUIRES(cap) WSK__CLANG(requires_capability(cap))
#define WSK__ACQUIRE(cap) WSK__CLANG(acquire_capability(cap))
#define WSK__RELEASE(cap) WSK__CLANG(release_capability(cap))
#define WSK__ASSERTS(cap) WSK__CLANG(assert_capability(cap))
#define WSK__EXCLUDES(...) WSK__CLANG(locks_excluded(__VA_ARGS__))
#define WSK__EXCLUDES_ALL                                                      \
    WSK__EXCLUDES(wsk__cap_dispatch, wsk__cap_conn, wsk__cap_offload,          \
                  wsk__cap_posts, wsk__cap_tls)
/* Of functions that end in _locked. */
#define WSK__DISPATCH_LOCKED WSK__REQUIRES(wsk__cap_dispatch)
#define WSK__CONN_LOCKED WSK__REQUIRES(wsk__cap_conn)
#define WSK__NO_ANALYSIS WSK__CLANG(no_thread_safety_analysis)

struct WSK__CAPABILITY("lock") wsk__capability {
    char unused;
};
extern struct wsk__capability wsk__cap_dispatch; /* dispatch->lock */
extern struct wsk__capability wsk__cap_conn;     /* wsk__conn_lock() */
extern struct wsk__capability wsk__cap_offload;  /* offload->lock */
extern struct wsk__capability wsk__cap_posts;    /* loop->post_lock */
extern struct wsk__capability wsk__cap_tls;      /* a stream's */

/* A thread holds at most one of the first two locks, and takes the others last,
 * in this order. */
enum wsk__lock {
    WSK__LOCK_DISPATCH = 1, /* dispatch->lock */
    WSK__LOCK_CONN = 2,     /* wsk__conn_lock() */
    WSK__LOCK_OFFLOAD = 4,  /* offload->lock */
    WSK__LOCK_POSTS = 8,    /* loop->post_lock */
    WSK__LOCK_TLS = 16,     /* of a wsk__stream_tls; no other is taken then */
};

enum {
    WSK__LOCK_ANY = WSK__LOCK_DISPATCH | WSK__LOCK_CONN | WSK__LOCK_OFFLOAD |
                    WSK__LOCK_POSTS | WSK__LOCK_TLS
};

#if defined(NDEBUG)
enum { wsk__locks_held = 0 };
#else
extern _Thread_local unsigned wsk__locks_held; /* bits of enum wsk__lock */
/* The mutex of the one of the first two that is held; else NULL. */
extern _Thread_local const pthread_mutex_t *wsk__mutex_held;
#endif

/* Return true if the calling thread holds one of the locks in `which`; for
 * assertions only. A thread that holds any must not log, make a thread, call
 * code of the application, or wait. */
static inline bool wsk__holds(unsigned which)
{
    return ((unsigned)wsk__locks_held & which) != 0;
}

/* Assert that dispatch's lock is held, in a function that is called through a
 * pointer, where clang cannot see it. */
static inline void wsk__assert_dispatch_locked(void)
    WSK__ASSERTS(wsk__cap_dispatch)
{
    assert(wsk__holds(WSK__LOCK_DISPATCH));
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
    if (which <= WSK__LOCK_CONN)
        wsk__mutex_held = mutex;
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
    if (which <= WSK__LOCK_CONN) {
        assert(wsk__mutex_held == mutex);
        wsk__mutex_held = NULL;
    }
#else
    (void)which;
#endif
    pthread_mutex_unlock(mutex);
}

#endif
