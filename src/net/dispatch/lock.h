/* net/dispatch/lock: the lock of threads and calls. */
#ifndef WSK_NET_DISPATCH_LOCK_H
#define WSK_NET_DISPATCH_LOCK_H

#include "net/dispatch/dispatch.h"
#include "net/loop/loop.h"
#include "net/os/locks.h"

/* Lock dispatch->lock, for a few instructions. The only system calls under it
 * are signals to threads. */
static inline void wsk__dispatch_lock(struct wsk__dispatch *dispatch)
    WSK__ACQUIRE(wsk__cap_dispatch) WSK__EXCLUDES_ALL WSK__NO_ANALYSIS
{
    wsk__lock(&dispatch->lock, WSK__LOCK_DISPATCH);
}

/* Unlock dispatch->lock, and then wake the leader if a post asks for that. */
static inline void wsk__dispatch_unlock(struct wsk__dispatch *dispatch)
    WSK__RELEASE(wsk__cap_dispatch) WSK__NO_ANALYSIS
{
    bool wake_due = dispatch->wake_due;

    dispatch->wake_due = false;
    wsk__unlock(&dispatch->lock, WSK__LOCK_DISPATCH);
    if (wake_due)
        wsk__wake(&dispatch->loop->wake);
}

#endif
