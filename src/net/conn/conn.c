#include "net/conn/conn.h"

#include "base/mem.h"
#include "net/conn/accept.h"
#include "net/conn/conns.h"
#include "net/conn/idle.h"
#include "net/conn/lock.h"
#include "net/dispatch/crew.h"
#include "net/dispatch/thread.h"
#include "net/loop/loop.h"
#include "net/loop/post.h"
#include "net/loop/source.h"
#include "net/loop/timer.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/poller.h"
#include "net/os/stream.h"
#include "tls/peer.h"

#include <stdatomic.h>

enum {
    DISCARDS_MAX = 16, /* reads of a lingering connection in one go */
};

void wsk__watch(struct wsk__conn *conn, unsigned want)
{
    struct wsk__loop *loop = conn->conns->loop;

    wsk__assert_leads(wsk__self);
    if (conn->stream.fd < 0)
        return;
    if (loop->edge) /* no other change needs a system call */
        want = want & WSK__BY_ITSELF ? 0 : WSK__READ;
    want &= ~(unsigned)WSK__BY_ITSELF;
    if (want == conn->want)
        return;
    wsk__poller_want(loop->poller, conn->stream.fd, conn, conn->want, want,
                     false);
    conn->want = (uint8_t)want;
}

static uint64_t deadline(struct wsk__conn *conn)
{
    switch ((enum wsk__phase)conn->phase) {
    case WSK__OPEN:
        return wsk__conn_ops(conn)->due_ms(conn);
    case WSK__LINGER:
        return conn->since_ms + WSK__LINGER_MS;
    case WSK__DEAD:
        break;
    }
    return UINT64_MAX;
}

void wsk__rearm(struct wsk__conn *conn)
{
    wsk__rearm_at(conn, deadline(conn));
}

void wsk__rearm_at(struct wsk__conn *conn, uint64_t due)
{
    wsk__assert_leads(wsk__self);
    if (due != UINT64_MAX &&
        (conn->source.timer.next == NULL || due < conn->source.timer.due_ms))
        wsk__timer_set(&conn->conns->loop->wheel, &conn->source.timer, due);
}

struct wsk__conn *wsk__conn_ref(struct wsk__conn *conn)
{
    atomic_fetch_add(&conn->source.refs, 1);
    return conn;
}

void wsk__conn_release(struct wsk__conn *conn)
{
    const struct wsk__protocol_ops *ops = wsk__conn_ops(conn);

    if (ops->release != NULL)
        ops->release(conn);
    else
        conn->conns->protocol->release(conn);
}

void wsk__conn_unref(struct wsk__conn *conn)
{
    if (atomic_fetch_sub(&conn->source.refs, 1) != 1)
        return;
    wsk__stream_close(&conn->stream);
    wsk__conn_release(conn);
    wsk__tls_peer_free(conn->tls);
    wsk__life_drop(conn->conns->life);
    wsk__free(conn);
}

/* Close the descriptor; if a thread uses it, wake that thread, which closes it.
 */
static void close_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    const struct wsk__protocol_ops *ops = wsk__conn_ops(conn);
    bool used = ops->close_locked != NULL && ops->close_locked(conn);

    wsk__assert_conn_locked(conn);
    conn->phase = WSK__DEAD;
    conn->eof = true;
    if (conn->stream.fd < 0)
        return;
    if (used || conn->detached) /* the handler's duplicate would keep it open */
        wsk__stream_shut(&conn->stream);
    if (used)
        return;
    wsk__stream_close(&conn->stream);
}

/* Let an idle peer of TLS know that nothing was cut (RFC 8446 6.1). */
WSK__TLS_ONLY static void say_goodbye(struct wsk__conn *conn)
{
    const struct wsk__protocol_ops *ops = wsk__conn_ops(conn);

    if (wsk__conn_is_open(conn) && !conn->busy && ops->is_idle != NULL &&
        ops->is_idle(conn))
        wsk__stream_end(&conn->stream);
}

void wsk__conn_close(struct wsk__conn *conn)
{
    struct wsk__conns *conns = conn->conns;

    wsk__assert_leads(wsk__self);
    if (conn->phase == WSK__DEAD)
        return;
    if (wsk__stream_is_tls(&conn->stream))
        say_goodbye(conn);
    wsk__conn_lock(conn);
    wsk__poller_remove(conns->loop->poller, conn->stream.fd);
    close_locked(conn);
    wsk__conn_unlock(conn);
    wsk__loop_clear_timer(conns->loop, &conn->source);
    wsk__conns_remove(conn);
    wsk__conn_spoke(conn);
    conns->n_admin -= conn->admin;
    conn->next = conns->graveyard;
    conns->graveyard = conn;
    wsk__conn_ops(conn)->closed(conn);
    conns->accept_due |= conns->n < conns->cfg->max_connections;
}

void wsk__conn_rests(struct wsk__conn *conn)
{
    wsk__assert_leads(wsk__self);
    wsk__conns_touch(conn);
    if (conn->conns->accept_paused) {
        wsk__conns_offer(conn);
        conn->conns->accept_due = true;
    }
}

void wsk__conns_bury(struct wsk__conns *conns)
{
    wsk__assert_leads(wsk__self);
    while (conns->graveyard != NULL) {
        struct wsk__conn *conn = conns->graveyard;

        conns->graveyard = conn->next;
        conn->next = NULL;
        wsk__conn_unref(conn);
    }
}

