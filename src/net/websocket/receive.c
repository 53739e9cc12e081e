#include "net/websocket/receive.h"

#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/load.h"
#include "net/conn/lock.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/thread.h"
#include "net/handle/handle.h"
#include "net/mailbox/end.h"
#include "net/mailbox/inbox.h"
#include "net/mailbox/long_message.h"
#include "net/mailbox/outbox.h"
#include "net/mailbox/served.h"
#include "net/mailbox/stall.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/poller.h"
#include "net/os/stream.h"
#include "ws/conn.h"
#include "wsocket.h"

#include <errno.h>
#include <sys/types.h>

enum {
    STACK_RX = WSK__STREAM_ROOM,
};

/* The condition to wait for before reading from the peer again. */
enum wait {
    WAIT_INPUT,
    WAIT_BACKLOG, /* the peer reads what we sent */
    WAIT_MEMORY,  /* others free some */
};

struct wsk__thread *wsk__handler_thread(const struct wsk__conn *conn)
{
    struct wsk__thread *th = wsk__self;

    return th != NULL && th->dispatch == conn->conns->dispatch && th->in_call
               ? th
               : NULL;
}

/* Wait for that; 0: the time is up, else look again. */
static int wait_own(const struct wsk__conn *conn, uint64_t until_ms,
                    enum wait wait)
{
    int fd = wait == WAIT_MEMORY ? -1 : conn->stream.fd;
    unsigned what = wait == WAIT_BACKLOG ? WSK__WRITE : WSK__READ;
    uint64_t now = wsk__now_ms();
    uint64_t left = until_ms > now ? until_ms - now : 0;

    if (wait == WAIT_MEMORY && left > WSK__OVER_LOOK_MS)
        return wsk__stream_wait_once(fd, what, WSK__OVER_LOOK_MS) == 0 ? 1 : -1;
    return wsk__stream_wait_once(fd, what,
                                 until_ms == UINT64_MAX ? -1 : (int)left);
}

/* Wait until the descriptor has something, and read it. -2: the time is up. */
static ssize_t read_own(struct wsk__conn *conn, uint8_t *rx, size_t size,
                        uint64_t until_ms, enum wait wait)
{
    bool blocks = until_ms == UINT64_MAX && wait == WAIT_INPUT;
    ssize_t n;

    if (!blocks) {
        int ready = wait_own(conn, until_ms, wait);

        if (ready == 0)
            return -2;
        if (ready < 0 || wait != WAIT_INPUT) {
            errno = EAGAIN; /* tells the caller to look again */
            return -1;
        }
    }
    n = blocks ? wsk__stream_await(&conn->stream, rx, size)
               : wsk__stream_recv(&conn->stream, rx, size);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
        return 0; /* a reset is an end */
    return n;
}

/* Return what must come first: a peer that does not read is not read from. */
static enum wait what_first_locked(struct wsk__conn *conn) WSK__CONN_LOCKED
{
    if (wsk__ws_waits_for_memory_locked(conn))
        return WAIT_MEMORY;
    return wsk__ws_owed_locked(conn) > conn->conns->cfg->ws_send_limit
               ? WAIT_BACKLOG
               : WAIT_INPUT;
}

/* Read until there is a message: the receive half belongs to this thread. `own`
 * is its buffer, or NULL; `lend` is where a masked message may lie, or NULL. */
static wsk_status receive_own(struct wsk__conn *conn, uint64_t until_ms,
                              uint8_t *own, uint8_t *lend, wsk_message *msg)
{
    uint8_t stack[STACK_RX];
    uint8_t *rx = own != NULL ? own : stack;
    size_t size = own != NULL ? (size_t)WSK__RX_SIZE : sizeof(stack);
    struct wsk__long_message lifted = {.msg = NULL};
    wsk_status st = WSK_E_AGAIN;
    enum wait wait = WAIT_INPUT;

    while (st == WSK_E_AGAIN) {
        bool aside = lifted.msg != NULL, got;
        ssize_t n = read_own(conn, aside ? lifted.room : rx,
                             aside ? lifted.size : size, until_ms, wait);

        wsk__conn_lock(conn);
        if (n == -1 && wsk__stream_has_heard(&conn->stream))
            wsk__ws_hear_locked(conn);
        wsk__long_message_end_locked(conn, &lifted, n > 0 ? (size_t)n : 0);
        got = n == 0 || (n > 0 && !aside)
                  ? wsk__ws_received_locked(conn, rx, n, lend, msg)
                  : wsk__ws_fetch_locked(conn, lend, msg);
        wsk__ws_flush_locked(conn);
        wait = what_first_locked(conn);
        if (got)
            st = WSK_OK;
        else if (conn->ws->ended)
            st = WSK_E_CLOSED;
        else if (n == -2)
            st = WSK_E_TIMEOUT;
        else if (wait == WAIT_INPUT)
            lifted = wsk__long_message_begin_locked(conn);
        wsk__conn_unlock(conn);
    }
    return st;
}

void wsk__ws_unpin_locked(struct wsk__conn *conn)
{
    wsk__assert_conn_locked(conn);
    if (--conn->ws->pins == 0 && conn->ws->close_due) {
        wsk__stream_close(&conn->stream);
    }
}

bool wsk__ws_in_pieces_locked(const struct wsk__served *ws)
{
    wsk__assert_conn_locked(ws->conn);
    return ws->in_pieces || wsk__ws_in_pieces(&ws->engine) ||
           (ws->inbox != NULL && ws->inbox->next->kind == WSK_WS_PIECE);
}

