#include "net/mailbox/outbox.h"

#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/dispatch/thread.h"
#include "net/mailbox/load.h"
#include "net/mailbox/served.h"
#include "net/mailbox/stall.h"
#include "net/mailbox/thread.h"
#include "net/mailbox/topics.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/stream.h"
#include "ws/conn.h"
#include "ws/frame.h"
#include "ws/queue.h"
#include "wsocket.h"

#include <sys/types.h>

static enum wsk__io flush_buf_locked(struct wsk__conn *conn,
                                     const uint8_t *data, size_t len,
                                     size_t *sent) WSK__CONN_LOCKED
{
    *sent = 0;
    while (*sent < len) {
        ssize_t n;

        if (conn->stream.fd < 0)
            return WSK__IO_GONE;
        n = wsk__stream_send(&conn->stream, data + *sent, len - *sent, false);
        if (n < 0 && wsk__stream_is_full()) {
            wsk__ws_stall_begin_locked(conn);
            return WSK__IO_WAIT;
        }
        if (n < 0)
            return WSK__IO_GONE;
        *sent += (size_t)n;
        wsk__ws_sent_locked(conn->ws);
    }
    return WSK__IO_DONE;
}

/* Return how many bytes complete the frame that has begun to leave, after
 * `sent` bytes have left of a queue: `begun` bytes of a frame, and whole
 * frames. */
static size_t begun_after(const uint8_t *data, size_t begun, size_t sent)
{
    while (begun < sent) {
        struct wsk__frame frame;
        uint8_t size = WSK__FRAME_START;

        wsk__frame_start(data + begun, WSK__MASK_NEVER, true, &size);
        wsk__frame_read(data + begun, &frame);
        begun += size + (size_t)frame.len;
    }
    return begun - sent;
}

/* Send what the engine owes. */
static enum wsk__io flush_queue_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    size_t len, sent;
    const uint8_t *data;
    enum wsk__io io = WSK__IO_DONE;

    /* An acknowledged byte may make room for a pong that had to wait. */
    while (io == WSK__IO_DONE &&
           (data = wsk_ws_out_buf(&conn->ws->engine, &len)) != NULL) {
        io = flush_buf_locked(conn, data, len, &sent);
        conn->ws->begun =
            sent == len ? 0 : begun_after(data, conn->ws->begun, sent);
        wsk_ws_out_ack(&conn->ws->engine, sent);
    }
    return io;
}

enum wsk__io wsk__ws_flush_locked(struct wsk__conn *conn)
{
    struct wsk__out *none = NULL;
    enum wsk__io io;

    wsk__assert_conn_locked(conn);
    if (wsk__forked(conn->conns->life))
        return WSK__IO_GONE;
    do
        io = flush_queue_locked(conn);
    while (conn->ws->topics != NULL && wsk__ws_send_topics_locked(conn, &io));
    /* An idle connection owns no queue. */
    if (wsk__ws_has_queue(&conn->ws->engine)) {
        wsk__ws_return(&conn->ws->engine,
                       wsk__self != NULL ? &wsk__websocket_of(wsk__self)->out
                                         : &none);
        wsk__out_free(none);
    }
    wsk__ws_account_locked(conn);
    return io;
}

bool wsk__ws_is_full_locked(const struct wsk__conn *conn, uint64_t limit)
{
    size_t owed = wsk__ws_owed_locked(conn);

    wsk__assert_conn_locked(conn);
    return owed > limit || (owed > 0 && wsk__ws_is_past_memory_locked(conn));
}

void wsk__ws_await_drain_locked(const struct wsk__conn *conn)
{
    const wsk_ws_handlers *on = conn->ws->handlers;

    wsk__assert_conn_locked(conn);
    if (on != NULL && on->drain != NULL)
        conn->ws->drain_due = true;
}

/* A dropped message may be as long as ws_send_max: then all must have left. */
bool wsk__ws_has_drained_locked(const struct wsk__conn *conn)
{
    const struct wsk__served *ws = conn->ws;

    wsk__assert_conn_locked(conn);
    return ws->drain_due && wsk_ws_can_send(&ws->engine) &&
           !wsk__ws_is_full_locked(
               conn, ws->dropped ? 0 : conn->conns->cfg->ws_send_limit);
}