void wsk__conn_orphan(struct wsk__conn *conn)
{
    bool first;

    wsk__conn_lock(conn);
    first = conn->phase != WSK__DEAD;
    close_locked(conn);
    wsk__conn_unlock(conn);
    if (first)
        wsk__conn_unref(conn); /* the loop's */
}

static void discard(struct wsk__thread *th, struct wsk__conn *conn)
{
    if (wsk__stream_owed(&conn->stream) > 0 &&
        !wsk__stream_end(&conn->stream)) {
        wsk__conn_close(conn);
        return;
    }
    for (int reads = 0;; reads++) {
        ssize_t n;

        if (reads == DISCARDS_MAX) {
            wsk__conn_post(conn, WSK__POST_LOOK);
            return;
        }
        n = wsk__stream_discard(&conn->stream, th->rx, WSK__RX_SIZE);
        if (n < 0 && wsk__stream_is_full()) {
            wsk__watch(conn, wsk__stream_owed(&conn->stream) > 0
                                 ? WSK__READ | WSK__WRITE
                                 : WSK__READ);
            wsk__rearm(conn);
            return;
        }
        if (n > 0)
            conn->lingered += (uint32_t)n;
        if (n <= 0 || conn->lingered > WSK__LINGER_BYTES) {
            wsk__conn_close(conn);
            return;
        }
    }
}

void wsk__conn_linger(struct wsk__conn *conn)
{
    wsk__assert_leads(wsk__self);
    if (!wsk__conn_is_open(conn))
        return;
    if (!wsk__stream_end(&conn->stream)) {
        wsk__conn_close(conn);
        return;
    }
    wsk__conn_lock(conn);
    conn->phase = WSK__LINGER;
    conn->since_ms = wsk__now_ms();
    wsk__conn_unlock(conn);
    conn->busy = false;
    wsk__conns_touch(conn); /* idle: may be closed for a new one */
    /* The next look reads the input that is there already, for which no edge
     * will come. */
    wsk__conn_post(conn, WSK__POST_LOOK);
}

bool wsk__leader_may_work(struct wsk__conn *conn)
{
    wsk__assert_leads(wsk__self);
    if (conn->busy && wsk__conn_ops(conn)->locked)
        conn->busy = false;
    return !conn->busy;
}

static bool is_detached(struct wsk__conn *conn)
{
    bool detached;

    wsk__conn_lock(conn);
    detached = conn->detached;
    wsk__conn_unlock(conn);
    return detached;
}

static wsk__leads on_ready(struct wsk__thread *th, struct wsk__source *source,
                           unsigned what)
{
    struct wsk__conn *conn = (struct wsk__conn *)source;

    wsk__assert_leads(th);
    if (what & WSK__HUP)
        conn->hup_seen = true;
    if (what & WSK__GONE)
        atomic_store(&conn->gone, true);
    if (!wsk__leader_may_work(conn)) { /* the handler's end leads to a read */
        if (is_detached(conn))
            wsk__watch(conn, WSK__BY_ITSELF);
        return true;
    }
    if (conn->phase == WSK__LINGER)
        discard(th, conn);
    return wsk__conn_ops(conn)->ready(th, conn, what);
}

static wsk__leads on_posted(struct wsk__thread *th, struct wsk__source *source,
                            unsigned what)
{
    struct wsk__conn *conn = (struct wsk__conn *)source;

    wsk__assert_leads(th);
    if (what & WSK__POST_RUN)
        conn->busy = false;
    if (!wsk__leader_may_work(conn))
        return true;
    if (conn->phase == WSK__LINGER)
        discard(th, conn);
    return wsk__conn_ops(conn)->posted(th, conn, what);
}

static wsk__leads on_expired(struct wsk__thread *th, struct wsk__source *source)
{
    struct wsk__conn *conn = (struct wsk__conn *)source;
    struct wsk__loop *loop = conn->conns->loop;
    uint64_t due;

    wsk__assert_leads(th);
    if (wsk__leader_may_work(conn)) {
        due = deadline(conn);
        if (due > loop->now_ms) {
            if (due != UINT64_MAX)
                wsk__loop_set_timer(loop, source, due);
            return true;
        }
        if (!wsk__conn_is_open(conn)) { /* the time to linger is over */
            wsk__conn_close(conn);
            return true;
        }
    }
    return wsk__conn_ops(conn)->expired(th, conn);
}

static void drop(struct wsk__source *source)
{
    wsk__conn_unref((struct wsk__conn *)source);
}

static void on_orphaned(struct wsk__source *source, unsigned what)
{
    if (what & WSK__POST_RUN)
        wsk__conn_orphan((struct wsk__conn *)source);
}

const struct wsk__source_ops wsk__conn_source = {
    .ready = on_ready,
    .posted = on_posted,
    .expired = on_expired,
    .drop = drop,
    .orphaned = on_orphaned,
};

void wsk__conn_post(struct wsk__conn *conn, unsigned what)
{
    wsk__post(conn->conns->loop, &conn->source, what);
}

void wsk__conn_post_unref(struct wsk__conn *conn, unsigned what)
{
    wsk__post_given(conn->conns->loop, &conn->source, what);
}

void wsk__conn_post_locked(struct wsk__conn *conn, unsigned what)
{
    wsk__post_locked(conn->conns->dispatch, &conn->source, what);
}