static bool may_receive_locked(const struct wsk__served *ws) WSK__CONN_LOCKED
{
    return !ws->receiving && ws->handlers == NULL;
}

/* Tell the engine whether the next message is wanted whole or in pieces. Until
 * a handler asks, a message over the limit is deferred (wsk__ws_hold()). */
static bool begin_wanting_locked(struct wsk__served *ws,
                                 bool pieces) WSK__CONN_LOCKED
{
    if (!may_receive_locked(ws) || (!pieces && wsk__ws_in_pieces_locked(ws)))
        return false;
    if (pieces) {
        wsk_ws_take_pieces(&ws->engine);
    } else {
        wsk__ws_take_whole_again(&ws->engine);
        wsk__ws_hold(&ws->engine, false);
    }
    return true;
}

static void end_wanting_locked(struct wsk__served *ws, wsk_status st,
                               const wsk_message *msg) WSK__CONN_LOCKED
{
    wsk__ws_hold(&ws->engine, ws->handlers == NULL);
    if (st == WSK_OK && msg->opcode < WSK_CLOSE)
        ws->in_pieces = msg->more;
    if (!ws->in_pieces)
        wsk__ws_take_whole_again(&ws->engine);
}

/* Look without waiting. WSK_E_AGAIN: conn->stream.fd is this thread's to read
 * from. */
static wsk_status begin_receive(struct wsk__conn *conn, bool pieces,
                                uint8_t *lend, wsk_message *msg)
{
    struct wsk__served *ws = conn->ws;
    wsk_status st = WSK_E_STATE;

    wsk__conn_lock(conn);
    if (begin_wanting_locked(ws, pieces)) {
        if (wsk__ws_fetch_locked(conn, lend, msg))
            st = WSK_OK;
        else
            st = ws->ended || conn->stream.fd < 0 ? WSK_E_CLOSED : WSK_E_AGAIN;
        wsk__ws_flush_locked(conn); /* the pongs */
        if (st == WSK_E_AGAIN) {
            ws->receiving = true;
            ws->rx = WSK__RX_HANDLER;
            ws->pins++;
            wsk__ws_arrival_resume_locked(conn);
        } else {
            end_wanting_locked(ws, st, msg);
        }
        if (st == WSK_E_CLOSED)
            wsk__conn_post(conn,
                           WSK__POST_AWAY); /* the leader ends the transport */
    }
    wsk__conn_unlock(conn);
    return st;
}

static wsk_status end_receive(struct wsk__conn *conn,
                              const struct wsk__thread *th, wsk_status st,
                              const wsk_message *msg)
{
    wsk__conn_lock(conn);
    end_wanting_locked(conn->ws, st, msg);
    conn->ws->receiving = false;
    wsk__ws_arrival_pause_locked(conn);
    wsk__ws_unpin_locked(conn);
    if (st == WSK_E_CLOSED || th == NULL || th->upgraded != &conn->call)
        wsk__conn_post(
            conn, WSK__POST_AWAY); /* the monitor does not watch this thread */
    wsk__conn_unlock(conn);
    return st;
}

wsk_status wsk__served_receive(wsk_conn *handle, int timeout_ms,
                               enum wsk__receive_mode mode, wsk_message *msg)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    uint64_t until = timeout_ms < 0 ? UINT64_MAX
                                    : wsk__now_ms() + (uint64_t)timeout_ms;
    struct wsk__thread *th = wsk__handler_thread(conn);
    uint8_t *own = th != NULL && th->upgraded == &conn->call ? th->rx : NULL;
    uint8_t *at = mode == WSK__RECEIVE_MASKED ? own : NULL;
    wsk_status st;

    *msg = (wsk_message){.opcode = WSK_BINARY};
    if (wsk__forked(conn->conns->life))
        return WSK_E_CLOSED;
    st = begin_receive(conn, mode == WSK__RECEIVE_PIECES, at, msg);
    if (st == WSK_E_STATE)
        return st;
    if (st != WSK_E_AGAIN) {
        if (th != NULL)
            wsk__call_take_turns(th);
        return st;
    }
    if (th != NULL && timeout_ms != 0)
        wsk__call_park(th);
    st = receive_own(conn, until, own, at, msg);
    st = end_receive(conn, th, st, msg);
    if (th != NULL && timeout_ms != 0)
        wsk__call_unpark(th);
    else if (th != NULL)
        wsk__call_is_back(th);
    return st;
}

wsk_status wsk__served_receive_ready(wsk_conn *handle, wsk_message *msg)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    struct wsk__thread *th;
    uint8_t *lend;
    bool got = false;

    if (wsk__forked(conn->conns->life))
        return WSK_E_AGAIN;
    th = wsk__handler_thread(conn);
    if (th != NULL && !wsk__call_goes_on(th))
        return WSK_E_AGAIN;
    lend = th != NULL && th->upgraded == &conn->call ? th->rx : NULL;
    wsk__conn_lock(conn);
    if (may_receive_locked(conn->ws) && !wsk__ws_in_pieces_locked(conn->ws))
        got = wsk__ws_fetch_ready_locked(conn, lend, msg);
    wsk__conn_unlock(conn);
    return got ? WSK_OK : WSK_E_AGAIN;
}

bool wsk__served_has_more(const wsk_conn *handle)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    bool more;

    if (wsk__forked(conn->conns->life))
        return false;
    wsk__conn_lock(conn);
    more = conn->ws->inbox != NULL || conn->ws->in != NULL;
    wsk__conn_unlock(conn);
    return more;
}
