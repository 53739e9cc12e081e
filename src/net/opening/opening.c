#include "net/opening/opening.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "base/mem.h"
#include "http/proxy.h"
#include "http/reply.h"
#include "http/select.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/drain.h"
#include "net/conn/load.h"
#include "net/conn/peer.h"
#include "net/conn/protocol.h"
#include "net/dispatch/offload.h"
#include "net/dispatch/thread.h"
#include "net/log/limits.h"
#include "net/log/log.h"
#include "net/log/metrics.h"
#include "net/loop/loop.h"
#include "net/loop/source.h"
#include "net/os/clock.h"
#include "net/os/poller.h"
#include "net/os/stream.h"
#include "tls/engine.h"
#include "tls/hello.h"
#include "tls/peer.h"
#include "tls/set.h"

#include <assert.h>
#include <string.h>

enum {
    ASKED_MAX = 1024, /* handshakes that are jobs at one time */
};

/* Step of an opening. */
enum step {
    STEP_PROXY, /* the header of the PROXY protocol is to come */
    STEP_HELLO, /* the whole ClientHello is to come */
    STEP_WAIT,  /* the ClientHello is there, and others go first */
    STEP_SHAKE, /* the handshake goes on */
};

struct link {
    struct wsk__opening *older, *newer;
};

struct wsk__opening {
    struct wsk__ends ends;
    struct wsk__buf in; /* received, not yet parsed */
    uint64_t since_ms;
    uint64_t began_ns; /* for the metrics; 0: nothing is counted */
    enum step step;
    bool tls; /* TLS is to come */

    /* TLS */
    struct wsk__conn *conn;
    struct link all, waiting; /* in the lists of conns->openings */
    struct wsk__tls_hello hello;
    size_t counted; /* bytes that conns->counted counts for it */
    bool listed, queued, expired;

    /* TLS; the job's while conn->busy */
    struct wsk__tls_set *set; /* a reference, until `stream` is made */
    struct wsk__stream_tls *stream;
    struct wsk__buf early;      /* input behind the handshake */
    struct wsk__tls_peer *peer; /* once that is done */
    struct wsk__job job;
    enum wsk__tls_got got;
    bool no_memory;
};

/* ------------------------------------------------------------ the lists --- */

static void append(struct wsk__opening_list *list, struct wsk__opening *opening,
                   size_t offset)
{
    struct link *own = (struct link *)(void *)((char *)opening + offset);

    *own = (struct link){.older = list->newest};
    if (list->newest != NULL)
        ((struct link *)(void *)((char *)list->newest + offset))->newer =
            opening;
    else
        list->oldest = opening;
    list->newest = opening;
}

static void take_out(struct wsk__opening_list *list,
                     struct wsk__opening *opening, size_t offset)
{
    const struct link *own = (struct link *)(void *)((char *)opening + offset);

    if (own->older != NULL)
        ((struct link *)(void *)((char *)own->older + offset))->newer =
            own->newer;
    else
        list->oldest = own->newer;
    if (own->newer != NULL)
        ((struct link *)(void *)((char *)own->newer + offset))->older =
            own->older;
    else
        list->newest = own->older;
}

static void enlist(struct wsk__opening *opening)
{
    struct wsk__openings *openings = opening->conn->conns->openings;

    append(&openings->all, opening, offsetof(struct wsk__opening, all));
    openings->n++;
    opening->listed = true;
}

static void enqueue(struct wsk__opening *opening)
{
    append(&opening->conn->conns->openings->waiting, opening,
           offsetof(struct wsk__opening, waiting));
    opening->step = STEP_WAIT;
    opening->queued = true;
}

static void dequeue(struct wsk__opening *opening)
{
    if (opening->queued)
        take_out(&opening->conn->conns->openings->waiting, opening,
                 offsetof(struct wsk__opening, waiting));
    opening->queued = false;
}

/* Take an opening out of both lists. */
static void delist(struct wsk__opening *opening)
{
    struct wsk__openings *openings = opening->conn->conns->openings;

    dequeue(opening);
    if (!opening->listed)
        return;
    take_out(&openings->all, opening, offsetof(struct wsk__opening, all));
    openings->n--;
    opening->listed = false;
}

