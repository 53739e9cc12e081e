#include "net/http1/input.h"

#include "base/buf.h"
#include "http/conn.h"
#include "http/host.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/min_rate.h"
#include "net/conn/peer.h"
#include "net/dispatch/thread.h"
#include "net/http1/exchange.h"
#include "net/http1/load.h"
#include "net/http1/thread.h"
#include "net/log/limits.h"
#include "net/log/metrics.h"
#include "net/os/clock.h"
#include "net/os/stream.h"
#include "net/request/admit.h"
#include "net/request/body.h"
#include "net/request/body_file.h"
#include "net/request/mount.h"
#include "net/request/redirect.h"
#include "net/request/site.h"
#include "tls/hello.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <sys/types.h>

enum {
    STREAMING_PART = 4, /* one thread in so many may read a body that the
                           server could have buffered */
};

enum fed { FED_SOME, FED_NOTHING, FED_ENDED };

/* Return true if the handler may decide whether the body is wanted at all. Few
 * may: slow clients that wait for a 100 (Continue) occupy one handler each. */
static bool may_stream(struct wsk__conns *conns)
{
    unsigned part = conns->cfg->threads / STREAMING_PART;

    return conns->site->buffering == WSK__BUFFER_NEVER ||
           (conns->site->buffering == WSK__BUFFER_AUTO &&
            atomic_load(&conns->site->streaming) < (part > 0 ? part : 1));
}

void wsk__http_count_streaming(struct wsk__conn *conn, bool streams)
{
    if (conn->h->streams == streams)
        return;
    conn->h->streams = streams;
    if (streams)
        atomic_fetch_add(&conn->conns->site->streaming, 1);
    else
        atomic_fetch_sub(&conn->conns->site->streaming, 1);
}

/* Refuse the request that begins. */
static enum wsk__feed refuse(struct wsk__conn *conn, int status)
{
    wsk__http_fail(&conn->h->http, status);
    conn->h->failed = true;
    return WSK__FEED_ENDED;
}

static enum wsk__feed begin_request(struct wsk__conn *conn,
                                    const wsk_head *head)
{
    const wsk_server_config *cfg = conn->conns->cfg;

    conn->h->head = head;
    conn->h->failed = false;
    wsk__body_begin(&conn->h->body);
    wsk__min_rate_begin(&conn->h->arrival, conn->since_ms);
    wsk__ends_begin_request(conn->conns, &conn->h->ends,
                            &conn->h->http.store->head);
    wsk__http_set_hsts(&conn->h->http,
                       wsk__ends_https(&conn->h->ends) ? cfg->hsts : 0);
    if (conn->admin) /* a body is not waited for */
        return WSK__FEED_READY;
    if (!wsk__admits_host(conn->conns, head)) /* RFC 9110 15.5.20 */
        return refuse(conn, 421);
    conn->h->redirected = wsk__redirects(conn->conns, &conn->h->ends, head);
    if (conn->h->redirected && wsk__host_name(head->host).len == 0)
        return refuse(conn, 400);
    if (conn->h->redirected) /* a body is never read */
        return WSK__FEED_READY;
    if (!wsk__mount_request(cfg->script_name, &conn->h->ends,
                            &conn->h->http.store->head))
        return refuse(conn, 404);
    if (!head->expect_continue)
        return WSK__FEED_MORE;
    if (may_stream(conn->conns))
        return WSK__FEED_READY;
    if (wsk_http_send_continue(&conn->h->http) != WSK_OK)
        wsk__http_out_of_memory(conn);
    return WSK__FEED_SAY;
}

static enum wsk__feed on_event(struct wsk__conn *conn, wsk_http_event ev)
{
    switch (ev.kind) {
    case WSK_HTTP_HEAD:
        return begin_request(conn, ev.head);
    case WSK_HTTP_DATA:
        if (conn->h->head == NULL) /* the rest of an answered request */
            return WSK__FEED_MORE;
        if (conn->conns->metrics != NULL && !conn->admin)
            wsk__add_any(&conn->conns->metrics->any[WSK__N_HTTP_BYTES], ev.len);
        if (!wsk__body_store(&conn->h->body, conn->h->head, ev.data, ev.len)) {
            wsk__http_out_of_memory(conn);
            return WSK__FEED_MORE;
        }
        if (conn->h->called)
            return WSK__FEED_DATA;
        return wsk__body_file_due(&conn->h->body, conn->h->head,
                                  conn->conns->cfg->body_memory)
                   ? WSK__FEED_STORE
                   : WSK__FEED_MORE;
    case WSK_HTTP_END:
        if (conn->h->head == NULL)
            return WSK__FEED_MORE;
        conn->h->body.done = true;
        return WSK__FEED_READY;
    case WSK_HTTP_FAILED:
        conn->h->failed = conn->h->body.failed = true;
        return WSK__FEED_ENDED;
    case WSK_HTTP_NONE:
        break;
    }
    return WSK__FEED_MORE;
}

bool wsk__http_keep_span(struct wsk__thread *th, struct wsk__conn *conn)
{
    size_t len = th->span.len;

    th->span.len = 0;
    return len == 0 || wsk__buf_put(&conn->h->in, th->span.p, len);
}

