#include "net/websocket/send.h"

#include "base/mem.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/dispatch/call.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/thread.h"
#include "net/handle/ping.h"
#include "net/log/limits.h"
#include "net/log/metrics.h"
#include "net/loop/loop.h"
#include "net/mailbox/count.h"
#include "net/mailbox/end.h"
#include "net/mailbox/inbox.h"
#include "net/mailbox/load.h"
#include "net/mailbox/outbox.h"
#include "net/mailbox/served.h"
#include "net/mailbox/sockets.h"
#include "net/mailbox/stall.h"
#include "net/mailbox/thread.h"
#include "net/mailbox/topics.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/poller.h"
#include "net/os/stream.h"
#include "net/websocket/receive.h"
#include "ws/conn.h"
#include "ws/frame.h"
#include "ws/send.h"
#include "wsocket.h"

#include <errno.h>
#include <sys/types.h>

enum {
    DRAINED = 64 << 10,
    LONG = 8192,    /* bytes: a longer message is not copied */
    LOOK_MS = 1000, /* between looks for a close that no write shows */
};

/* Let this thread lend its queue to the engine. */
static void lend_queue_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    if (wsk__self != NULL)
        wsk__ws_lend(&conn->ws->engine, &wsk__websocket_of(wsk__self)->out);
}

void wsk__ws_queued_locked(struct wsk__conn *conn)
{
    wsk__assert_conn_locked(conn);
    if (!conn->ws->corked || conn->ws->caller != wsk__self)
        wsk__ws_flush_locked(conn);
    if (wsk_ws_done(&conn->ws->engine))
        wsk__conn_post(conn, WSK__POST_AWAY); /* for the end and its event */
    if (wsk__ws_is_full_locked(conn, conn->conns->cfg->ws_send_limit))
        wsk__ws_await_drain_locked(conn);
    if ((!conn->conns->loop->edge && wsk__ws_waits_locked(conn)) ||
        wsk__ws_is_past_memory_locked(conn) || wsk__ws_has_drained_locked(conn))
        wsk__conn_post(conn, WSK__POST_LOOK);
}

/* Return true if the queue has room; an empty queue has room for any message.
 */
static bool fits_queue_locked(const struct wsk__conn *conn,
                              size_t len) WSK__CONN_LOCKED
{
    size_t owed = wsk__ws_owed_locked(conn);

    return owed == 0 || (owed + len <= conn->conns->cfg->ws_send_max &&
                         !wsk__ws_is_past_memory_locked(conn));
}

/* Enforce ws_send_max and memory_limit: drop the message (WSK_E_AGAIN), or fail
 * a connection whose peer does not read. `keep`: do not drop it. */
static wsk_status bound_queue_locked(struct wsk__conn *conn, size_t len,
                                     bool keep) WSK__CONN_LOCKED
{
    bool short_of_memory;

    wsk__ws_account_locked(conn);
    if (fits_queue_locked(conn, len) || !wsk_ws_can_send(&conn->ws->engine))
        return WSK_OK;
    wsk__ws_flush_locked(conn);
    if (fits_queue_locked(conn, len))
        return WSK_OK;
    if (!keep && conn->conns->sockets->drops) {
        wsk__ws_await_drain_locked(conn);
        conn->ws->dropped = true;
        if (wsk__conn_numbers_locked(conn) != NULL)
            wsk__add(
                &wsk__conn_numbers_locked(conn)[WSK__N_WS_DROPS - WSK__N_WS],
                1);
        return WSK_E_AGAIN;
    }
    short_of_memory = wsk__ws_is_past_memory_locked(conn);
    wsk__limit_hit_locked(conn, short_of_memory ? WSK__LIMIT_WS_MEMORY
                                                : WSK__LIMIT_WS_SEND);
    wsk__ws_fail_unread_locked(conn, 1013, "too much waits to be read",
                               short_of_memory ? WSK__WS_MEMORY_LIMIT
                                               : WSK__WS_SEND_MAX);
    wsk__conn_post(conn, WSK__POST_AWAY); /* for the end and its event */
    return WSK_E_CLOSED;
}

/* Send a long message from where it stands, when nothing waits before it: it
 * would gain nothing from leaving together with others. Queue what the kernel
 * does not take. */
