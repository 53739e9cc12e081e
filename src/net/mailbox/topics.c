#include "net/mailbox/topics.h"

#include "base/mem.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/log/limits.h"
#include "net/mailbox/count.h"
#include "net/mailbox/served.h"
#include "net/mailbox/sockets.h"
#include "net/mailbox/stall.h"
#include "net/os/clock.h"
#include "net/os/stream.h"
#include "topic/pull.h"
#include "ws/conn.h"
#include "ws/frame.h"
#include "ws/send.h"
#include "wsocket.h"

enum {
    UNSENT = 64 << 10, /* bytes that the kernel keeps for a subscriber: what
                          waits, waits in the log, which all share */
    WIDEST = 15,       /* bits of a window */
};

_Static_assert((int)WSK__PULL_MAX <= (int)WSK__STREAM_PIECES,
               "a pull is one call");

static uint8_t form_of(const struct wsk_ws *engine)
{
    if (!wsk__ws_deflates(engine))
        return WSK__PACKED;
    return engine->deflate.server_bits == WIDEST ? WSK__PACKED_WIDE
                                                 : WSK__PACKED_NARROW;
}

static struct wsk__ws_topics *
make_topics_locked(struct wsk__conn *conn,
                   const struct wsk__subscriber_ops *ops) WSK__CONN_LOCKED
{
    struct wsk__ws_topics *topics = wsk__calloc(sizeof(*topics));

    if (topics == NULL)
        return NULL;
    topics->s.ops = ops;
    topics->s.owner = &conn->ws->handle;
    topics->form = form_of(&conn->ws->engine);
    wsk__stream_limit_unsent(&conn->stream, UNSENT);
    return topics;
}

wsk_status wsk__ws_subscribe_locked(struct wsk__conn *conn, wsk_str name,
                                    struct wsk__subscribing *how,
                                    const struct wsk__subscriber_ops *ops)
{
    struct wsk__served *ws = conn->ws;

    wsk__assert_conn_locked(conn);
    if (!wsk__conn_is_open(conn) || ws->lapped || !wsk_ws_can_send(&ws->engine))
        return WSK_E_CLOSED;
    if (ws->topics == NULL)
        ws->topics = make_topics_locked(conn, ops);
    if (ws->topics == NULL)
        return WSK_E_NOMEM;
    if (ws->topics->form < WSK__PACKED)
        how->forms = (uint8_t)(1u << ws->topics->form);
    return wsk__topic_subscribe(conn->conns->sockets->topics, &ws->topics->s,
                                name, how);
}

void wsk__ws_leave_topics_locked(struct wsk__conn *conn)
{
    struct wsk__served *ws = conn->ws;

    wsk__assert_conn_locked(conn);
    if (ws->topics != NULL && ws->topics->s.n > 0)
        wsk__topic_leave(conn->conns->sockets->topics, &ws->topics->s);
    ws->lags = false;
}

/* Give up a peer that is so slow that what it had to get next is gone. The
 * leader sends the Close. */
static void lapse_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    wsk__ws_leave_topics_locked(conn);
    conn->ws->lapped = true;
    wsk__limit_hit_locked(conn, WSK__LIMIT_TOPIC);
    wsk__conn_post(conn, WSK__POST_AWAY);
}

/* Return the form of a publication for the peer. */
static const struct wsk__publication *
form_for(const struct wsk__ws_topics *topics, const struct wsk__publication *p)
{
    const struct wsk__publication *packed =
        topics->form < WSK__PACKED ? p->packed[topics->form] : NULL;

    return packed != NULL ? packed : p;
}

/* Count a publication that has begun to leave, or was queued. A shared frame is
 * compressed by itself, and the peer's window now ends with it: the next
 * message may not refer to those before (RFC 7692 7.1.1). */
static void went_locked(struct wsk__served *ws,
                        const struct wsk__publication *p) WSK__CONN_LOCKED
{
    if (form_for(ws->topics, p) != p)
        wsk__ws_forget_past(&ws->engine);
    wsk__ws_count_out_locked(ws, wsk__frame_payload(p->octets, p->len), true);
}

/* Account for `sent` octets of what was pulled: the rest of a frame that has
 * begun to leave is queued. It has begun, too, if a record of TLS has some of
 * it that does not count yet. Returns how many publications have begun. */