bool wsk__http_retain(struct wsk__thread *th, struct wsk__conn *conn)
{
    wsk_http_event ev;

    if (!wsk__http_keep_span(th, conn))
        return false;
    if (conn->h->head == NULL)
        return true;
    /* The beginning of a body that is still to come may stand behind the head
     * in the receive buffer. */
    while ((ev = wsk_http_next(&conn->h->http)).kind != WSK_HTTP_NONE)
        on_event(conn, ev);
    if (wsk__http_keep_head(&conn->h->http) != WSK_OK)
        return false;
    if (!wsk__body_own(&conn->h->body))
        return false;
    conn->h->head = wsk__http_head(&conn->h->http);
    wsk__buf_ack(&conn->h->in, conn->h->in_fed);
    conn->h->in_fed = 0;
    return true;
}

/* Feed the engine with unparsed input: the connection's first, then the
 * thread's. */
static enum fed feed_waiting(struct wsk__thread *th, struct wsk__conn *conn)
{
    size_t used = 0;
    wsk_status st = WSK_OK;

    if (wsk__buf_len(&conn->h->in) > conn->h->in_fed) {
        st = wsk_http_feed(&conn->h->http,
                           wsk__buf_data(&conn->h->in) + conn->h->in_fed,
                           wsk__buf_len(&conn->h->in) - conn->h->in_fed, &used);
        conn->h->in_fed += used;
    } else if (th->span.len > 0) {
        st = wsk_http_feed(&conn->h->http, (const uint8_t *)th->span.p,
                           th->span.len, &used);
        th->span.p += used;
        th->span.len -= used;
    } else {
        return FED_NOTHING;
    }
    if (st == WSK_E_NOMEM)
        wsk__http_out_of_memory(conn);
    else if (st != WSK_OK)
        return FED_ENDED;
    return used > 0 || st == WSK_E_NOMEM ? FED_SOME : FED_NOTHING;
}

/* Tell of a client that speaks TLS where there is none: what HTTP answers to
 * that is no sentence to it. */
static void meet_tls(struct wsk__conn *conn, wsk_str first)
{
    if (first.p[0] == WSK__TLS_HELLO_FIRST && first.len > 1 && first.p[1] == 3)
        wsk__limit_hit(conn->conns->logs, WSK__LIMIT_TLS);
}

/* Read once from the descriptor. */
static enum wsk__feed receive(struct wsk__thread *th, struct wsk__conn *conn)
{
    ssize_t n;

    if (!wsk__http_retain(th, conn)) {
        wsk__http_out_of_memory(conn);
        return WSK__FEED_DATA; /* the engine has a refusal to send */
    }
    if (conn->h->head == NULL) {
        wsk__buf_ack(&conn->h->in, conn->h->in_fed);
        conn->h->in_fed = 0;
    }
    if (conn->eof)
        return WSK__FEED_ENDED;
    if (conn->drained)
        return WSK__FEED_MORE;
    n = wsk__stream_recv(&conn->stream, th->rx, WSK__RX_SIZE);
    if (n < 0 && wsk__stream_is_full())
        return WSK__FEED_MORE;
    if (n <= 0) {
        conn->eof = true;
        if (n == 0)
            wsk_http_feed_eof(&conn->h->http);
        return n == 0 ? WSK__FEED_DATA : WSK__FEED_ENDED;
    }
    /* A short read has emptied the descriptor: later bytes are a new event. (An
     * end that came along was seen as conn->hup.) */
    conn->drained = wsk__stream_is_dry(&conn->stream, n, WSK__RX_SIZE) &&
                    !conn->hup;
    th->span = (wsk_str){(const char *)th->rx, (size_t)n};
    if (!conn->h->spoken) {
        conn->h->spoken = true;
        meet_tls(conn, th->span);
        wsk__conn_spoke(conn);
    }
    conn->since_ms = wsk__now_ms();
    if (conn->h->head != NULL || wsk__http_draining(&conn->h->http))
        wsk__min_rate_moved(&conn->h->arrival, conn->since_ms, (uint64_t)n,
                            conn->conns->cfg->body_rate);
    return WSK__FEED_DATA;
}

/* Return true if the open request can be called with what has come. */
static bool is_ready(const struct wsk__conn *conn)
{
    return conn->h->head != NULL && !conn->h->called &&
           (conn->h->body.done ||
            conn->conns->site->buffering == WSK__BUFFER_NEVER);
}

enum wsk__feed wsk__http_feed_some(struct wsk__thread *th,
                                   struct wsk__conn *conn)
{
    enum wsk__feed got;

    for (;;) {
        wsk_http_event ev = wsk_http_next(&conn->h->http);

        if (ev.kind != WSK_HTTP_NONE) {
            got = on_event(conn, ev);
            if (got != WSK__FEED_MORE)
                return got;
            continue;
        }
        if (wsk_http_done(&conn->h->http))
            return WSK__FEED_ENDED;
        if (conn->h->head == NULL)
            wsk__http_lend(&conn->h->http, wsk__http1_of(th)->heads);
        switch (feed_waiting(th, conn)) {
        case FED_SOME:
            continue;
        case FED_ENDED:
            return WSK__FEED_ENDED;
        case FED_NOTHING:
            if (is_ready(conn))
                return WSK__FEED_READY;
            if (wsk__load_is_past(conn))
                return WSK__FEED_FULL;
            got = receive(th, conn);
            if (got != WSK__FEED_DATA)
                return got;
        }
    }
}
