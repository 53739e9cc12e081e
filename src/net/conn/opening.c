#include "net/conn/opening.h"

#include "base/buf.h"
#include "base/mem.h"
#include "http/proxy.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/drain.h"
#include "net/conn/peer.h"
#include "net/conn/protocol.h"
#include "net/dispatch/thread.h"
#include "net/log/limits.h"
#include "net/loop/source.h"
#include "net/os/clock.h"
#include "net/os/poller.h"
#include "net/os/stream.h"

struct wsk__opening {
    struct wsk__ends ends;
    struct wsk__buf in; /* received, not yet parsed */
    uint64_t since_ms;
};

static void opening_free(struct wsk__conn *conn)
{
    struct wsk__opening *opening = conn->opening;

    conn->opening = NULL;
    if (opening == NULL)
        return;
    wsk__buf_free(&opening->in);
    wsk__free(opening->ends.proxy);
    wsk__free(opening);
}

/* Hand the rest of the input to the protocol: the header is complete. A TLS
 * handshake would be complete here. */
static wsk__leads complete(struct wsk__thread *th, struct wsk__conn *conn)
{
    const struct wsk__protocol *protocol = conn->conns->protocol;
    struct wsk__opening *opening = conn->opening;
    bool opened;

    conn->opening = NULL; /* shared with the protocol's state */
    opened = protocol->open(conn, &opening->ends, &opening->in);
    wsk__free(opening);
    if (!opened) {
        wsk__conn_close(conn);
        return true;
    }
    atomic_store_explicit(&conn->ops, protocol->ops, memory_order_release);
    return protocol->ops->ready(th, conn, WSK__READ);
}

/* Read once. False: nothing has come, or the connection has closed. */
static bool receive(struct wsk__thread *th, struct wsk__conn *conn)
{
    ssize_t n = wsk__stream_recv(&conn->stream, th->rx, WSK__RX_SIZE);

    if (n > 0 && wsk__buf_put(&conn->opening->in, th->rx, (size_t)n)) {
        conn->since_ms = wsk__now_ms();
        wsk__conn_spoke(conn);
        return true;
    }
    if (n < 0 && wsk__stream_is_full()) {
        wsk__watch(conn, WSK__READ);
        wsk__rearm(conn);
    } else {
        wsk__conn_close(conn);
    }
    return false;
}

/* Take the header of the PROXY protocol. A peer that sends anything else gets
 * no answer. */
static wsk__leads take_header(struct wsk__thread *th, struct wsk__conn *conn)
{
    struct wsk__opening *opening = conn->opening;

    for (;;) {
        switch (
            wsk__ends_read_header(conn->conns, &opening->ends, &opening->in)) {
        case WSK__PROXY_OK:
            return complete(th, conn);
        case WSK__PROXY_BAD:
            wsk__limit_hit(conn->conns->logs, WSK__LIMIT_PROXY);
            wsk__conn_close(conn);
            return true;
        }
        if (!receive(th, conn))
            return true;
    }
}

static wsk__leads on_ready(struct wsk__thread *th, struct wsk__conn *conn,
                           unsigned what)
{
    if (!wsk__conn_is_open(conn) || what == WSK__WRITE)
        return true;
    return take_header(th, conn);
}

static wsk__leads on_posted(struct wsk__thread *th, struct wsk__conn *conn,
                            unsigned what)
{
    (void)what;
    return !wsk__conn_is_open(conn) || take_header(th, conn);
}

/* Return true if nothing has come, and the server leaves. */
static bool may_leave(const struct wsk__conn *conn)
{
    return conn->conns->draining && wsk__buf_len(&conn->opening->in) == 0;
}

static wsk__leads on_expired(struct wsk__thread *th, struct wsk__conn *conn)
{
    if (!may_leave(conn))
        wsk__limit_hit(conn->conns->logs, WSK__LIMIT_PROXY);
    else if (wsk__stream_peek(&conn->stream)) /* the poller has not told yet */
        return take_header(th, conn);
    wsk__conn_close(conn);
    return true;
}

static uint64_t due_ms(struct wsk__conn *conn)
{
    const struct wsk__opening *opening = conn->opening;

    if (may_leave(conn))
        return wsk__drain_idle_due(conn->conns, opening->since_ms, false);
    return opening->since_ms + conn->conns->cfg->head_timeout_ms;
}

static bool is_idle(const struct wsk__conn *conn)
{
    return wsk__buf_len(&conn->opening->in) == 0 &&
           !wsk__stream_peek(&conn->stream);
}

static const struct wsk__protocol_ops OPENING = {
    .ready = on_ready,
    .posted = on_posted,
    .expired = on_expired,
    .due_ms = due_ms,
    .is_idle = is_idle,
    .drain = wsk__rearm,
    .end = wsk__conn_close,
    .closed = opening_free,
};

static bool begin(struct wsk__conn *conn, struct wsk__ends *ends)
{
    struct wsk__opening *opening = wsk__calloc(sizeof(*opening));

    if (opening == NULL) {
        wsk__free(ends->proxy);
        return false;
    }
    opening->ends = *ends;
    opening->since_ms = wsk__now_ms();
    wsk__buf_init(&opening->in, SIZE_MAX / 4);
    conn->opening = opening;
    atomic_init(&conn->ops, &OPENING);
    return true;
}

bool wsk__opening_begin(struct wsk__conn *conn, struct wsk__ends *ends)
{
    const struct wsk__protocol *protocol = conn->conns->protocol;

    if (!wsk__ends_open(conn->conns, ends))
        return false;
    if (conn->conns->cfg->proxy_protocol && !conn->admin)
        return begin(conn, ends);
    atomic_init(&conn->ops, protocol->ops);
    return protocol->open(conn, ends, NULL);
}