/* Count what it holds against memory_limit. */
static void account(struct wsk__opening *opening)
{
    size_t bytes =
        opening->in.size + opening->early.size +
        (opening->stream != NULL && atomic_load(&opening->stream->partial)
             ? WSK__TLS_INSIDE
             : 0);

    if (opening->conn->conns->cfg->memory_limit == 0)
        return;
    atomic_fetch_add(&opening->conn->conns->counted,
                     bytes - opening->counted); /* may wrap */
    opening->counted = bytes;
}

/* Free what is left of an opening; no other thread knows the connection. */
WSK__TLS_ONLY static void opening_free(struct wsk__conn *conn)
{
    struct wsk__opening *opening = conn->opening;

    conn->opening = NULL;
    if (opening == NULL)
        return;
    atomic_fetch_sub(&conn->conns->counted, opening->counted);
    wsk__tls_set_unref(opening->set);
    wsk__stream_tls_free(opening->stream);
    wsk__tls_peer_free(opening->peer);
    wsk__buf_free(&opening->early);
    wsk__buf_free(&opening->in);
    wsk__free(opening->ends.proxy);
    wsk__free(opening);
}

WSK__TLS_ONLY static void on_closed(struct wsk__conn *conn)
{
    if (conn->opening != NULL)
        delist(conn->opening);
    opening_free(conn);
}

/* Speak a protocol from now on; `early` is the input so far. */
static wsk__leads complete(struct wsk__thread *th, struct wsk__conn *conn,
                           const struct wsk__protocol *protocol,
                           struct wsk__buf *early)
{
    struct wsk__opening *opening = conn->opening;
    struct wsk__ends ends = opening->ends;
    struct wsk__buf in = *early;
    bool opened;

    delist(opening);
    opening->ends.proxy = NULL;
    wsk__buf_init(early, WSK__BUF_CAP_MAX);
    opening_free(conn); /* the protocol's state takes the place */
    opened = protocol->open(conn, &ends, &in);
    if (!opened) {
        wsk__conn_close(conn);
        return true;
    }
    atomic_store_explicit(&conn->ops, protocol->ops, memory_order_release);
    return protocol->ops->ready(th, conn, WSK__READ);
}

/* ------------------------------------------------- the end of an opening ---
 */

/* Count a handshake that failed, and tell why once a second. */
static void count_failure(struct wsk__conn *conn, const char *reason)
{
    unsigned long long n;

    if (conn->conns->metrics != NULL)
        wsk__count_handshake(conn->conns->metrics, NULL, 0);
    if (wsk__limit_due(conn->conns->logs, WSK__LIMIT_HANDSHAKES, &n))
        wsk__logf(conn->conns->logs, WSK_LOG_WARNING,
                  "TLS handshake failed: %s: %llu since the start", reason, n);
}

static wsk__leads fail(struct wsk__conn *conn, const char *reason)
{
    count_failure(conn, reason);
    wsk__conn_close(conn);
    return true;
}

/* Answer a client that does not speak TLS. */
static wsk__leads refuse_plain(struct wsk__conn *conn)
{
    static const char TEXT[] =
        "This port speaks HTTPS: the address begins with https:// or wss://\n";
    static const wsk_header TYPE = {{"Content-Type", 12}, {"text/plain", 10}};
    char date[WSK__HTTP_DATE + 1];
    struct wsk__reply reply = {
        .status = 400,
        .headers = &TYPE,
        .n = 1,
        .length = strlen(TEXT),
        .date = date,
        .server = conn->conns->cfg->limits.server_header};
    struct wsk__buf out;

    count_failure(conn, "a client speaks plain HTTP");
    wsk__buf_init(&out, 4096);
    wsk__date_write(wsk__wall_s(), date);
    if (wsk__reply_head(&out, &reply) == WSK_OK &&
        wsk__buf_put(&out, TEXT, strlen(TEXT)))
        wsk__stream_send(&conn->stream, wsk__buf_data(&out), wsk__buf_len(&out),
                         true);
    wsk__buf_free(&out);
    wsk__conn_linger(conn);
    return true;
}

/* Serve a client whose first octet is none of TLS. */
static wsk__leads meet_plain(struct wsk__thread *th, struct wsk__conn *conn)
{
    struct wsk__opening *opening = conn->opening;

    if (!wsk__is_tchar(*wsk__buf_data(&opening->in)))
        return fail(conn, "a client speaks no TLS");
    if (conn->conns->https_port != 0)
        return complete(th, conn, conn->conns->protocol, &opening->in);
    return refuse_plain(conn);
}

