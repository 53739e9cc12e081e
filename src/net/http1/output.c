#include "net/http1/output.h"

#include "base/buf.h"
#include "http/conn.h"
#include "http/reply.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/dispatch/thread.h"
#include "net/http1/exchange.h"
#include "net/http1/thread.h"
#include "net/log/log.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/stream.h"
#include "net/request/segments.h"
#include "net/request/site.h"
#include "wsocket.h"

#include <errno.h>
#include <stdatomic.h>

enum {
    KEEP_OUT = 128 << 10, /* bytes of a block kept for the next answer */
};

enum {
    GO_MAX = 1024 << 10, /* bytes from files until others have a turn */
    GATHER = 8,          /* segments in one call */
    UNSENT = 256 << 10,  /* bytes the kernel holds beyond the peer's window */
};

void wsk__http_lend_out(struct wsk__thread *th, struct wsk__conn *conn)
{
    struct wsk__buf *out = &conn->h->http.out;

    if (out->block == NULL) {
        size_t cap = out->cap;

        *out = wsk__http1_of(th)->spare_out;
        out->cap = cap;
        wsk__buf_init(&wsk__http1_of(th)->spare_out, SIZE_MAX / 4);
    }
}

static void return_out(struct wsk__thread *th, struct wsk__buf *out)
{
    if (wsk__buf_len(out) > 0)
        return;
    if (th != NULL && wsk__http1_of(th)->spare_out.block == NULL &&
        out->size <= KEEP_OUT) {
        size_t cap = out->cap;

        wsk__http1_of(th)->spare_out = *out;
        wsk__buf_init(out, cap);
    } else {
        wsk__buf_free(out);
    }
}

uint64_t wsk__http_owed(const struct wsk__conn *conn)
{
    size_t queued;

    wsk_http_out_buf(&conn->h->http, &queued);
    return queued + conn->h->segments.owed;
}

static enum wsk__io flush_queue(struct wsk__conn *conn, bool more)
{
    size_t len;
    const uint8_t *data;

    while ((data = wsk_http_out_buf(&conn->h->http, &len)) != NULL) {
        ssize_t n = wsk__stream_send(&conn->stream, data, len, more);

        if (n < 0 && wsk__stream_is_full())
            return WSK__IO_WAIT;
        if (n < 0)
            return WSK__IO_GONE;
        wsk_http_out_ack(&conn->h->http, (size_t)n);
        conn->since_ms = wsk__now_ms();
    }
    return WSK__IO_DONE;
}

/* Note that `n` bytes of the queue have left, which stood before the first
 * segment. */
static void ack_queue(struct wsk__exchange *h, size_t n)
{
    wsk_http_out_ack(&h->http, n);
    h->segments.first->before -= n;
    h->segments.before -= n;
}

/* Forget the first segment. While the handler runs, its thread gives lent
 * memory back; afterwards a call of its own does. */
static void drop_first(struct wsk__conn *conn)
{
    wsk__segments_drop_first(&conn->h->segments,
                             conn->h->called ? NULL : conn->conns->dispatch);
}

static ssize_t send_file(struct wsk__conn *conn,
                         const struct wsk__segment *file, size_t n)
{
    if (conn->conns->site->plain_files)
        return wsk__stream_copyfile(&conn->stream, file->fd, file->offset, n);
    if (!conn->h->nonblocking)
        wsk__stream_block(&conn->stream, false);
    conn->h->nonblocking = true;
    return wsk__stream_sendfile(&conn->stream, file->fd, file->offset, n);
}

void wsk__http_let_block(struct wsk__conn *conn)
{
    if (conn->h->nonblocking)
        wsk__stream_block(&conn->stream, true);
    conn->h->nonblocking = false;
}

/* End the connection: a file has become shorter, or cannot be read. */
static enum wsk__io cut(struct wsk__conn *conn, const struct wsk__segment *file)
{
    if (file->ends_by_close)
        wsk__stream_reset(&conn->stream);
    wsk__logf(conn->conns->logs, WSK_LOG_WARNING,
              "a file ended before all of it was sent that was "
              "announced: the answer is cut");
    return WSK__IO_GONE;
}

/* Let other connections have their turn. */
static enum wsk__io later(struct wsk__conn *conn)
{
    if (conn->h->called) /* the handler goes on, or the loop after it */
        return WSK__IO_WAIT;
    wsk__conn_post(conn, WSK__POST_LOOK);
    return WSK__IO_LATER;
}

