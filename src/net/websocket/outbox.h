/* net/websocket/outbox: what waits to be sent to the peer. */
#ifndef WSK_NET_WEBSOCKET_OUTBOX_H
#define WSK_NET_WEBSOCKET_OUTBOX_H

#include "net/conn/conn.h"
#include "net/os/stream.h"
#include "net/websocket/served.h"
#include "wsocket.h"

struct wsk__served;
struct wsk__conn;

/* ---- lock held: WebSockets ---- */

/* Write what the engine owes. */
enum wsk__io wsk__ws_flush_locked(struct wsk__conn *conn);

/* The kernel took some of it. */
void wsk__ws_sent_locked(struct wsk__served *ws);

/* ---- lock held: what has come ---- */

/* Octets that wait to be written; and whether whoever sends should wait until
 * they are no more than `limit`. */
static inline size_t wsk__ws_owed_locked(const struct wsk__conn *conn)
{
    size_t len;

    wsk_ws_out_buf(&conn->ws->engine, &len);
    return len;
}

bool wsk__ws_is_full_locked(const struct wsk__conn *conn, uint64_t limit);

/* Whoever sends in events goes on when less waits; and whether it does by now.
 */
void wsk__ws_await_drain_locked(const struct wsk__conn *conn);
bool wsk__ws_has_drained_locked(const struct wsk__conn *conn);

#endif