static wsk_status send_long_locked(struct wsk__conn *conn, wsk_opcode opcode,
                                   const uint8_t *data, size_t len,
                                   unsigned flags) WSK__CONN_LOCKED
{
    struct wsk_ws *engine = &conn->ws->engine;
    uint8_t head[WSK__FRAME_OWN_MAX];
    size_t n = 0, sent = 0;
    wsk_status st = wsk__ws_send_beside(engine, opcode, len, flags, head, &n);
    wsk_str pieces[2] = {{(const char *)head, n}, {(const char *)data, len}};
    ssize_t done;

    if (st != WSK_OK)
        return st;
    done = conn->stream.fd < 0
               ? -1
               : wsk__stream_sendv(&conn->stream, pieces, 2, false);
    if (done > 0) {
        sent = (size_t)done;
        wsk__ws_sent_locked(conn->ws);
    }
    if (sent == n + len)
        return WSK_OK;
    conn->ws->begun = sent > 0 ? n + len - sent : 0;
    if ((sent >= n || wsk__ws_send_raw(engine, head + sent, n - sent)) &&
        wsk__ws_send_raw(engine, data + (sent > n ? sent - n : 0),
                         len - (sent > n ? sent - n : 0)))
        return WSK_OK;
    wsk__ws_eof_locked(conn); /* half a frame has left: no other may follow */
    return WSK_E_NOMEM;
}

/* Let what was published before leave before a message of the application; what
 * the kernel does not take is queued. False: memory is out. */
static bool topics_first_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    const struct wsk__ws_topics *topics = conn->ws->topics;

    if (topics == NULL ||
        !wsk__pull_is_due(conn->conns->sockets->topics, &topics->s))
        return true;
    wsk__ws_flush_locked(conn);
    if (wsk__ws_is_sending(&conn->ws->engine) ||
        !wsk_ws_can_send(&conn->ws->engine))
        return true;
    return wsk__ws_queue_topics_locked(conn, conn->conns->cfg->ws_send_max);
}

/* Send a message, or with `fin` false the first piece of one. */
static wsk_status send_some(struct wsk__conn *conn, wsk_opcode opcode, bool fin,
                            const void *data, size_t len, unsigned flags)
{
    struct wsk_ws *engine = &conn->ws->engine;
    size_t payload = len;
    bool queues = len < LONG || !fin;
    uint8_t *packed;
    wsk_status st;

    if (wsk__forked(conn->conns->life))
        return WSK_E_CLOSED;
    packed = wsk__ws_pack(engine, data, &len, flags);
    wsk__conn_lock(conn);
    st = topics_first_locked(conn)
             ? bound_queue_locked(conn, len,
                                  (flags & WSK_SEND_KEEP) != 0 || !fin)
             : WSK_E_NOMEM;
    if (st == WSK_OK && packed == NULL && !queues) {
        wsk__ws_flush_locked(conn);
        st = send_long_locked(conn, opcode, data, len, flags);
        queues = st == WSK_E_AGAIN;
        st = queues ? WSK_OK : st;
    }
    lend_queue_locked(conn);
    if (st == WSK_OK && packed != NULL)
        st = wsk__ws_send_packed(engine, opcode, fin, packed, len);
    else if (st == WSK_OK && queues)
        st = fin ? wsk_ws_send_with(engine, opcode, data, len, flags)
                 : wsk_ws_send_first(engine, opcode, data, len, flags);
    if (st == WSK_OK)
        wsk__ws_count_out_locked(conn->ws, payload, fin);
    wsk__ws_queued_locked(conn);
    wsk__conn_unlock(conn);
    wsk__free(packed);
    return st;
}

wsk_status wsk__served_send(wsk_conn *handle, wsk_opcode opcode,
                            const void *data, size_t len, unsigned flags)
{
    return send_some(wsk__conn_of(handle), opcode, true, data, len, flags);
}

wsk_status wsk__served_send_first(wsk_conn *handle, wsk_opcode opcode,
                                  const void *data, size_t len, unsigned flags)
{
    return send_some(wsk__conn_of(handle), opcode, false, data, len, flags);
}

/* Compress a long piece of a compressed message before the lock is taken.
 * Whether the message is compressed cannot change meanwhile: one thread sends
 * its pieces. */
static uint8_t *pack_ahead(const struct wsk__conn *conn, wsk_opcode opcode,
                           const void *data, size_t *len)
{
    const struct wsk_ws *engine = &conn->ws->engine;
    bool packs;

    if (opcode != WSK_CONTINUATION || !wsk__ws_deflates(engine))
        return NULL;
    wsk__conn_lock(conn);
    packs = wsk__ws_packs(engine);
    wsk__conn_unlock(conn);
    return packs ? wsk__ws_pack_piece(engine, data, len) : NULL;
}

