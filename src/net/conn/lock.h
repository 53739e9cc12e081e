/* net/conn/lock: the locks that WebSockets share. */
#ifndef WSK_NET_CONN_LOCK_H
#define WSK_NET_CONN_LOCK_H

#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/log/limits.h"
#include "net/log/metrics.h"
#include "net/os/locks.h"
#include "wsocket.h"

/* Return the place of a connection's lock among them. */
static inline size_t wsk__conn_lock_place(const struct wsk__conn *conn)
{
    return ((uintptr_t)conn >> 6) % WSK__CONN_LOCKS;
}

/* Return the lock of a connection. */
static inline struct wsk__conn_mutex *
wsk__conn_mutex_of(const struct wsk__conn *conn)
{
    return &conn->conns->locks[wsk__conn_lock_place(conn)];
}

/* Lock the connection's part of a WebSocket. Any thread, without another lock.
 */
static inline void wsk__conn_lock(const struct wsk__conn *conn)
    WSK__ACQUIRE(wsk__cap_conn) WSK__EXCLUDES_ALL WSK__NO_ANALYSIS
{
    wsk__lock(&wsk__conn_mutex_of(conn)->mutex, WSK__LOCK_CONN);
}

/* Unlock it, and write the lines of limits that were counted meanwhile. */
static inline void wsk__conn_unlock(const struct wsk__conn *conn)
    WSK__RELEASE(wsk__cap_conn) WSK__NO_ANALYSIS
{
    struct wsk__conns *conns = conn->conns;
    struct wsk__conn_mutex *lock = wsk__conn_mutex_of(conn);
    uint32_t due = lock->limits_due;

    if (due != 0)
        lock->limits_due = 0;
    wsk__unlock(&lock->mutex, WSK__LOCK_CONN);
    if (due != 0)
        wsk__limits_tell(conns->logs, due);
}

/* Assert in debug builds that the calling thread holds the lock of this very
 * connection; clang takes it for held from here on. */
static inline void wsk__assert_conn_locked(const struct wsk__conn *conn)
    WSK__ASSERTS(wsk__cap_conn)
{
    (void)conn;
    assert(wsk__mutex_held == &wsk__conn_mutex_of(conn)->mutex);
}

/* Count a limit under that lock; the line is written by wsk__conn_unlock(). */
static inline void wsk__limit_hit_locked(const struct wsk__conn *conn,
                                         enum wsk__limit limit) WSK__CONN_LOCKED
{
    unsigned long long n;

    wsk__assert_conn_locked(conn);
    if (wsk__limit_due(conn->conns->logs, limit, &n))
        wsk__conn_mutex_of(conn)->limits_due |= UINT32_C(1) << limit;
}

_Static_assert((int)WSK__WS_ROWS == (int)WSK__CONN_LOCKS,
               "a row for each lock");

/* Return the numbers of WebSockets that the lock guards, less WSK__N_WS; NULL:
 * nothing is counted. */
static inline wsk__number *
wsk__conn_numbers_locked(const struct wsk__conn *conn) WSK__CONN_LOCKED
{
    struct wsk__metrics *metrics = conn->conns->metrics;

    wsk__assert_conn_locked(conn);
    return metrics != NULL ? metrics->ws[wsk__conn_lock_place(conn)] : NULL;
}

#endif