/* -------------------------------------------------------- the handshake --- */

static struct wsk__opening *of_job(struct wsk__job *job)
{
    return WSK__OWNER(job, struct wsk__opening, job);
}

static void drop_set(void *set)
{
    wsk__tls_set_unref(set);
}

/* Make the engine, which keeps the certificates of this moment. */
static bool make_engine(struct wsk__opening *opening)
{
    const struct wsk__conns *conns = opening->conn->conns;
    struct wsk__tls_set *set = opening->set;
    struct wsk__tls *engine =
        wsk__tls_new(wsk__tls_set_context(set), WSK__TLS_SERVER, drop_set, set);

    if (engine == NULL)
        return false;
    opening->set = NULL;
    wsk__tls_speak(engine, conns->alpn, conns->n_protocols);
    opening->stream = wsk__stream_tls_new(opening->conn->stream.fd, engine);
    return opening->stream != NULL;
}

WSK__TLS_ONLY static void run_job(struct wsk__job *job)
{
    struct wsk__opening *opening = of_job(job);
    wsk_str span = {(const char *)wsk__buf_data(&opening->in),
                    wsk__buf_len(&opening->in)};
    bool fits;

    opening->got = WSK__TLS_BAD;
    opening->no_memory = opening->stream == NULL && !make_engine(opening);
    if (opening->no_memory)
        return;
    opening->got =
        wsk__stream_tls_shake(opening->stream, &span, &opening->early, &fits);
    wsk__buf_free(&opening->in);
    if (fits && opening->got == WSK__TLS_DONE)
        opening->peer = wsk__tls_peer_new(opening->stream->engine);
    opening->no_memory =
        !fits || (opening->got == WSK__TLS_DONE && opening->peer == NULL);
}

WSK__TLS_ONLY static void end_job(struct wsk__job *job)
{
    wsk__conn_post_unref(of_job(job)->conn, WSK__POST_RUN);
}

/* Let a thread go on with the handshake. Until its post, the connection is
 * busy. */
static void ask(struct wsk__conn *conn)
{
    struct wsk__opening *opening = conn->opening;

    opening->step = STEP_SHAKE;
    opening->job.run = run_job;
    opening->job.done = end_job;
    conn->conns->openings->n_asked++;
    conn->busy = true;
    wsk__watch(conn, 0);
    wsk__conn_ref(conn);
    if (!wsk__offload_ask(conn->conns->shakes, &opening->job)) {
        run_job(&opening->job); /* slow for others, but not lost */
        end_job(&opening->job);
    }
}

/* Let the next one go on that waits. */
static void ask_next(struct wsk__conns *conns)
{
    struct wsk__opening *next = conns->openings->waiting.oldest;

    if (next == NULL || conns->openings->n_asked >= ASKED_MAX)
        return;
    dequeue(next);
    ask(next->conn);
}

/* Begin the handshake: the whole ClientHello is there. */
static void begin_shake(struct wsk__conn *conn)
{
    struct wsk__opening *opening = conn->opening;

    opening->set = conn->conns->tls(conn->conns);
    if (conn->conns->openings->n_asked < ASKED_MAX)
        ask(conn);
    else
        enqueue(opening);
}

/* Return the row of the protocol that the handshake has agreed on. */
static const struct wsk__protocol *agreed(const struct wsk__conn *conn)
{
    const struct wsk__conns *conns = conn->conns;
    struct wsk__tls_facts facts;

    wsk__tls_facts(conn->stream.tls->engine, &facts);
    for (size_t i = 0; i < conns->n_protocols; i++)
        if (facts.protocol.len == conns->alpn[i].len &&
            memcmp(facts.protocol.p, conns->alpn[i].p, facts.protocol.len) == 0)
            return &conns->protocol[i];
    return conns->protocol; /* the client has named none */
}

/* End a connection whose handshake has failed. The alert has left. */
static wsk__leads fail_shake(struct wsk__conn *conn)
{
    const struct wsk__opening *opening = conn->opening;
    char reason[WSK__TLS_REASON_MAX];

    if (opening->no_memory)
        return fail(conn, "out of memory");
    if (opening->expired)
        return fail(conn, "it took too long");
    wsk__tls_reason(opening->stream->engine, reason);
    count_failure(conn, reason);
    wsk__conn_linger(conn);
    return true;
}

