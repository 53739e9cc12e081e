#include "net/bridge/bridge.h"

#include "base/buf.h"
#include "base/mem.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/dispatch/thread.h"
#include "net/loop/loop.h"
#include "net/loop/source.h"
#include "net/os/clock.h"
#include "net/os/poller.h"
#include "net/os/stream.h"

#include <errno.h>
#include <stdatomic.h>

enum {
    MOVES_MAX = 16, /* reads of each side before others have a turn */
};

/* Octets on their way from one side to the other. No more is read while some
 * wait, so there are at most WSK__RX_SIZE. */
struct lane {
    struct wsk__buf buf;
    bool ended; /* the end of the side that is read has come */
    bool told;  /* and the other side knows */
};

struct wsk__bridge {
    struct wsk__source source; /* of `pair` */
    struct wsk__conn *conn;    /* fixed */
    struct wsk__stream pair;   /* our end; the handler has the other */
    struct lane in, out;       /* leader: from the peer, from the handler */
    unsigned want;             /* leader: of `pair`, by the poller */
    bool watched;              /* leader */
    bool done;                 /* wsk__conn_lock(): the handler has returned */
};

static bool is_done(struct wsk__conn *conn)
{
    bool done;

    wsk__conn_lock(conn);
    done = conn->bridge->done;
    wsk__conn_unlock(conn);
    return done;
}

/* Let both sides find an end: one is gone. */
static void cut(struct wsk__bridge *bridge)
{
    wsk__stream_shut(&bridge->pair);
    wsk__stream_shut(&bridge->conn->stream);
    bridge->in.ended = bridge->in.told = true;
    bridge->out.ended = bridge->out.told = true;
    wsk__buf_free(&bridge->in.buf);
    wsk__buf_free(&bridge->out.buf);
}

/* Send what waits in a lane. */
static enum wsk__io send_waiting(struct lane *lane,
                                 const struct wsk__stream *to)
{
    while (wsk__buf_len(&lane->buf) > 0) {
        ssize_t n = wsk__stream_send(to, wsk__buf_data(&lane->buf),
                                     wsk__buf_len(&lane->buf), false);

        if (n < 0)
            return wsk__stream_is_full() ? WSK__IO_WAIT : WSK__IO_GONE;
        wsk__buf_ack(&lane->buf, (size_t)n);
    }
    return WSK__IO_DONE;
}

/* Move octets along a lane, as far as both sides allow. `done`: the side that
 * is read has said all, and what it has sent is there. WSK__IO_DONE: more may
 * be there; WSK__IO_LATER: an event will tell. */
static enum wsk__io move(struct wsk__thread *th, struct lane *lane,
                         const struct wsk__stream *from,
                         const struct wsk__stream *to, bool done)
{
    enum wsk__io io = send_waiting(lane, to);
    ssize_t n;

    if (io != WSK__IO_DONE || lane->ended)
        return io == WSK__IO_DONE ? WSK__IO_LATER : io;
    n = wsk__stream_recv(from, th->rx, WSK__RX_SIZE);
    if (n < 0 && wsk__stream_is_full()) {
        lane->ended = done;
        return WSK__IO_LATER;
    }
    /* A handler that closes its end without having read all is a reset there,
     * and an end like others. */
    if (n < 0 && wsk__stream_is_tls(from))
        return WSK__IO_GONE;
    lane->ended = n <= 0;
    if (n > 0 && !wsk__buf_put(&lane->buf, th->rx, (size_t)n))
        return WSK__IO_GONE;
    return WSK__IO_DONE;
}

/* Tell one side of the other's end, once all before it has left. */
static void tell_end(struct lane *lane, const struct wsk__stream *to)
{
    if (!lane->ended || lane->told || wsk__buf_len(&lane->buf) > 0)
        return;
    if (!wsk__stream_end(to) || wsk__stream_owed(to) == 0)
        lane->told = true;
}

