#include "net/dispatch/gate.h"

#include "net/dispatch/dispatch.h"
#include "net/dispatch/thread.h"
#include "net/os/clock.h"
#include "net/os/locks.h"

#include <stdatomic.h>

enum {
    SLOW_ENTRY_NS = 100000,
    SLOW_ENTRIES = 16, /* fast entries until inline calls are tried again */
};

void wsk__gate_enter(struct wsk__thread *th)
{
    struct wsk__dispatch *dispatch = th->dispatch;
    uint64_t began, took;
    unsigned slow;

    if (dispatch->hooks.enter == NULL || th->inside)
        return;
    assert(!wsk__holds(WSK__LOCK_ANY));
    began = wsk__now_ns();
    atomic_store(&th->entering, true);
    dispatch->hooks.enter(th->user);
    atomic_store(&th->entering, false);
    th->inside = true;
    took = wsk__now_ns() - began;
    if (dispatch->metrics != NULL)
        th->entry_ns = took | 1;
    if (took > SLOW_ENTRY_NS)
        atomic_store(&dispatch->slow_entries, SLOW_ENTRIES);
    else if ((slow = atomic_load(&dispatch->slow_entries)) > 0)
        atomic_compare_exchange_strong(&dispatch->slow_entries, &slow,
                                       slow - 1);
}

void wsk__gate_leave(struct wsk__thread *th)
{
    if (!th->inside)
        return;
    th->inside = false;
    th->dispatch->hooks.leave(th->user);
}
