#include "net/request/timeout.h"

#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/thread.h"
#include "net/log/limits.h"
#include "net/log/log.h"
#include "net/loop/loop.h"
#include "net/loop/timer.h"
#include "net/os/clock.h"
#include "net/request/answer.h"
#include "wsocket.h"

#include <stdatomic.h>

enum {
    TELL_MS = 1000, /* the log tells of a wait for a slot that is longer */
};

void wsk__overdue_arm(struct wsk__conn *conn, bool to_head)
{
    struct wsk__conns *conns = conn->conns;
    uint64_t due;

    if (conns->cfg->request_timeout_ms == 0)
        return;
    due = wsk__now_ms();
    conn->call_ms = (uint32_t)due;
    conn->to_head = to_head;
    atomic_store(&conn->answered_by, WSK__BY_NOBODY);
    due += conns->cfg->request_timeout_ms;
    wsk__rearm_at(conn, due);
}

void wsk__wait_arm(struct wsk__conn *conn)
{
    uint64_t now_ms = wsk__now_ms();

    conn->call_ms = (uint32_t)now_ms;
    wsk__rearm_at(conn, now_ms + TELL_MS);
}

/* The timer may have been set for an earlier request of the connection. */
static void tell_wait(struct wsk__conn *conn)
{
    uint64_t due = wsk__recent_ms(conn->call_ms) + TELL_MS;

    if (!wsk__call_waits_for_slot(conn->conns->dispatch, &conn->call))
        return;
    if (due > conn->conns->loop->now_ms)
        wsk__rearm_at(conn, due);
    else
        wsk__limit_hit(conn->conns->logs, WSK__LIMIT_SLOTS);
}

static void tell_overdue(struct wsk__thread *th, struct wsk__conn *conn,
                         const struct wsk__answer_ops *ops)
{
    struct wsk__conns *conns = conn->conns;
    uint64_t due = wsk__recent_ms(conn->call_ms) +
                   conns->cfg->request_timeout_ms;
    unsigned char was = WSK__BY_NOBODY;

    if (conns->cfg->request_timeout_ms == 0)
        return;
    if (due > conns->loop->now_ms) {
        wsk__rearm_at(conn, due);
        return;
    }
    if (atomic_compare_exchange_strong(&conn->answered_by, &was, WSK__BY_CLOCK))
        ops->timed_out(th, conn, false);
    else if (was == WSK__BY_HANDLER &&
             atomic_compare_exchange_strong(&conn->answered_by, &was,
                                            WSK__BY_CLOCK))
        ops->timed_out(th, conn, true);
    else
        return;
    wsk__logf(conns->logs, WSK_LOG_WARNING,
              "a handler has taken longer than request_timeout; its "
              "client was told");
}

void wsk__busy_expired(struct wsk__thread *th, struct wsk__conn *conn,
                       const struct wsk__answer_ops *ops)
{
    tell_wait(conn);
    tell_overdue(th, conn, ops);
}

bool wsk__may_answer(struct wsk__conn *conn, enum wsk__answered_by as)
{
    unsigned char was = WSK__BY_NOBODY;

    if (conn->conns->cfg->request_timeout_ms == 0)
        return true;
    return atomic_compare_exchange_strong(&conn->answered_by, &was,
                                          (unsigned char)as) ||
           was == as;
}

bool wsk__is_overdue(const struct wsk__conn *conn)
{
    return atomic_load(&conn->answered_by) == WSK__BY_CLOCK;
}
