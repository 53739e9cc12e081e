/* net/dispatch/lock: the lock of threads and calls. */
#ifndef WSK_NET_DISPATCH_LOCK_H
#define WSK_NET_DISPATCH_LOCK_H

#include "net/os/locks.h"
#include "net/os/wake.h"
#include "net/server/server.h"
#include "wsocket.h"

/* srv->dispatch.lock is held for a few instructions. The only system calls
 * under it are signals to threads; a leader that sleeps in the poller is woken
 * after it has been released. */
static inline void wsk__dispatch_lock(wsk_server *srv)
{
    wsk__lock(&srv->dispatch.lock, WSK__LOCK_DISPATCH);
}

static inline void wsk__dispatch_unlock(wsk_server *srv)
{
    bool wake_due = srv->dispatch.wake_due;

    srv->dispatch.wake_due = false;
    wsk__unlock(&srv->dispatch.lock, WSK__LOCK_DISPATCH);
    if (wake_due)
        wsk__wake(srv);
}

#endif