static void read_ahead(struct wsk__conn *conn)
{
    wsk__segment_read_ahead(conn->h->segments.first);
}

/* Send from a file, at most *budget bytes. */
static enum wsk__io flush_file(struct wsk__conn *conn, size_t *budget)
{
    struct wsk__segment *file = conn->h->segments.first;
    bool may_ask = !conn->conns->site->plain_files;

    while (file->left > 0) {
        size_t n = file->left < WSK__SEGMENT_STEP ? (size_t)file->left
                                                  : WSK__SEGMENT_STEP;
        ssize_t sent;

        if (*budget < n)
            return later(conn);
        /* The loop must not wait for a disk. A handler may: it is watched. */
        if (!conn->h->called && !wsk__segment_in_memory(file, n, may_ask) &&
            wsk__exchange_offload(conn, read_ahead))
            return WSK__IO_LATER;
        sent = send_file(conn, file, n);
        if (sent < 0 && wsk__stream_is_full())
            return WSK__IO_WAIT;
        if (sent == 0 || (sent < 0 && errno == EIO))
            return cut(conn, file);
        if (sent < 0)
            return WSK__IO_GONE;
        wsk__segments_ack(&conn->h->segments, (size_t)sent);
        *budget -= (size_t)sent;
        conn->since_ms = wsk__now_ms();
    }
    drop_first(conn);
    return WSK__IO_DONE;
}

/* Send the queue and lent memory, as far as the next file, in one call. */
static ssize_t send_memory(const struct wsk__conn *conn)
{
    wsk_str pieces[2 * GATHER + 1];
    const struct wsk__segment *at = conn->h->segments.first;
    size_t behind, n = 0;
    const char *queue = (const char *)wsk_http_out_buf(&conn->h->http, &behind);

    if (queue == NULL)
        queue = "";
    for (int i = 0; at != NULL && i < GATHER; i++, at = at->next) {
        pieces[n++] = (wsk_str){queue, at->before};
        queue += at->before;
        behind -= at->before;
        if (at->fd >= 0)
            break;
        pieces[n++] =
            (wsk_str){(const char *)at->data + at->offset, (size_t)at->left};
    }
    if (at == NULL)
        pieces[n++] = (wsk_str){queue, behind};
    return wsk__stream_sendv(&conn->stream, pieces, n, at != NULL);
}

/* Note that `n` bytes of the queue and of lent memory have left. */
static void ack_memory(struct wsk__conn *conn, size_t n)
{
    struct wsk__segments *segments = &conn->h->segments;
    struct wsk__segment *first;

    while ((first = segments->first) != NULL) {
        size_t queued = n < first->before ? n : first->before;
        size_t lent = n - queued;

        ack_queue(conn->h, queued);
        if (first->before > 0 || first->fd >= 0)
            return;
        if (lent < first->left) {
            wsk__segments_ack(segments, lent);
            return;
        }
        n = lent - (size_t)first->left;
        drop_first(conn);
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

/* Send the segments, and what stands before each in the queue. */
static enum wsk__io flush_segments(struct wsk__conn *conn)
{
    struct wsk__exchange *h = conn->h;
    size_t budget = GO_MAX;

    /* Left alone, the kernel takes megabytes for each client that does not
     * read: a thousand of them exhaust what it has for TCP. */
    if (h->segments.owed > UNSENT && !h->limits_unsent) {
        h->limits_unsent = true;
        wsk__stream_limit_unsent(&conn->stream, UNSENT);
    }
    while (h->segments.first != NULL) {
        const struct wsk__segment *first = h->segments.first;
        enum wsk__io io;

        if (atomic_load(&h->at_disk))
            return WSK__IO_LATER;
        io = first->before > 0 || first->fd < 0 ? flush_memory(conn)
                                                : flush_file(conn, &budget);
        if (io != WSK__IO_DONE)
            return io;
    }
    return WSK__IO_DONE;
}

/* Log a refusal of the engine's own, which is about to leave. The line of a
 * request has that which its handler met. */
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

    if (wsk__forked(conn->conns->life))
        return WSK__IO_GONE;
    if (refused != 0 && !conn->h->told)
        tell_refusal(conn, refused);
    if (conn->h->segments.first != NULL)
        io = flush_segments(conn);
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

    if (conn->h->http.out.block == NULL && conn->h->segments.first == NULL)
        return WSK__IO_DONE; /* as at the beginning of most turns */
    return flush(th, conn, ends);
}