static wsk__leads go_on(struct wsk__thread *th, struct wsk__conn *conn);

/* See what a step of the handshake has come to. */
static wsk__leads end_step(struct wsk__thread *th, struct wsk__conn *conn)
{
    struct wsk__opening *opening = conn->opening;

    account(opening);
    if (opening->no_memory || opening->got == WSK__TLS_BAD)
        return fail_shake(conn);
    if (opening->got != WSK__TLS_DONE)
        return opening->expired ? fail_shake(conn) : go_on(th, conn);
    conn->stream.tls = opening->stream;
    opening->stream = NULL;
    conn->tls = opening->peer;
    opening->peer = NULL;
    opening->ends.tls = conn->tls;
    if (opening->began_ns != 0)
        wsk__count_handshake(conn->conns->metrics, &conn->tls->info,
                             wsk__now_ns() - opening->began_ns);
    return complete(th, conn, agreed(conn), &opening->early);
}

/* ----------------------------------------------------------- the octets --- */

/* Read once. False: nothing has come, or the connection has closed. */
static bool receive(struct wsk__thread *th, struct wsk__conn *conn)
{
    ssize_t n = wsk__stream_recv(&conn->stream, th->rx, WSK__RX_SIZE);

    if (n > 0 && wsk__buf_put(&conn->opening->in, th->rx, (size_t)n)) {
        conn->since_ms = wsk__now_ms();
        wsk__conn_spoke(conn);
        account(conn->opening);
        return true;
    }
    if (n < 0 && wsk__stream_is_full()) {
        bool owes = conn->opening->stream != NULL &&
                    atomic_load(&conn->opening->stream->owed) > 0;

        wsk__watch(conn, WSK__READ | (owes ? WSK__WRITE : 0u));
        wsk__rearm(conn);
    } else {
        if (conn->opening->step == STEP_SHAKE)
            count_failure(conn, "the client has gone");
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
            if (!opening->tls)
                return complete(th, conn, conn->conns->protocol, &opening->in);
            opening->step = STEP_HELLO;
            return go_on(th, conn);
        case WSK__PROXY_BAD:
            wsk__limit_hit(conn->conns->logs, WSK__LIMIT_PROXY);
            wsk__conn_close(conn);
            return true;
        }
        if (!receive(th, conn))
            return true;
    }
}

/* Collect the whole ClientHello, over as many records and segments as it takes.
 */
static wsk__leads take_hello(struct wsk__thread *th, struct wsk__conn *conn)
{
    struct wsk__opening *opening = conn->opening;

    for (;;) {
        const uint8_t *data = wsk__buf_data(&opening->in);
        size_t len = wsk__buf_len(&opening->in);

        if (len > 0 && *data != WSK__TLS_HELLO_FIRST)
            return meet_plain(th, conn);
        switch (wsk__tls_hello_whole(&opening->hello, data, len)) {
        case WSK__TLS_HELLO_NO:
            break;
        case WSK__TLS_HELLO_WHOLE:
            begin_shake(conn);
            return true;
        case WSK__TLS_HELLO_BAD:
            return fail(conn, "no ClientHello");
        }
        if (wsk__memory_is_past(conn->conns) && len > 0)
            return fail(conn, "memory_limit is passed");
        if (!receive(th, conn))
            return true;
    }
}

/* Go on with the handshake once the client has answered. */
static wsk__leads take_answer(struct wsk__thread *th, struct wsk__conn *conn)
{
    struct wsk__stream_tls *stream = conn->opening->stream;

    if (atomic_load(&stream->owed) > 0)
        wsk__stream_tls_flush(stream); /* a read tells of a failure */
    if (receive(th, conn))
        ask(conn);
    return true;
}

static wsk__leads go_on(struct wsk__thread *th, struct wsk__conn *conn)
{
    switch (conn->opening->step) {
    case STEP_PROXY:
        return take_header(th, conn);
    case STEP_HELLO:
        return take_hello(th, conn);
    case STEP_WAIT:
        break;
    case STEP_SHAKE:
        return take_answer(th, conn);
    }
    return true;
}

/* ------------------------------------------------------------- the loop --- */

WSK__TLS_ONLY static wsk__leads on_ready(struct wsk__thread *th,
                                         struct wsk__conn *conn, unsigned what)
{
    if (!wsk__conn_is_open(conn) ||
        (what == WSK__WRITE && conn->opening->step != STEP_SHAKE))
        return true;
    return go_on(th, conn);
}