static size_t begun_locked(struct wsk__conn *conn, const struct wsk__pull *pull,
                           size_t sent) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;
    size_t n = 0, left = 0;

    while (n < pull->n && left == 0 &&
           (sent > 0 || wsk__stream_is_amid(&conn->stream))) {
        const struct wsk__publication *p = form_for(ws->topics, pull->some[n]);

        left = sent < p->len ? p->len - sent : 0;
        if (left > 0 &&
            !wsk__ws_send_raw(&ws->engine, p->octets + p->len - left, left))
            wsk_ws_feed_eof(&ws->engine); /* no frame can follow half a one */
        ws->begun = left;
        went_locked(ws, pull->some[n++]);
        sent -= p->len - left;
    }
    return n;
}

/* Send what was pulled in one call; for a single frame send() is cheaper than
 * sendmsg(). */
static ssize_t send_pull_locked(struct wsk__conn *conn,
                                const struct wsk__pull *pull) WSK__CONN_LOCKED
{
    wsk_str pieces[WSK__PULL_MAX];

    if (conn->stream.fd < 0)
        return -1;
    for (size_t i = 0; i < pull->n; i++) {
        const struct wsk__publication *p =
            form_for(conn->ws->topics, pull->some[i]);

        pieces[i] = (wsk_str){(const char *)p->octets, p->len};
    }
    return pull->n == 1
               ? wsk__stream_send(&conn->stream, pieces[0].p, pieces[0].len,
                                  false)
               : wsk__stream_sendv(&conn->stream, pieces, pull->n, false);
}

/* The same, and account for it. */
static enum wsk__io write_locked(struct wsk__conn *conn,
                                 struct wsk__pull *pull) WSK__CONN_LOCKED
{
    struct wsk__served *ws = conn->ws;
    enum wsk__io io = WSK__IO_DONE;
    ssize_t sent = send_pull_locked(conn, pull);

    if (sent > 0) {
        wsk__ws_sent_locked(ws);
    } else if (conn->stream.fd >= 0 && wsk__stream_is_full()) {
        wsk__ws_stall_begin_locked(conn);
        io = WSK__IO_WAIT;
    } else {
        io = WSK__IO_GONE;
    }
    wsk__pulled(conn->conns->sockets->topics, &ws->topics->s, pull,
                begun_locked(conn, pull, sent > 0 ? (size_t)sent : 0));
    return io;
}

bool wsk__ws_send_topics_locked(struct wsk__conn *conn, enum wsk__io *io)
{
    struct wsk__topics *t = conn->conns->sockets->topics;
    struct wsk__served *ws = conn->ws;
    struct wsk__subscriber *s = &ws->topics->s;
    struct wsk__pull pull;
    bool writes = *io == WSK__IO_DONE && !wsk__ws_is_sending(&ws->engine);

    wsk__assert_conn_locked(conn);
    if (!wsk_ws_can_send(&ws->engine)) { /* nothing follows a Close */
        wsk__ws_leave_topics_locked(conn);
        return false;
    }
    ws->lags = false;
    if (!wsk__pull_is_due(t, s))
        return false;
    if (!wsk__pull(t, s, &pull, writes ? WSK__PULL_MAX : 0)) {
        lapse_locked(conn);
        return false;
    }
    if (pull.n > 0) {
        *io = write_locked(conn, &pull);
        ws->lags = *io == WSK__IO_WAIT;
        return *io == WSK__IO_DONE;
    }
    ws->lags = pull.more && *io == WSK__IO_WAIT;
    wsk__pulled(t, s, &pull, 0);
    return false;
}

bool wsk__ws_queue_topics_locked(struct wsk__conn *conn, uint64_t limit)
{
    struct wsk__topics *t = conn->conns->sockets->topics;
    struct wsk__served *ws = conn->ws;
    struct wsk__subscriber *s = &ws->topics->s;
    struct wsk__pull pull;
    bool good = true, more = true;

    wsk__assert_conn_locked(conn);
    while (good && more && wsk__pull_is_due(t, s)) {
        size_t n = 0, owed;

        if (!wsk__pull(t, s, &pull, WSK__PULL_MAX)) {
            lapse_locked(conn);
            return true;
        }
        for (; n < pull.n && good; n += good) {
            const struct wsk__publication *p =
                form_for(ws->topics, pull.some[n]);

            good = wsk__ws_send_raw(&ws->engine, p->octets, p->len);
            if (good)
                went_locked(ws, pull.some[n]);
        }
        wsk__pulled(t, s, &pull, n);
        wsk_ws_out_buf(&ws->engine, &owed);
        more = owed <= limit;
    }
    return good;
}
