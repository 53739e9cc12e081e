/* net/mailbox/load: a WebSocket's share of memory_limit. */
#ifndef WSK_NET_MAILBOX_LOAD_H
#define WSK_NET_MAILBOX_LOAD_H

#include "net/conn/conn.h"
#include "net/mailbox/served.h"
#include "net/os/locks.h"
#include "ws/conn.h"
#include "wsocket.h"

struct wsk__conn;

/* ---- lock held ---- */

/* Count this WebSocket's buffered bytes against memory_limit: a message that is
 * not whole, inbox, outbox, and input that waits to be parsed. */
void wsk__ws_count_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* The same, without a call for the usual WebSocket, which buffers nothing. */
static inline void
wsk__ws_account_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    const struct wsk__served *ws = conn->ws;

    if (ws->counted > 0 || ws->inbox_bytes > 0 || ws->in != NULL ||
        ws->aside != NULL || wsk__ws_in_message(&ws->engine) ||
        wsk__ws_held(&ws->engine) > 0)
        wsk__ws_count_locked(conn);
}

/* Return true if this WebSocket must wait for memory: it buffers something, and
 * all connections together more than memory_limit. */
bool wsk__ws_is_past_memory_locked(const struct wsk__conn *conn)
    WSK__CONN_LOCKED;

/* Free the outbox, whose peer is gone. */
void wsk__ws_forget_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

#endif