/* Wait for what can go on. */
static void watch(struct wsk__bridge *bridge)
{
    struct wsk__conn *conn = bridge->conn;
    bool in = wsk__buf_len(&bridge->in.buf) > 0;
    bool out = wsk__buf_len(&bridge->out.buf) > 0 ||
               wsk__stream_owed(&conn->stream) > 0;
    unsigned want = (!out && !bridge->out.ended ? WSK__READ : 0u) |
                    (in ? WSK__WRITE : 0u);

    wsk__watch(conn, (!in && !bridge->in.ended ? WSK__READ : 0u) |
                         (out ? WSK__WRITE : 0u));
    if (!conn->conns->loop->edge && want != bridge->want)
        wsk__poller_want(conn->conns->loop->poller, bridge->pair.fd, bridge,
                         bridge->want, want, false);
    bridge->want = want;
}

/* Move octets both ways. False: the rest must wait for others' turns. */
static bool move_both(struct wsk__thread *th, struct wsk__bridge *bridge,
                      bool done)
{
    struct wsk__conn *conn = bridge->conn;

    for (int i = 0; i < MOVES_MAX; i++) {
        enum wsk__io in =
            move(th, &bridge->in, &conn->stream, &bridge->pair, false);
        enum wsk__io out =
            move(th, &bridge->out, &bridge->pair, &conn->stream, done);

        if (in == WSK__IO_GONE && !bridge->in.ended &&
            wsk__buf_len(&bridge->in.buf) > 0) {
            /* The handler reads no more. What comes goes nowhere. */
            wsk__buf_free(&bridge->in.buf);
            bridge->in.ended = bridge->in.told = true;
            in = WSK__IO_LATER;
        }
        if (in == WSK__IO_GONE || out == WSK__IO_GONE) {
            cut(bridge);
            return true;
        }
        tell_end(&bridge->in, &bridge->pair);
        tell_end(&bridge->out, &conn->stream);
        if (in != WSK__IO_DONE && out != WSK__IO_DONE)
            return true;
        conn->since_ms = wsk__now_ms();
    }
    return false;
}

static void pump(struct wsk__thread *th, struct wsk__conn *conn)
{
    struct wsk__bridge *bridge = conn->bridge;
    bool done = is_done(conn);

    wsk__assert_leads(th);
    if (!bridge->watched) {
        bridge->watched = wsk__poller_add(conn->conns->loop->poller,
                                          bridge->pair.fd, bridge, false);
        bridge->want = WSK__READ;
        if (!bridge->watched)
            cut(bridge);
    }
    if (!move_both(th, bridge, done))
        wsk__conn_post(conn, WSK__POST_LOOK);
    if (!done || !bridge->out.told) {
        watch(bridge);
        wsk__rearm(conn);
    } else if (bridge->in.ended) {
        wsk__conn_close(conn);
    } else {
        wsk__conn_linger(conn);
    }
}

/* ------------------------------------------------------------- the loop --- */

WSK__TLS_ONLY static wsk__leads
on_pair_ready(struct wsk__thread *th, struct wsk__source *source, unsigned what)
{
    struct wsk__conn *conn = ((struct wsk__bridge *)source)->conn;

    (void)what;
    if (wsk__conn_is_open(conn))
        pump(th, conn);
    return true;
}

WSK__TLS_ONLY static wsk__leads on_ready(struct wsk__thread *th,
                                         struct wsk__conn *conn, unsigned what)
{
    (void)what;
    if (wsk__conn_is_open(conn))
        pump(th, conn);
    return true;
}

static uint64_t due_ms(struct wsk__conn *conn)
{
    return is_done(conn) ? conn->since_ms + WSK__STALL_MS : UINT64_MAX;
}

WSK__TLS_ONLY static wsk__leads on_expired(struct wsk__thread *th,
                                           struct wsk__conn *conn)
{
    (void)th;
    wsk__conn_close(conn); /* the peer takes nothing of the last octets */
    return true;
}

