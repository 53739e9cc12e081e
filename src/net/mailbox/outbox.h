/* net/mailbox/outbox: frames that wait to be sent to the peer. */
#ifndef WSK_NET_MAILBOX_OUTBOX_H
#define WSK_NET_MAILBOX_OUTBOX_H

#include "net/conn/conn.h"
#include "net/mailbox/served.h"
#include "net/os/locks.h"
#include "net/os/stream.h"
#include "wsocket.h"

struct wsk__served;
struct wsk__conn;

/* ---- lock held ---- */

/* Send what the engine owes, as far as the kernel takes it. */
enum wsk__io wsk__ws_flush_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Note that the kernel took some of it. */
void wsk__ws_sent_locked(struct wsk__served *ws) WSK__CONN_LOCKED;

/* Return how many bytes wait to be sent. */
static inline size_t
wsk__ws_owed_locked(const struct wsk__conn *conn) WSK__CONN_LOCKED
{
    size_t len;

    wsk_ws_out_buf(&conn->ws->engine, &len);
    return len;
}

/* Return true if more than `limit` bytes wait, or some do and memory is short.
 */
bool wsk__ws_is_full_locked(const struct wsk__conn *conn,
                            uint64_t limit) WSK__CONN_LOCKED;

/* Have the event drain delivered once less waits, if there is a handler. */
void wsk__ws_await_drain_locked(const struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Return true if that event is due. */
bool wsk__ws_has_drained_locked(const struct wsk__conn *conn) WSK__CONN_LOCKED;

#endif
