#include "net/websocket/load.h"

#include "net/conn/conn.h"
#include "net/conn/load.h"
#include "net/os/clock.h"
#include "net/server/server.h"
#include "net/websocket/served.h"
#include "net/websocket/stall.h"
#include "ws/conn.h"
#include "wsocket.h"

#include <stdatomic.h>

static bool is_much(const wsk_server *srv)
{
    return atomic_load(&srv->conns.counted) > srv->cfg.memory_limit / 4;
}

void wsk__ws_count_locked(struct wsk__conn *conn)
{
    struct wsk__served *ws = conn->ws;
    size_t held;

    wsk__ws_tell_of_arrival_locked(conn);
    if (conn->srv->cfg.memory_limit == 0)
        return;
    held = wsk__ws_held(&ws->engine) + ws->inbox_bytes +
           (ws->in != NULL ? ws->in->size : 0) +
           (ws->aside != NULL ? ws->aside->size : 0);
    if (held != ws->counted)
        atomic_fetch_add(&conn->srv->conns.counted,
                         held - ws->counted); /* may wrap */
    ws->counted = held;
    /* Whoever reads and sends for it: from now on the leader looks. While all
     * together hold little it need not: those that come to a rest before hold
     * no more than that. */
    if (held > 0 && ws->look_ms == 0 && is_much(conn->srv) &&
        wsk_ws_can_send(&ws->engine)) {
        ws->look_ms = wsk__now_ms() + WSK__HELD_LOOK_MS;
        wsk__conn_post(conn, WSK__POST_LOOK);
    }
}

void wsk__ws_forget_locked(struct wsk__conn *conn)
{
    wsk__ws_drop_out(&conn->ws->engine);
    wsk__ws_account_locked(conn);
}

bool wsk__ws_is_over_locked(const struct wsk__conn *conn)
{
    return conn->ws->counted > 0 && wsk_ws_can_send(&conn->ws->engine) &&
           wsk__memory_is_past(conn->srv);
}