/* Let the handler's reads find an end. Its last octets still leave. */
WSK__TLS_ONLY static void drain(struct wsk__conn *conn)
{
    struct wsk__bridge *bridge = conn->bridge;

    if (!wsk__conn_is_open(conn))
        return;
    wsk__buf_free(&bridge->in.buf);
    bridge->in.ended = bridge->in.told = true;
    wsk__stream_end(&bridge->pair);
}

WSK__TLS_ONLY static void end(struct wsk__conn *conn)
{
    if (!wsk__conn_is_open(conn) || is_done(conn))
        wsk__conn_close(conn);
    else
        cut(conn->bridge);
}

WSK__TLS_ONLY static void on_closed(struct wsk__conn *conn)
{
    struct wsk__bridge *bridge = conn->bridge;

    if (bridge->watched)
        wsk__poller_remove(conn->conns->loop->poller, bridge->pair.fd);
    wsk__stream_close(&bridge->pair);
}

static void bridge_free(struct wsk__bridge *bridge)
{
    wsk__stream_close(&bridge->pair);
    wsk__buf_free(&bridge->in.buf);
    wsk__buf_free(&bridge->out.buf);
    wsk__free(bridge);
}

WSK__TLS_ONLY static void release(struct wsk__conn *conn)
{
    bridge_free(conn->bridge);
    conn->bridge = NULL;
    conn->conns->protocol->release(conn);
}

const struct wsk__protocol_ops wsk__bridge_protocol = {
    .locked = true,
    .ready = on_ready,
    .posted = on_ready,
    .expired = on_expired,
    .due_ms = due_ms,
    .drain = drain,
    .end = end,
    .closed = on_closed,
    .release = release,
};

/* --------------------------------------------------------- the handler --- */

WSK__TLS_ONLY static struct wsk__bridge *bridge_new(struct wsk__conn *conn,
                                                    wsk_str early, int *fd)
{
    static const struct wsk__source_ops PAIR = {.ready = on_pair_ready};
    struct wsk__bridge *bridge = wsk__calloc(sizeof(*bridge));

    if (bridge == NULL)
        return NULL;
    bridge->source.ops = &PAIR;
    bridge->conn = conn;
    wsk__buf_init(&bridge->in.buf, WSK__BUF_CAP_MAX);
    wsk__buf_init(&bridge->out.buf, WSK__BUF_CAP_MAX);
    if (wsk__stream_pair(&bridge->pair, fd)) {
        /* Before the handler looks: its library may ask select() first. */
        ssize_t n = wsk__stream_send(&bridge->pair, early.p, early.len, false);
        size_t sent = n > 0 ? (size_t)n : 0;

        if (early.len == sent ||
            wsk__buf_put(&bridge->in.buf, early.p + sent, early.len - sent))
            return bridge;
        wsk__stream_close(&(struct wsk__stream){.fd = *fd});
        errno = ENOMEM;
    }
    bridge_free(bridge);
    return NULL;
}

bool wsk__bridge_open(struct wsk__conn *conn, wsk_str early, int *fd)
{
    struct wsk__bridge *bridge = bridge_new(conn, early, fd);

    if (bridge == NULL)
        return false;
    wsk__conn_ref(conn); /* of the request, until its handler has returned */
    wsk__conn_lock(conn);
    conn->bridge = bridge;
    conn->detached = true;
    conn->since_ms = wsk__now_ms();
    atomic_store_explicit(&conn->ops, &wsk__bridge_protocol,
                          memory_order_release);
    wsk__conn_unlock(conn);
    wsk__conn_post(conn, WSK__POST_LOOK);
    return true;
}

void wsk__bridge_handler_done(struct wsk__conn *conn)
{
    wsk__conn_lock(conn);
    conn->bridge->done = true;
    wsk__conn_unlock(conn);
    wsk__conn_post(conn, WSK__POST_LOOK);
}
