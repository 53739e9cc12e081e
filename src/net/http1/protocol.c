#include "net/http1/protocol.h"

#include "base/buf.h"
#include "http/conn.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/peer.h"
#include "net/conn/protocol.h"
#include "net/http1/answer.h"
#include "net/http1/deadline.h"
#include "net/http1/exchange.h"
#include "net/http1/load.h"
#include "net/http1/output.h"
#include "net/http1/run.h"
#include "net/log/limits.h"
#include "net/loop/source.h"
#include "net/os/poller.h"
#include "net/os/stream.h"
#include "net/request/timeout.h"

bool wsk__http1_open(struct wsk__conn *conn, struct wsk__ends *ends,
                     struct wsk__buf *early)
{
    wsk__call_init(&conn->call, &wsk__http_call_ops);
    conn->h = wsk__exchange_new(&conn->conns->cfg->limits, ends, early);
    return conn->h != NULL;
}

void wsk__http1_release(struct wsk__conn *conn)
{
    wsk__exchange_free(conn->h, conn->conns->dispatch);
}

static wsk__leads run(struct wsk__thread *th, struct wsk__conn *conn)
{
    return !wsk__conn_is_open(conn) || wsk__http_run(th, conn);
}

static wsk__leads on_ready(struct wsk__thread *th, struct wsk__conn *conn,
                           unsigned what)
{
    /* Room to write, as epoll tells of every new connection. */
    if (what == WSK__WRITE && !conn->h->stalled)
        return true;
    wsk__conn_expect_input(conn);
    return run(th, conn);
}

static wsk__leads on_posted(struct wsk__thread *th, struct wsk__conn *conn,
                            unsigned what)
{
    if (what & WSK__POST_REFUSE)
        wsk__http_refuse(th, conn, WSK__LIMIT_THREADS);
    if (what & (WSK__POST_AWAY | WSK__POST_RUN))
        wsk__conn_expect_input(conn);
    return run(th, conn);
}

static wsk__leads on_expired(struct wsk__thread *th, struct wsk__conn *conn)
{
    if (!conn->busy)
        return wsk__http_expired(th, conn);
    wsk__busy_expired(th, conn, &wsk__http1_answer);
    return true;
}

static uint64_t due_ms(struct wsk__conn *conn)
{
    return wsk__http_deadline(conn);
}

static bool is_idle(const struct wsk__conn *conn)
{
    const struct wsk__exchange *h = conn->h;

    /* A byte that the kernel has and the loop has not heard of yet may be a
     * request's. */
    return h->head == NULL && wsk__http_idle(&h->http) &&
           wsk__buf_len(&h->in) == 0 && wsk__http_owed(conn) == 0 &&
           !atomic_load(&h->at_disk) &&
           !wsk__stream_is_partial(&conn->stream) &&
           !wsk__stream_peek(&conn->stream);
}

static void drain(struct wsk__conn *conn)
{
    wsk__detached_goaway(conn);
    if (!conn->busy)
        wsk__rearm(conn);
}

static void on_closed(struct wsk__conn *conn)
{
    wsk__load_forget(conn);
    wsk__exchange_drop_file(conn);
}

const struct wsk__protocol_ops wsk__http1_protocol = {
    .ready = on_ready,
    .posted = on_posted,
    .expired = on_expired,
    .due_ms = due_ms,
    .is_idle = is_idle,
    .drain = drain,
    .end = wsk__conn_close,
    .closed = on_closed,
};
