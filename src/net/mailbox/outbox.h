/* net/mailbox/outbox: frames that wait to be sent to the peer. */
#ifndef WSK_NET_MAILBOX_OUTBOX_H
#define WSK_NET_MAILBOX_OUTBOX_H

#include "net/conn/conn.h"
#include "net/mailbox/served.h"
#include "net/os/locks.h"
#include "net/os/stream.h"
#include "wsocket.h"

/* ---- lock held ---- */

/* Send what the engine owes, and then what its topics have, as far as the
 * kernel takes it. */
enum wsk__io wsk__ws_flush_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Let what was published before a Close leave before it, as far as the kernel
 * takes it. */
static inline void
wsk__ws_topics_before_close_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    if (conn->ws->topics != NULL)
        wsk__ws_flush_locked(conn);
}

/* Return how many bytes wait to be sent. */
static inline size_t
wsk__ws_owed_locked(const struct wsk__conn *conn) WSK__CONN_LOCKED
{
    size_t len;

    wsk_ws_out_buf(&conn->ws->engine, &len);
    return len;
}

/* Return true if the peer must take something before more can leave. */
static inline bool
wsk__ws_waits_locked(const struct wsk__conn *conn) WSK__CONN_LOCKED
{
    return conn->ws->lags || wsk__ws_owed_locked(conn) > 0;
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
