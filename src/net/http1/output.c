#include "net/http1/output.h"

#include "base/buf.h"
#include "http/conn.h"
#include "http/reply.h"
#include "net/conn/conn.h"
#include "net/dispatch/offload.h"
#include "net/dispatch/thread.h"
#include "net/http1/exchange.h"
#include "net/log/log.h"
#include "net/loop/post.h"
#include "net/os/clock.h"
#include "net/os/stream.h"
#include "net/request/segments.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <errno.h>
#include <stdatomic.h>

enum {
    KEEP_OUT = 128 << 10, /* a larger block is not kept for the next answer */
};

enum {
    STEP = 256 << 10,    /* of a file, between two looks at the disk */
    GO_MAX = 1024 << 10, /* of one connection, until others have a turn */
    GATHER = 8,          /* pieces of memory in one call */
    UNSENT = 256 << 10, /* octets the kernel holds beyond the client's window */
};

/* The queue of an engine with nothing to say borrows this thread's block, so
 * that an answer costs no allocation and an idle connection owns none. */
void wsk__http_lend_out(struct wsk__thread *th, struct wsk__conn *conn)
{
    struct wsk__buf *out = &conn->h->http.out;

    if (out->block == NULL) {
        size_t cap = out->cap;

        *out = th->spare_out;
        out->cap = cap;
        wsk__buf_init(&th->spare_out, SIZE_MAX / 4);
    }
}

static void return_out(struct wsk__thread *th, struct wsk__buf *out)
{
    if (wsk__buf_len(out) > 0)
        return;
    if (th != NULL && th->spare_out.block == NULL && out->size <= KEEP_OUT) {
        size_t cap = out->cap;

        th->spare_out = *out;
        wsk__buf_init(out, cap);
    } else {
        wsk__buf_free(out);
    }
}

uint64_t wsk__http_owed(const struct wsk__conn *conn)
{
    size_t queued;

    wsk_http_out_buf(&conn->h->http, &queued);
    return queued + conn->h->segments_owed;
}

static enum wsk__io flush_queue(struct wsk__conn *conn, bool more)
{
    size_t len;
    const uint8_t *data;

    while ((data = wsk_http_out_buf(&conn->h->http, &len)) != NULL) {
        ssize_t n = wsk__stream_send(conn->fd, data, len, more);

        if (n < 0 && wsk__stream_is_full())
            return WSK__IO_WAIT;
        if (n < 0)
            return WSK__IO_GONE;
        wsk_http_out_ack(&conn->h->http, (size_t)n);
        conn->since_ms = wsk__now_ms();
    }
    return WSK__IO_DONE;
}

/* A refusal of the engine's own is about to leave. One that a handler meets is
 * in the line of its request. */
static void tell_refusal(struct wsk__conn *conn, int status)
{
    const struct wsk_http *http = &conn->h->http;

    conn->h->told = true;
    if (!conn->h->called)
        wsk__http_log_refusal(
            conn, status, http->to_head ? 0 : wsk__reply_refusal_len(status));
}

static enum wsk__io flush(struct wsk__thread *th, struct wsk__conn *conn,
                          bool more)
{
    int refused = wsk__http_refused(&conn->h->http);
    enum wsk__io io = WSK__IO_DONE;

    if (wsk__forked(&conn->srv->life))
        return WSK__IO_GONE;
    if (refused != 0 && !conn->h->told)
        tell_refusal(conn, refused);
    if (conn->h->segments != NULL)
        io = wsk__segments_flush(conn);
    if (io == WSK__IO_DONE)
        io = flush_queue(conn, more);
    return_out(th, &conn->h->http.out);
    return io;
}

enum wsk__io wsk__http_flush(struct wsk__thread *th, struct wsk__conn *conn)
{
    return flush(th, conn, false);
}

enum wsk__io wsk__http_flush_in_turn(struct wsk__thread *th,
                                     struct wsk__conn *conn)
{
    bool ends = wsk_http_done(&conn->h->http) && !conn->h->reset;

    if (conn->h->http.out.block == NULL && conn->h->segments == NULL)
        return WSK__IO_DONE; /* as at the beginning of most turns */
    return flush(th, conn, ends);
}

/* Of the queue ahead of it, and of the first part itself, so much has left. */
static void ack_queue(struct wsk__conn *conn, struct wsk__segment *part,
                      size_t n)
{
    wsk_http_out_ack(&conn->h->http, n);
    part->before -= n;
    conn->h->segments_before -= n;
}

static ssize_t send_file(struct wsk__conn *conn,
                         const struct wsk__segment *part, size_t n)
{
    if (conn->srv->site.plain_files)
        return wsk__stream_copyfile(conn->fd, part->fd, part->offset, n);
    if (!conn->h->nonblocking)
        wsk__stream_block(conn->fd, false);
    conn->h->nonblocking = true;
    return wsk__stream_sendfile(conn->fd, part->fd, part->offset, n);
}

