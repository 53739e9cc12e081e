#include "net/http1/answer.h"

#include "base/buf.h"
#include "http/conn.h"
#include "http/reply.h"
#include "net/conn/conn.h"
#include "net/conn/lock.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/thread.h"
#include "net/http1/exchange.h"
#include "net/http1/output.h"
#include "net/os/clock.h"
#include "net/os/stream.h"
#include "net/request/call.h"
#include "net/request/request.h"
#include "net/request/timeout.h"
#include "net/server/server.h"
#include "wsocket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

void wsk__http_answer_503(struct wsk__thread *th, const struct wsk__conn *conn)
{
    const wsk_limits *limits = &conn->srv->cfg.limits;
    struct wsk__reply refusal = {
        .status = 503,
        .date = limits->date_header ? th->date.text : NULL,
        .server = limits->server_header,
        .to_head = conn->to_head,
    };
    struct wsk__buf out;

    wsk__buf_init(&out, 4096);
    wsk__date_refresh(&th->date);
    wsk__reply_refusal(&out, &refusal);
    if (wsk__buf_len(&out) > 0 &&
        wsk__stream_send(conn->fd, wsk__buf_data(&out), wsk__buf_len(&out),
                         false) < 0)
        wsk__stream_end_input(conn->fd);
    wsk__buf_free(&out);
    wsk__stream_end(conn->fd);
}

wsk_status wsk__http_write_beside(wsk_request *req, const uint8_t *data,
                                  size_t len)
{
    struct wsk__conn *conn = req->conn;
    size_t owed, n = wsk__http_admit_body(&conn->h->http, len);
    const uint8_t *queued = wsk_http_out_buf(&conn->h->http, &owed);
    wsk_str pieces[2] = {{(const char *)queued, owed}, {(const char *)data, n}};
    ssize_t sent;

    if (!wsk__may_answer(conn, WSK__BY_HANDLER))
        return wsk__request_gone(req);
    sent = wsk__stream_sendv(conn->fd, pieces, 2, false);
    if (sent < 0 && !wsk__stream_is_full())
        return wsk__request_gone(req);
    if (sent < 0)
        sent = 0;
    req->sent += n;
    req->head_left = true;
    if ((size_t)sent < owed) {
        wsk_http_out_ack(&conn->h->http, (size_t)sent);
        sent = 0;
    } else {
        wsk_http_out_ack(&conn->h->http, owed);
        sent -= (ssize_t)owed;
    }
    if (!wsk__buf_put(&conn->h->http.out, data + sent, n - (size_t)sent)) {
        wsk_request_abort(req);
        return WSK_E_NOMEM;
    }
    return WSK_OK;
}

wsk_status wsk__http_copy_file(struct wsk__conn *conn, int fd, uint64_t offset,
                               size_t n)
{
    uint8_t *room = wsk__buf_room(&conn->h->http.out, n);
    size_t done = 0;

    if (room == NULL)
        return WSK_E_NOMEM;
    while (done < n) {
        ssize_t got = pread(fd, room + done, n - done, (off_t)(offset + done));

        if (got == 0)
            errno = EIO;
        if (got == 0 || (got < 0 && errno != EINTR))
            return WSK_E_SYS;
        done += got > 0 ? (size_t)got : 0;
    }
    wsk__buf_grow_tail(&conn->h->http.out, n);
    return WSK_OK;
}

wsk_status wsk__http_send_101(wsk_request *req, const wsk_header *headers,
                              size_t n)
{
    return wsk_http_send_head(&req->conn->h->http, 101, NULL, headers, n, 0);
}

/* A stop asks whoever reads there to come to an end; what it still writes, a
 * last word, leaves. */
static void end_input_locked(const struct wsk__conn *conn)
{
    if (conn->fd >= 0)
        wsk__stream_end_input(conn->fd);
}

void wsk__detached_goaway(struct wsk__conn *conn)
{
    wsk__conn_lock(conn);
    if (conn->detached)
        end_input_locked(conn);
    wsk__conn_unlock(conn);
}

wsk_status wsk_request_take_socket(wsk_request *req, int *fd,
                                   const uint8_t **data, size_t *len)
{
    struct wsk__conn *conn = req->conn;

    if (!req->head->websocket || req->status != 0 || req->finished ||
        conn->ws != NULL || !conn->h->body.done ||
        wsk__forked(&conn->srv->life))
        return WSK_E_STATE;
    if (!wsk__may_answer(conn, WSK__BY_WEBSOCKET))
        return WSK_E_CLOSED;
    *fd = fcntl(conn->fd, F_DUPFD_CLOEXEC, 0);
    if (*fd < 0)
        return WSK_E_SYS;
    wsk__http_let_block(conn);
    *data = wsk__buf_data(&conn->h->in) + conn->h->in_fed;
    *len = wsk__buf_len(&conn->h->in) - conn->h->in_fed;
    req->status = 101; /* as far as we can tell */
    req->finished = true;
    wsk__request_log(req);
    wsk__conn_lock(conn);
    conn->detached = true;
    if (conn->srv->conns
            .draining) /* it was told before there was anything to tell */
        end_input_locked(conn);
    wsk__conn_unlock(conn);
    wsk__call_leave(req->thread);
    return WSK_OK;
}
