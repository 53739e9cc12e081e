#include "net/mailbox/load.h"

#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/load.h"
#include "net/conn/lock.h"
#include "net/mailbox/served.h"
#include "net/mailbox/stall.h"
#include "net/os/clock.h"
#include "ws/conn.h"
#include "wsocket.h"

#include <stdatomic.h>

static bool is_much(const struct wsk__conns *conns)
{
    return atomic_load(&conns->counted) > conns->cfg->memory_limit / 4;
}

void wsk__ws_count_locked(struct wsk__conn *conn)
{
    struct wsk__served *ws = conn->ws;
    size_t bytes;

    wsk__assert_conn_locked(conn);
    wsk__ws_tell_of_arrival_locked(conn);
    if (conn->conns->cfg->memory_limit == 0)
        return;
    bytes = wsk__ws_held(&ws->engine) + ws->inbox_bytes +
            (ws->in != NULL ? ws->in->size : 0) +
            (ws->aside != NULL ? ws->aside->size : 0) +
            wsk__stream_held(&conn->stream);
    if (bytes != ws->counted)
        atomic_fetch_add(&conn->conns->counted,
                         bytes - ws->counted); /* wraps to subtract */
    ws->counted = bytes;
    /* Any thread may be here; from now on the leader looks. It need not while
     * all together hold little: a WebSocket that comes to rest before then
     * holds no more than that. */
    if (bytes > 0 && ws->look_ms == 0 && is_much(conn->conns) &&
        wsk_ws_can_send(&ws->engine)) {
        ws->look_ms = wsk__now_ms() + WSK__HELD_LOOK_MS;
        wsk__conn_post(conn, WSK__POST_LOOK);
    }
}

void wsk__ws_forget_locked(struct wsk__conn *conn)
{
    wsk__assert_conn_locked(conn);
    wsk__ws_drop_out(&conn->ws->engine);
    wsk__ws_account_locked(conn);
}

bool wsk__ws_is_past_memory_locked(const struct wsk__conn *conn)
{
    wsk__assert_conn_locked(conn);
    return conn->ws->counted > 0 && wsk_ws_can_send(&conn->ws->engine) &&
           wsk__memory_is_past(conn->conns);
}