void wsk__segments_let_block(struct wsk__conn *conn)
{
    if (conn->h->nonblocking)
        wsk__stream_block(conn->fd, true);
    conn->h->nonblocking = false;
}

/* The file has become shorter, or cannot be read. */
static enum wsk__io cut(struct wsk__conn *conn, const struct wsk__segment *part)
{
    if (part->ends_by_close)
        wsk__stream_reset(conn->fd);
    wsk__logf(&conn->srv->logs, WSK_LOG_WARNING,
              "a file ended before all of it was sent that was "
              "announced: the answer is cut");
    return WSK__IO_GONE;
}

static enum wsk__io later(struct wsk__conn *conn)
{
    if (conn->h->called) /* its handler goes on, or the loop after it */
        return WSK__IO_WAIT;
    wsk__conn_post(conn, WSK__POST_LOOK);
    return WSK__IO_LATER;
}

static enum wsk__io send_part(struct wsk__conn *conn, struct wsk__segment *part,
                              size_t *budget)
{
    while (part->left > 0) {
        size_t n = part->left < STEP ? (size_t)part->left : STEP;
        ssize_t sent;

        if (*budget < n)
            return later(conn);
        /* A handler may wait for a disk: it is watched. */
        if (!conn->h->called && !wsk__segment_in_memory(conn->srv, part, n) &&
            wsk__exchange_offload(conn, wsk__segment_read_ahead))
            return WSK__IO_LATER;
        sent = send_file(conn, part, n);
        if (sent < 0 && wsk__stream_is_full())
            return WSK__IO_WAIT;
        if (sent == 0 || (sent < 0 && errno == EIO))
            return cut(conn, part);
        if (sent < 0)
            return WSK__IO_GONE;
        wsk__segment_ack(conn, part, (size_t)sent);
        *budget -= (size_t)sent;
        conn->since_ms = wsk__now_ms();
    }
    return WSK__IO_DONE;
}

/* The queue and what is lent, as far as the next file, in one call. */
static ssize_t send_memory(const struct wsk__conn *conn)
{
    wsk_str pieces[2 * GATHER + 1];
    const struct wsk__segment *part = conn->h->segments;
    size_t len, behind, n = 0;
    const char *queue = (const char *)wsk_http_out_buf(&conn->h->http, &behind);

    if (queue == NULL)
        queue = "";
    for (int i = 0; part != NULL && i < GATHER; i++, part = part->next) {
        len = part->before;
        pieces[n++] = (wsk_str){queue, len};
        queue += len;
        behind -= len;
        if (part->fd >= 0)
            break;
        pieces[n++] = (wsk_str){(const char *)part->data + part->offset,
                                (size_t)part->left};
    }
    if (part == NULL)
        pieces[n++] = (wsk_str){queue, behind};
    return wsk__stream_sendv(conn->fd, pieces, n, part != NULL);
}

/* n octets of the queue and of what is lent have left. */
static void ack_memory(struct wsk__conn *conn, size_t n)
{
    struct wsk__segment *part;

    while ((part = conn->h->segments) != NULL) {
        size_t queued = n < part->before ? n : part->before;
        size_t lent = n - queued;

        ack_queue(conn, part, queued);
        if (part->before > 0 || part->fd >= 0)
            return;
        if (lent < part->left) {
            wsk__segment_ack(conn, part, lent);
            return;
        }
        n = lent - (size_t)part->left;
        wsk__segments_drop_first(conn);
    }
    wsk_http_out_ack(&conn->h->http, n);
}

static enum wsk__io flush_memory(struct wsk__conn *conn)
{
    ssize_t sent = send_memory(conn);

    if (sent < 0)
        return wsk__stream_is_full() ? WSK__IO_WAIT : WSK__IO_GONE;
    ack_memory(conn, (size_t)sent);
    conn->since_ms = wsk__now_ms();
    return WSK__IO_DONE;
}

/* Left alone, the kernel takes megabytes for each client that does not read: a
 * thousand of them exhaust what it has for TCP, and everybody waits. */
static void pace(struct wsk__conn *conn)
{
    conn->h->paced = true;
    wsk__stream_limit_unsent(conn->fd, UNSENT);
}

enum wsk__io wsk__segments_flush(struct wsk__conn *conn)
{
    size_t budget = GO_MAX;

    if (conn->h->segments_owed > UNSENT && !conn->h->paced)
        pace(conn);
    while (conn->h->segments != NULL) {
        struct wsk__segment *part = conn->h->segments;
        enum wsk__io io;

        if (atomic_load(&conn->h->at_disk))
            return WSK__IO_LATER;
        if (part->before > 0 || part->fd < 0) {
            io = flush_memory(conn);
        } else {
            io = send_part(conn, part, &budget);
            if (io == WSK__IO_DONE)
                wsk__segments_drop_first(conn);
        }
        if (io != WSK__IO_DONE)
            return io;
    }
    return WSK__IO_DONE;
}
