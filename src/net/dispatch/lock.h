/* net/dispatch/lock: the lock of threads and calls. */
#ifndef WSK_NET_DISPATCH_LOCK_H
#define WSK_NET_DISPATCH_LOCK_H

#include "net/dispatch/dispatch.h"
#include "net/loop/loop.h"
#include "net/os/locks.h"

/* dispatch->lock is held for a few instructions. The only system calls under it
 * are signals to threads; a leader that sleeps in the poller is woken after it
 * has been released. */
static inline void wsk__dispatch_lock(struct wsk__dispatch *dispatch)
{
    wsk__lock(&dispatch->lock, WSK__LOCK_DISPATCH);
}

static inline void wsk__dispatch_unlock(struct wsk__dispatch *dispatch)
{
    bool wake_due = dispatch->wake_due;

    dispatch->wake_due = false;
    wsk__unlock(&dispatch->lock, WSK__LOCK_DISPATCH);
    if (wake_due)
        wsk__wake(&dispatch->loop->wake);
}

#endif
