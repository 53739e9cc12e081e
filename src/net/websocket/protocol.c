#include "net/websocket/protocol.h"

#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/conn/protocol.h"
#include "net/loop/source.h"
#include "net/mailbox/end.h"
#include "net/mailbox/load.h"
#include "net/mailbox/served.h"
#include "net/mailbox/topics.h"
#include "net/websocket/serve.h"

#include <stdatomic.h>

/* Events outlive the transport: a closed WebSocket is served, too. */
static wsk__leads on_ready(struct wsk__thread *th, struct wsk__conn *conn,
                           unsigned what)
{
    (void)what;
    wsk__conn_lock(conn);
    wsk__conn_expect_input(conn);
    wsk__conn_unlock(conn);
    return wsk__ws_serve(th, conn);
}

static wsk__leads on_posted(struct wsk__thread *th, struct wsk__conn *conn,
                            unsigned what)
{
    struct wsk__served *ws = conn->ws;

    wsk__conn_lock(conn);
    if (what & (WSK__POST_AWAY | WSK__POST_RUN)) {
        wsk__conn_expect_input(conn);
        if (!ws->receiving && !ws->calling)
            ws->rx = WSK__RX_LOOP;
    }
    if (what & WSK__POST_UNCORK)
        ws->corked = false;
    wsk__conn_unlock(conn);
    return wsk__ws_serve(th, conn);
}

static void end(struct wsk__conn *conn)
{
    if (wsk__conn_is_open(conn))
        wsk__ws_end(conn);
    else
        wsk__conn_close(conn);
}

static bool close_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    wsk__ws_leave_topics_locked(conn);
    wsk__ws_forget_locked(conn);
    conn->ws->close_due = conn->ws->pins > 0;
    return conn->ws->pins > 0;
}

static void on_closed(struct wsk__conn *conn)
{
    atomic_fetch_sub(&conn->conns->n_websockets, 1);
    wsk__ws_log_end(conn);
}

const struct wsk__protocol_ops wsk__websocket_protocol = {
    .locked = true,
    .ready = on_ready,
    .posted = on_posted,
    .expired = wsk__ws_expired,
    .due_ms = wsk__ws_deadline,
    .drain = wsk__ws_drain,
    .end = end,
    .close_locked = close_locked,
    .closed = on_closed,
};
