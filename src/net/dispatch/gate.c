#include "net/dispatch/gate.h"

#include "net/dispatch/thread.h"
#include "net/os/clock.h"
#include "net/os/locks.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <stdatomic.h>

enum {
    SLOW_ENTRY_NS = 100000,
    SLOW_ENTRIES = 16, /* fast entries until inline calls are tried again */
};

void wsk__gate_enter(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    uint64_t began;
    unsigned slow;

    if (srv->dispatch.hooks.enter == NULL || th->inside)
        return;
    assert(!wsk__holds(WSK__LOCK_ANY));
    began = wsk__now_ns();
    atomic_store(&th->entering, true);
    srv->dispatch.hooks.enter(th->lent);
    atomic_store(&th->entering, false);
    th->inside = true;
    if (wsk__now_ns() - began > SLOW_ENTRY_NS)
        atomic_store(&srv->dispatch.slow_entries, SLOW_ENTRIES);
    else if ((slow = atomic_load(&srv->dispatch.slow_entries)) > 0)
        atomic_compare_exchange_strong(&srv->dispatch.slow_entries, &slow,
                                       slow - 1);
}

void wsk__gate_leave(struct wsk__thread *th)
{
    if (!th->inside)
        return;
    th->inside = false;
    th->srv->dispatch.hooks.leave(th->lent);
}