wsk_status wsk__served_send_frame(wsk_conn *handle, wsk_opcode opcode, bool fin,
                                  const void *data, size_t len)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    size_t payload = len;
    uint8_t *packed;
    wsk_status st;

    if (wsk__forked(conn->conns->life))
        return WSK_E_CLOSED;
    packed = pack_ahead(conn, opcode, data, &len);
    wsk__conn_lock(conn);
    /* No piece of a message is dropped. */
    st = bound_queue_locked(conn, len, opcode == WSK_CONTINUATION || !fin);
    lend_queue_locked(conn);
    if (st == WSK_OK && packed != NULL)
        st = wsk__ws_send_packed(&conn->ws->engine, opcode, fin, packed, len);
    else if (st == WSK_OK)
        st = wsk_ws_send_frame(&conn->ws->engine, opcode, fin, data, len);
    if (st == WSK_OK && opcode == WSK_PING)
        wsk__ping_sent(&conn->ws->ping, data, len);
    else if (st == WSK_OK && opcode != WSK_PONG)
        wsk__ws_count_out_locked(conn->ws, payload, fin);
    wsk__ws_queued_locked(conn);
    wsk__conn_unlock(conn);
    wsk__free(packed);
    return st;
}

/* Flush; WSK_E_AGAIN: more is left than drain() lets pass. */
static wsk_status look_at_queue_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    uint64_t limit = conn->conns->cfg->ws_send_limit;
    wsk_status st = WSK_OK;

    if (!wsk__conn_is_open(conn) || conn->eof ||
        wsk__ws_flush_locked(conn) == WSK__IO_GONE)
        st = WSK_E_CLOSED;
    else if (wsk__ws_is_full_locked(conn, limit < DRAINED ? limit : DRAINED))
        st = WSK_E_AGAIN;
    if (wsk__ws_has_drained_locked(conn))
        wsk__conn_post(conn, WSK__POST_LOOK);
    return st;
}

/* Look once, and wait for at most `ms` if that is needed. */
static wsk_status await_queue(struct wsk__conn *conn, uint64_t ms)
{
    wsk_status st;
    int fd, n;

    wsk__conn_lock(conn);
    st = look_at_queue_locked(conn);
    fd = conn->stream.fd;
    conn->ws->pins = (uint16_t)(conn->ws->pins + (st == WSK_E_AGAIN));
    wsk__conn_unlock(conn);
    if (st != WSK_E_AGAIN)
        return st;
    n = wsk__stream_wait_once(fd, WSK__WRITE, (int)ms);
    wsk__conn_lock(conn);
    wsk__ws_unpin_locked(conn);
    wsk__conn_unlock(conn);
    return n < 0 && errno != EINTR ? WSK_E_CLOSED : WSK_E_AGAIN;
}

/* Wait until little is queued. `reader`: the WebSocket whose handler waits here
 * and so does not read; or NULL. */
static wsk_status drain(struct wsk__conn *conn, uint64_t until_ms,
                        struct wsk__conn *reader)
{
    uint64_t patience = WSK__AWAY_MS;
    wsk_status st = WSK_E_AGAIN;

    while (st == WSK_E_AGAIN) {
        uint64_t now = wsk__now_ms(),
                 left = until_ms > now ? until_ms - now : 0;

        st = await_queue(conn, left < patience ? left : patience);
        if (st == WSK_E_AGAIN && left == 0)
            st = WSK_E_TIMEOUT;
        if (st == WSK_E_AGAIN && reader != NULL && patience == WSK__AWAY_MS)
            wsk__conn_post(reader, WSK__POST_AWAY);
        patience = LOOK_MS;
    }
    return st;
}

wsk_status wsk__served_drain(wsk_conn *handle, int timeout_ms)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    uint64_t until = timeout_ms < 0 ? UINT64_MAX
                                    : wsk__now_ms() + (uint64_t)timeout_ms;
    struct wsk__thread *th;
    wsk_status st;

    th = wsk__handler_thread(conn);
    if (th == NULL)
        return drain(conn, until, NULL);
    wsk__call_park(th);
    st = drain(conn, until,
               th->upgraded != NULL ? wsk__conn_of_call(th->upgraded) : NULL);
    wsk__call_unpark(th);
    return st;
}
