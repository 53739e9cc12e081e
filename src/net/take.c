/* wsk_request_take_socket(): a handler speaks on the connection by itself. */
#include "net/deadline.h"
#include "net/dispatch.h"
#include "net/log/access.h"
#include "net/parts.h"
#include "net/pump.h"

#include <fcntl.h>
#include <sys/socket.h>

/* A stop asks whoever reads there to come to an end; what it still writes, a
 * last word, leaves. */
static void end_input_locked(const struct wsk_conn *conn)
{
    if (conn->fd >= 0)
        shutdown(conn->fd, SHUT_RD);
}

void wsk__taken_goaway(struct wsk_conn *conn)
{
    wsk__conn_lock(conn);
    if (conn->taken)
        end_input_locked(conn);
    wsk__conn_unlock(conn);
}

wsk_status wsk_request_take_socket(wsk_request *req, int *fd,
                                   const uint8_t **data, size_t *len)
{
    struct wsk_conn *conn = req->conn;

    if (!req->head->websocket || req->status != 0 || req->finished ||
        conn->ws != NULL || !conn->h->body_done || wsk__forked(conn->srv))
        return WSK_E_STATE;
    if (!wsk__claim_answer(conn, WSK__SOCKET))
        return WSK_E_CLOSED;
    *fd = fcntl(conn->fd, F_DUPFD_CLOEXEC, 0);
    if (*fd < 0)
        return WSK_E_SYS;
    wsk__parts_let_block(conn);
    *data = wsk__buf_data(&conn->h->in) + conn->h->in_fed;
    *len = wsk__buf_len(&conn->h->in) - conn->h->in_fed;
    req->status = 101; /* as far as we can tell */
    req->finished = true;
    wsk__access_log(conn->srv, req);
    wsk__conn_lock(conn);
    conn->taken = true;
    if (conn->srv->draining) /* it was told before there was anything to tell */
        end_input_locked(conn);
    wsk__conn_unlock(conn);
    wsk__call_leave(req->thread);
    return WSK_OK;
}