WSK__TLS_ONLY static wsk__leads on_posted(struct wsk__thread *th,
                                          struct wsk__conn *conn, unsigned what)
{
    if (what & WSK__POST_RUN) {
        conn->conns->openings->n_asked--;
        ask_next(conn->conns);
    }
    if (!wsk__conn_is_open(conn))
        return true;
    return what & WSK__POST_RUN ? end_step(th, conn) : go_on(th, conn);
}

/* Return true if nothing has come, and the server leaves. */
static bool may_leave(const struct wsk__conn *conn)
{
    return conn->conns->draining && conn->opening->step <= STEP_HELLO &&
           wsk__buf_len(&conn->opening->in) == 0;
}

static uint64_t due_ms(struct wsk__conn *conn)
{
    const struct wsk__opening *opening = conn->opening;
    const wsk_server_config *cfg = conn->conns->cfg;

    if (may_leave(conn))
        return wsk__drain_idle_due(conn->conns, opening->since_ms, false);
    return opening->since_ms + (opening->tls ? cfg->tls_handshake_timeout_ms
                                             : cfg->head_timeout_ms);
}

WSK__TLS_ONLY static wsk__leads on_expired(struct wsk__thread *th,
                                           struct wsk__conn *conn)
{
    struct wsk__opening *opening = conn->opening;

    if (conn->busy) { /* a thread uses it, and its post closes it */
        opening->expired = due_ms(conn) <= conn->conns->loop->now_ms;
        if (!opening->expired)
            wsk__rearm(conn);
        return true;
    }
    if (may_leave(conn)) {
        if (wsk__stream_peek(&conn->stream)) /* the poller has not told yet */
            return go_on(th, conn);
    } else if (opening->step == STEP_PROXY) {
        wsk__limit_hit(conn->conns->logs, WSK__LIMIT_PROXY);
    } else {
        count_failure(conn, "it took too long");
    }
    wsk__conn_close(conn);
    return true;
}

static bool is_idle(const struct wsk__conn *conn)
{
    return conn->opening != NULL && conn->opening->step <= STEP_HELLO &&
           wsk__buf_len(&conn->opening->in) == 0 &&
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
    .closed = on_closed,
    .release = opening_free,
};

/* Close the oldest opening: too many are unfinished. */
static void close_oldest(struct wsk__conns *conns)
{
    struct wsk__opening *oldest = conns->openings->all.oldest;

    delist(oldest);
    if (oldest->conn->busy) {
        oldest->expired = true;
        return;
    }
    count_failure(oldest->conn, "too many are under way");
    wsk__conn_close(oldest->conn);
}

WSK__TLS_ONLY static bool begin(struct wsk__conn *conn, struct wsk__ends *ends,
                                bool tls)
{
    struct wsk__opening *opening = wsk__calloc(sizeof(*opening));
    struct wsk__conns *conns = conn->conns;

    if (opening == NULL) {
        wsk__free(ends->proxy);
        return false;
    }
    opening->conn = conn;
    opening->ends = *ends;
    opening->since_ms = wsk__now_ms();
    opening->began_ns = conns->metrics != NULL ? wsk__now_ns() : 0;
    opening->tls = tls;
    opening->step = conns->cfg->proxy_protocol ? STEP_PROXY : STEP_HELLO;
    wsk__buf_init(&opening->in, WSK__BUF_CAP_MAX);
    wsk__buf_init(&opening->early, WSK__BUF_CAP_MAX);
    conn->opening = opening;
    atomic_init(&conn->ops, &OPENING);
    if (tls) {
        enlist(opening);
        if (conns->openings->n > conns->cfg->max_connections / 2 &&
            conns->openings->all.oldest != opening)
            close_oldest(conns);
    }
    return true;
}

bool wsk__opening_begin(struct wsk__conn *conn, struct wsk__ends *ends,
                        bool plain)
{
    const struct wsk__protocol *protocol = conn->conns->protocol;
    bool tls = conn->conns->tls != NULL && !plain && !conn->admin;

    if (!wsk__ends_open(conn->conns, ends))
        return false;
    if (tls || (conn->conns->cfg->proxy_protocol && !conn->admin))
        return begin(conn, ends, tls);
    atomic_init(&conn->ops, protocol->ops);
    return protocol->open(conn, ends, NULL);
}
