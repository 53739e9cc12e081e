/* wsk_conn_*: what handlers and other threads may do with a WebSocket. */
#include "base/mem.h"
#include "base/utf8.h"
#include "net/deadline.h"
#include "net/direct.h"
#include "net/dispatch.h"
#include "net/lone.h"
#include "net/loop.h"
#include "net/mount.h"
#include "net/parts.h"
#include "ws/mask.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    STACK_RX = 16384,
    DRAINED = 64 << 10,
    LONG = 8192,    /* octets of a message that is not worth a copy */
    AWAY_MS = 50,   /* in drain(): then the loop reads for the handler */
    LOOK_MS = 1000, /* and it looks for a close that no write shows */
};

wsk_conn *wsk_conn_ref(wsk_conn *conn)
{
    if (wsk__lone_of(conn) != NULL) {
        wsk__lone_ref(wsk__lone_of(conn));
        return conn;
    }
    atomic_fetch_add(&conn->refs, 1);
    return conn;
}

void wsk_conn_unref(wsk_conn *conn)
{
    if (wsk__lone_of(conn) != NULL) {
        wsk__lone_unref(wsk__lone_of(conn));
        return;
    }
    if (atomic_fetch_sub(&conn->refs, 1) != 1)
        return;
    if (conn->fd >= 0)
        close(conn->fd);
    if (conn->ws != NULL)
        wsk__ws_discard(conn->srv, conn->ws);
    if (conn->h != NULL)
        wsk__parts_free(conn);
    wsk__exchange_free(conn->h);
    wsk__server_unref(conn->srv);
    wsk__free(conn);
}

/* ---------------------------------------------------------- handshake --- */

static const char *behind_head(const struct wsk__socket *kept)
{
    return kept->text + kept->head_len;
}

wsk_head *wsk_conn_head(const wsk_conn *conn)
{
    const struct wsk__socket *kept = conn->ws;
    wsk_head *head;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_head(wsk__lone_of(conn));
    head = wsk__head_again(kept->text, kept->head_len, &conn->srv->cfg.limits);
    if (head != NULL && kept->host_at > 0)
        wsk__via_rehost(head, behind_head(kept) + kept->host_at);
    if (head != NULL && conn->srv->cfg.script_name != NULL)
        wsk__mount_strip(conn->srv->cfg.script_name, &head->path);
    return head;
}

const char *wsk_conn_protocol(const wsk_conn *conn)
{
    const struct wsk__socket *kept = conn->ws;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_protocol(wsk__lone_of(conn));
    return kept->protocol_at > 0 ? behind_head(kept) + kept->protocol_at : NULL;
}

const char *wsk_conn_scheme(const wsk_conn *conn)
{
    if (wsk__lone_of(conn) != NULL)
        return "http"; /* its environ is the other server's */
    return conn->ws->https ? "https" : "http";
}

const char *wsk_conn_prefix(const wsk_conn *conn)
{
    const struct wsk__socket *kept = conn->ws;

    if (wsk__lone_of(conn) != NULL)
        return ""; /* its environ is the other server's */
    if (kept->prefix_at > 0)
        return behind_head(kept) + kept->prefix_at;
    return conn->srv->cfg.script_name != NULL ? conn->srv->cfg.script_name : "";
}

const char *wsk_conn_peer(const wsk_conn *conn, uint16_t *port)
{
    const struct wsk__socket *kept = conn->ws;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_peer(wsk__lone_of(conn), port);
    if (port != NULL)
        *port = kept->peer_port;
    return behind_head(kept);
}

const char *wsk_conn_local(const wsk_conn *conn, uint16_t *port)
{
    const struct wsk__socket *kept = conn->ws;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_local(wsk__lone_of(conn), port);
    if (port != NULL)
        *port = kept->local_port;
    return behind_head(kept) + kept->local_at;
}

/* ----------------------------------------------------------- messages --- */

void wsk_message_free(wsk_message *msg)
{
    if (wsk__self != NULL && msg->block != NULL)
        wsk__direct_give_back(wsk__self->srv, msg->block, msg->len);
    else
        wsk__free(msg->block);
    *msg = (wsk_message){.opcode = msg->opcode};
}

bool wsk_message_copy(const wsk_message *msg, void *to)
{
    static const uint8_t none[4];

    return wsk__mask_copy(to, msg->data, msg->len,
                          msg->masked ? msg->key : none, 0);
}

void wsk_conn_bad_text(wsk_conn *conn)
{
    wsk__conn_lock(conn);
    wsk__ws_fail(&conn->ws->engine, 1007, "text is not UTF-8");
    wsk__ws_collect_locked(conn);
    wsk__ws_flush_locked(conn);
    wsk__conn_unlock(conn);
    wsk__post(conn, WSK__POST_AWAY); /* for its end */
}

/* ------------------------------------------------------------ receive --- */

/* The calling thread, if it is a handler's: then waiting is parking. */
static struct wsk__thread *handler_thread(const wsk_conn *conn)
{
    struct wsk__thread *th = wsk__self;

    return th != NULL && th->srv == conn->srv && th->in_call ? th : NULL;
}

/* What has to come before the peer is read from. */
enum wait {
    WAIT_INPUT,
    WAIT_BACKLOG, /* it reads what we sent */
    WAIT_MEMORY,  /* others give some back */
};

/* Whether that has come, more or less; 0: the time is up. */
static int wait_own(const wsk_conn *conn, uint64_t until_ms, enum wait wait)
{
    struct pollfd p = {.fd = wait == WAIT_MEMORY ? -1 : conn->fd,
                       .events = wait == WAIT_BACKLOG ? POLLOUT : POLLIN};
    uint64_t now = wsk__now_ms();
    uint64_t left = until_ms > now ? until_ms - now : 0;

    if (wait == WAIT_MEMORY && left > WSK__OVER_LOOK_MS)
        return poll(&p, 1, WSK__OVER_LOOK_MS) == 0 ? 1 : -1;
    return poll(&p, 1, until_ms == UINT64_MAX ? -1 : (int)left);
}

/* Wait until the descriptor has something, and read it. -2: the time is up. */
static ssize_t read_own(wsk_conn *conn, uint8_t *rx, size_t size,
                        uint64_t until_ms, enum wait wait)
{
    int flags = until_ms == UINT64_MAX && wait == WAIT_INPUT ? 0 : MSG_DONTWAIT;
    ssize_t n;

    if (flags != 0) {
        int ready = wait_own(conn, until_ms, wait);

        if (ready == 0)
            return -2;
        if (ready < 0 || wait != WAIT_INPUT) {
            errno = EAGAIN; /* look again */
            return -1;
        }
    }
    n = recv(conn->fd, rx, size, flags);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
        return 0; /* a reset is an end */
    return n;
}

/* Who does not read what we send is not read from. */
static enum wait what_first_locked(wsk_conn *conn)
{
    if (wsk__ws_over_wait_locked(conn))
        return WAIT_MEMORY;
    return wsk__ws_owed_locked(conn) > conn->srv->cfg.ws_send_limit
               ? WAIT_BACKLOG
               : WAIT_INPUT;
}

/* The receive half belongs to this thread: read until there is a message. `own`
 * is where it may read to and lend from, or NULL. */
static wsk_status receive_own(wsk_conn *conn, uint64_t until_ms, uint8_t *own,
                              uint8_t *lend, wsk_message *msg)
{
    uint8_t stack[STACK_RX];
    uint8_t *rx = own != NULL ? own : stack;
    size_t size = own != NULL ? (size_t)WSK__RX_SIZE : sizeof(stack);
    struct wsk__direct direct = {.msg = NULL};
    wsk_status st = WSK_E_AGAIN;
    enum wait wait = WAIT_INPUT;

    while (st == WSK_E_AGAIN) {
        bool aside = direct.msg != NULL, got;
        ssize_t n = read_own(conn, aside ? direct.room : rx,
                             aside ? direct.size : size, until_ms, wait);

        wsk__conn_lock(conn);
        wsk__direct_end_locked(conn, &direct, n > 0 ? (size_t)n : 0);
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
            direct = wsk__direct_begin_locked(conn);
        wsk__conn_unlock(conn);
    }
    return st;
}

static void unpin_locked(wsk_conn *conn)
{
    if (--conn->ws->pins == 0 && conn->ws->close_due) {
        close(conn->fd);
        conn->fd = -1;
    }
}

/* Whether pieces of a message were given, or wait to be. */
static bool in_pieces_locked(const struct wsk__socket *ws)
{
    return ws->in_pieces || wsk__ws_in_pieces(&ws->engine) ||
           (ws->mail != NULL && ws->mail->next->kind == WSK_WS_PIECE);
}

static bool may_receive_locked(const struct wsk__socket *ws)
{
    return !ws->receiving && ws->handlers == NULL;
}

/* The handler says how it wants what comes: in pieces or whole. While it is
 * away, nobody says so (wsk__ws_hold()). */
static bool begin_wanting_locked(struct wsk__socket *ws, bool pieces)
{
    if (!may_receive_locked(ws) || (!pieces && in_pieces_locked(ws)))
        return false;
    if (pieces) {
        wsk_ws_take_pieces(&ws->engine);
    } else {
        wsk__ws_take_whole_again(&ws->engine);
        wsk__ws_hold(&ws->engine, false);
    }
    return true;
}

static void end_wanting_locked(struct wsk__socket *ws, wsk_status st,
                               const wsk_message *msg)
{
    wsk__ws_hold(&ws->engine, ws->handlers == NULL);
    if (st == WSK_OK && msg->opcode < WSK_CLOSE)
        ws->in_pieces = msg->more;
    if (!ws->in_pieces)
        wsk__ws_take_whole_again(&ws->engine);
}

/* The first look, without waiting. WSK_E_AGAIN: conn->fd is this thread's to
 * read from. */
static wsk_status begin_receive(wsk_conn *conn, bool pieces, uint8_t *lend,
                                wsk_message *msg)
{
    struct wsk__socket *ws = conn->ws;
    wsk_status st = WSK_E_STATE;

    wsk__conn_lock(conn);
    if (begin_wanting_locked(ws, pieces)) {
        if (wsk__ws_fetch_locked(conn, lend, msg))
            st = WSK_OK;
        else
            st = ws->ended || conn->fd < 0 ? WSK_E_CLOSED : WSK_E_AGAIN;
        wsk__ws_flush_locked(conn); /* pongs */
        if (st == WSK_E_AGAIN) {
            ws->receiving = true;
            ws->rx = WSK__RX_HANDLER;
            ws->pins++;
            wsk__ws_arrival_resume_locked(conn);
        } else {
            end_wanting_locked(ws, st, msg);
        }
        if (st == WSK_E_CLOSED)
            wsk__post(conn, WSK__POST_AWAY); /* the leader ends the transport */
    }
    wsk__conn_unlock(conn);
    return st;
}

static wsk_status end_receive(wsk_conn *conn, const struct wsk__thread *th,
                              wsk_status st, const wsk_message *msg)
{
    wsk__conn_lock(conn);
    end_wanting_locked(conn->ws, st, msg);
    conn->ws->receiving = false;
    wsk__ws_arrival_pause_locked(conn);
    unpin_locked(conn);
    if (st == WSK_E_CLOSED || th == NULL || th->ws != conn)
        wsk__post(conn, WSK__POST_AWAY); /* no one watches who stays away */
    wsk__conn_unlock(conn);
    return st;
}

/* How a message is wanted: its own, masked, or in pieces. */
enum how { HOW_OWN, HOW_MASKED, HOW_PIECES };

static wsk_status receive(wsk_conn *conn, int timeout_ms, enum how how,
                          wsk_message *msg)
{
    uint64_t until = timeout_ms < 0 ? UINT64_MAX
                                    : wsk__now_ms() + (uint64_t)timeout_ms;
    struct wsk__thread *th = handler_thread(conn);
    uint8_t *own = th != NULL && th->ws == conn ? th->rx : NULL;
    uint8_t *at = how == HOW_MASKED ? own : NULL;
    wsk_status st;

    *msg = (wsk_message){.opcode = WSK_BINARY};
    if (wsk__forked(conn->srv))
        return WSK_E_CLOSED;
    st = begin_receive(conn, how == HOW_PIECES, at, msg);
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

wsk_status wsk_conn_receive_ready(wsk_conn *conn, wsk_message *msg)
{
    struct wsk__thread *th;
    uint8_t *lend;
    bool got = false;

    *msg = (wsk_message){.opcode = WSK_BINARY};
    if (wsk__lone_of(conn) != NULL || wsk__forked(conn->srv))
        return WSK_E_AGAIN;
    th = handler_thread(conn);
    if (th != NULL && !wsk__call_goes_on(th))
        return WSK_E_AGAIN;
    lend = th != NULL && th->ws == conn ? th->rx : NULL;
    wsk__conn_lock(conn);
    if (may_receive_locked(conn->ws) && !in_pieces_locked(conn->ws))
        got = wsk__ws_fetch_ready_locked(conn, lend, msg);
    wsk__conn_unlock(conn);
    return got ? WSK_OK : WSK_E_AGAIN;
}

bool wsk_conn_has_more(const wsk_conn *conn)
{
    bool more;

    if (wsk__lone_of(conn) != NULL || wsk__forked(conn->srv))
        return false;
    wsk__conn_lock(conn);
    more = conn->ws->mail != NULL || conn->ws->in != NULL;
    wsk__conn_unlock(conn);
    return more;
}

wsk_status wsk_conn_receive(wsk_conn *conn, int timeout_ms, wsk_message *msg)
{
    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_receive(wsk__lone_of(conn), timeout_ms, msg);
    return receive(conn, timeout_ms, HOW_OWN, msg);
}

wsk_status wsk_conn_receive_piece(wsk_conn *conn, int timeout_ms,
                                  wsk_message *msg)
{
    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_receive(wsk__lone_of(conn), timeout_ms, msg);
    return receive(conn, timeout_ms, HOW_PIECES, msg);
}

wsk_status wsk_conn_receive_masked(wsk_conn *conn, int timeout_ms,
                                   wsk_message *msg)
{
    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_receive(wsk__lone_of(conn), timeout_ms, msg);
    return receive(conn, timeout_ms, HOW_MASKED, msg);
}

/* --------------------------------------------------------------- send --- */

/* Something is about to be queued: this thread lends the queue. */
static void queue_locked(wsk_conn *conn)
{
    if (wsk__self != NULL)
        wsk__ws_lend(&conn->ws->engine, &wsk__self->ws_out);
}

/* Something was queued: write it, unless the thread that delivers this
 * connection's events does so at the end of the callback anyway. */
static void queued_locked(wsk_conn *conn)
{
    if (!conn->ws->corked || conn->ws->caller != wsk__self)
        wsk__ws_flush_locked(conn);
    if (wsk_ws_done(&conn->ws->engine))
        wsk__post(conn, WSK__POST_AWAY); /* for the end, and its event */
    if (wsk__ws_is_full_locked(conn, conn->srv->cfg.ws_send_limit))
        wsk__ws_await_drain_locked(conn);
    if ((!conn->srv->edge && wsk__ws_owed_locked(conn) > 0) ||
        wsk__ws_is_over_locked(conn) || wsk__ws_has_drained_locked(conn))
        wsk__post(conn, WSK__POST_LOOK);
}

/* A message that finds the queue empty is never too long. */
static bool fits_queue_locked(const wsk_conn *conn, size_t len)
{
    size_t owed = wsk__ws_owed_locked(conn);

    return owed == 0 || (owed + len <= conn->srv->cfg.ws_send_max &&
                         !wsk__ws_is_over_locked(conn));
}

/* A queue that no peer reads is not kept for ever. */
static wsk_status bound_queue_locked(wsk_conn *conn, size_t len, bool keep)
{
    const wsk_server_config *cfg = &conn->srv->cfg;
    bool over;

    wsk__ws_account_locked(conn);
    if (fits_queue_locked(conn, len) || !wsk_ws_can_send(&conn->ws->engine))
        return WSK_OK;
    wsk__ws_flush_locked(conn);
    if (fits_queue_locked(conn, len))
        return WSK_OK;
    if (!keep && cfg->ws_send_policy[0] == 'd') {
        wsk__ws_await_drain_locked(conn);
        conn->ws->dropped = true;
        return WSK_E_AGAIN;
    }
    over = wsk__ws_is_over_locked(conn);
    wsk__limit_hit_locked(conn,
                          over ? WSK__LIMIT_WS_MEMORY : WSK__LIMIT_WS_SEND);
    wsk__ws_fail_unread_locked(conn, 1013, "too much waits to be read",
                               over ? "memory_limit" : "ws_send_max");
    wsk__post(conn, WSK__POST_AWAY); /* for the end, and its event */
    return WSK_E_CLOSED;
}

/* For the log. */
static void count_out_locked(struct wsk__socket *ws, size_t len, bool whole)
{
    ws->messages_out += whole;
    ws->octets_out += len;
}

/* A long message that nothing waits before is written from where it stands; it
 * would gain nothing from leaving together with others. What the kernel does
 * not take is queued. */
static wsk_status send_long_locked(wsk_conn *conn, wsk_opcode opcode,
                                   const uint8_t *data, size_t len,
                                   unsigned flags)
{
    struct wsk_ws *engine = &conn->ws->engine;
    uint8_t head[WSK__FRAME_OWN_MAX];
    size_t n = 0, sent = 0;
    wsk_status st = wsk__ws_send_beside(engine, opcode, len, flags, head, &n);
    struct iovec iov[2] = {{head, n}, {(void *)(uintptr_t)data, len}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t done;

    if (st != WSK_OK)
        return st;
    done = conn->fd < 0 ? -1
                        : sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done > 0) {
        sent = (size_t)done;
        wsk__ws_sent_locked(conn->ws);
    }
    if (sent == n + len)
        return WSK_OK;
    conn->ws->begun = sent > 0 ? n + len - sent : 0;
    if ((sent >= n || wsk__ws_send_raw(engine, head + sent, n - sent)) &&
        wsk__ws_send_raw(engine, data + (sent > n ? sent - n : 0),
                         len - (sent > n ? sent - n : 0)))
        return WSK_OK;
    wsk__ws_eof_locked(conn); /* half a frame has left: no other may follow */
    return WSK_E_NOMEM;
}

/* A message, or with `fin` false the first piece of one. */
static wsk_status send_some(wsk_conn *conn, wsk_opcode opcode, bool fin,
                            const void *data, size_t len, unsigned flags)
{
    struct wsk_ws *engine = &conn->ws->engine;
    size_t octets = len;
    bool queues = len < LONG || !fin;
    uint8_t *packed = wsk__ws_pack(engine, data, &len, flags);
    wsk_status st;

    wsk__conn_lock(conn);
    st = bound_queue_locked(conn, len, (flags & WSK_SEND_KEEP) != 0 || !fin);
    if (st == WSK_OK && packed == NULL && !queues) {
        wsk__ws_flush_locked(conn);
        st = send_long_locked(conn, opcode, data, len, flags);
        queues = st == WSK_E_AGAIN;
        st = queues ? WSK_OK : st;
    }
    queue_locked(conn);
    if (st == WSK_OK && packed != NULL)
        st = wsk__ws_send_packed(engine, opcode, fin, packed, len);
    else if (st == WSK_OK && queues)
        st = fin ? wsk_ws_send_with(engine, opcode, data, len, flags)
                 : wsk_ws_send_first(engine, opcode, data, len, flags);
    if (st == WSK_OK)
        count_out_locked(conn->ws, octets, fin);
    queued_locked(conn);
    wsk__conn_unlock(conn);
    wsk__free(packed);
    return st;
}

wsk_status wsk_conn_send_with(wsk_conn *conn, wsk_opcode opcode,
                              const void *data, size_t len, unsigned flags)
{
    if (opcode != WSK_TEXT && opcode != WSK_BINARY)
        return WSK_E_ARG;
    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_send(wsk__lone_of(conn), opcode, data, len, flags);
    if (opcode == WSK_TEXT && (flags & WSK_SEND_VALID) == 0 &&
        !wsk__utf8_valid(data, len))
        return WSK_E_ARG;
    if (wsk__forked(conn->srv))
        return WSK_E_CLOSED;
    return send_some(conn, opcode, true, data, len, flags);
}

wsk_status wsk_conn_send_first(wsk_conn *conn, wsk_opcode opcode,
                               const void *data, size_t len, unsigned flags)
{
    if (opcode != WSK_TEXT && opcode != WSK_BINARY)
        return WSK_E_ARG;
    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_send_first(wsk__lone_of(conn), opcode, data, len,
                                    flags);
    if (wsk__forked(conn->srv))
        return WSK_E_CLOSED;
    return send_some(conn, opcode, false, data, len, flags);
}

wsk_status wsk_conn_send(wsk_conn *conn, wsk_opcode opcode, const void *data,
                         size_t len, bool valid)
{
    return wsk_conn_send_with(conn, opcode, data, len,
                              valid ? WSK_SEND_VALID : 0);
}

/* A long piece of a compressed message is compressed before the lock is taken.
 * Whether it is one cannot change meanwhile: nobody else sends its pieces. */
static uint8_t *pack_piece(const wsk_conn *conn, wsk_opcode opcode,
                           const void *data, size_t *len)
{
    const struct wsk_ws *engine = &conn->ws->engine;
    bool packs;

    if (opcode != WSK_CONTINUATION || !wsk__ws_deflates(engine))
        return NULL;
    wsk__conn_lock(conn);
    packs = wsk__ws_packs(engine);
    wsk__conn_unlock(conn);
    return packs ? wsk__ws_pack_piece(engine, data, len) : NULL;
}

wsk_status wsk_conn_send_frame(wsk_conn *conn, wsk_opcode opcode, bool fin,
                               const void *data, size_t len)
{
    size_t octets = len;
    uint8_t *packed;
    wsk_status st;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_send_frame(wsk__lone_of(conn), opcode, fin, data, len);
    if (wsk__forked(conn->srv))
        return WSK_E_CLOSED;
    packed = pack_piece(conn, opcode, data, &len);
    wsk__conn_lock(conn);
    /* No piece of a message is dropped. */
    st = bound_queue_locked(conn, len, opcode == WSK_CONTINUATION || !fin);
    queue_locked(conn);
    if (st == WSK_OK && packed != NULL)
        st = wsk__ws_send_packed(&conn->ws->engine, opcode, fin, packed, len);
    else if (st == WSK_OK)
        st = wsk_ws_send_frame(&conn->ws->engine, opcode, fin, data, len);
    if (st == WSK_OK && opcode == WSK_PING)
        wsk__ws_pinged_locked(conn->ws, data, len);
    else if (st == WSK_OK && opcode != WSK_PONG)
        count_out_locked(conn->ws, octets, fin);
    queued_locked(conn);
    wsk__conn_unlock(conn);
    wsk__free(packed);
    return st;
}

wsk_status wsk_conn_close(wsk_conn *conn, uint16_t code, const void *reason,
                          size_t len)
{
    wsk_status st;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_close(wsk__lone_of(conn), code, reason, len);
    if (wsk__forked(conn->srv))
        return WSK_E_CLOSED;
    wsk__conn_lock(conn);
    st = wsk_ws_send_close(&conn->ws->engine, code, reason, len);
    if (st == WSK_OK) {
        wsk__ws_collect_locked(conn);
        queued_locked(conn);
        wsk__post(conn, WSK__POST_AWAY); /* for the deadline, and the end */
    }
    wsk__conn_unlock(conn);
    return st;
}

size_t wsk_conn_buffered(const wsk_conn *conn)
{
    size_t owed;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_buffered(wsk__lone_of(conn));
    if (wsk__forked(conn->srv))
        return 0;
    wsk__conn_lock(conn);
    owed = wsk__ws_owed_locked(conn);
    wsk__conn_unlock(conn);
    return owed;
}

bool wsk_conn_is_full(const wsk_conn *conn)
{
    bool full;

    if (wsk__lone_of(conn) != NULL)
        return false; /* what is sent has left */
    if (wsk__forked(conn->srv))
        return false;
    wsk__conn_lock(conn);
    full = wsk__ws_is_full_locked(conn, conn->srv->cfg.ws_send_limit);
    if (full)
        wsk__ws_await_drain_locked(conn);
    wsk__conn_unlock(conn);
    return full;
}

/* WSK_E_AGAIN: more waits than drain() lets pass. */
static wsk_status look_at_queue_locked(wsk_conn *conn)
{
    uint64_t limit = conn->srv->cfg.ws_send_limit;
    wsk_status st = WSK_OK;

    if (conn->kind != WSK__WS || conn->eof ||
        wsk__ws_flush_locked(conn) == WSK__IO_GONE)
        st = WSK_E_CLOSED;
    else if (wsk__ws_is_full_locked(conn, limit < DRAINED ? limit : DRAINED))
        st = WSK_E_AGAIN;
    if (wsk__ws_has_drained_locked(conn))
        wsk__post(conn, WSK__POST_LOOK);
    return st;
}

/* One look, and one wait of at most `ms` if it is needed. */
static wsk_status await_queue(wsk_conn *conn, uint64_t ms)
{
    struct pollfd p = {.events = POLLOUT};
    wsk_status st;
    int n;

    wsk__conn_lock(conn);
    st = look_at_queue_locked(conn);
    p.fd = conn->fd;
    conn->ws->pins = (uint16_t)(conn->ws->pins + (st == WSK_E_AGAIN));
    wsk__conn_unlock(conn);
    if (st != WSK_E_AGAIN)
        return st;
    n = poll(&p, 1, (int)ms);
    wsk__conn_lock(conn);
    unpin_locked(conn);
    wsk__conn_unlock(conn);
    return n < 0 && errno != EINTR ? WSK_E_CLOSED : WSK_E_AGAIN;
}

/* `reader`: a WebSocket whose handler waits here and so does not read; NULL. */
static wsk_status drain(wsk_conn *conn, uint64_t until_ms, wsk_conn *reader)
{
    uint64_t patience = AWAY_MS;
    wsk_status st = WSK_E_AGAIN;

    while (st == WSK_E_AGAIN) {
        uint64_t now = wsk__now_ms(),
                 left = until_ms > now ? until_ms - now : 0;

        st = await_queue(conn, left < patience ? left : patience);
        if (st == WSK_E_AGAIN && left == 0)
            st = WSK_E_TIMEOUT;
        if (st == WSK_E_AGAIN && reader != NULL && patience == AWAY_MS)
            wsk__post(reader, WSK__POST_AWAY);
        patience = LOOK_MS;
    }
    return st;
}

wsk_status wsk_conn_drain(wsk_conn *conn, int timeout_ms)
{
    uint64_t until = timeout_ms < 0 ? UINT64_MAX
                                    : wsk__now_ms() + (uint64_t)timeout_ms;
    struct wsk__thread *th;
    wsk_status st;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_drain(wsk__lone_of(conn));
    th = handler_thread(conn);
    if (th == NULL)
        return drain(conn, until, NULL);
    wsk__call_park(th);
    st = drain(conn, until, th->ws);
    wsk__call_unpark(th);
    return st;
}

/* -------------------------------------------------------------- state --- */

bool wsk_conn_closed(const wsk_conn *conn, wsk_close_info *info)
{
    bool ended;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_closed(wsk__lone_of(conn), info);
    if (wsk__forked(conn->srv)) {
        if (info != NULL)
            *info = (wsk_close_info){.code = 1006};
        return true;
    }
    wsk__conn_lock(conn);
    ended = conn->ws->ended && conn->ws->mail == NULL;
    if (ended && info != NULL)
        *info = wsk__ws_close_info_locked(conn->ws);
    wsk__conn_unlock(conn);
    return ended;
}

bool wsk_conn_can_send(const wsk_conn *conn)
{
    bool can;

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_can_send(wsk__lone_of(conn));
    if (wsk__forked(conn->srv))
        return false;
    wsk__conn_lock(conn);
    can = wsk_ws_can_send(&conn->ws->engine);
    wsk__conn_unlock(conn);
    return can;
}

bool wsk_conn_deflates(const wsk_conn *conn)
{
    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_deflates(wsk__lone_of(conn));
    return wsk__ws_deflates(&conn->ws->engine); /* fixed since the handshake */
}

bool wsk_conn_latency(const wsk_conn *conn, uint32_t *us)
{

    if (wsk__lone_of(conn) != NULL)
        return wsk__lone_latency(wsk__lone_of(conn), us);
    if (wsk__forked(conn->srv))
        return false;
    wsk__conn_lock(conn);
    *us = conn->ws->latency_us;
    wsk__conn_unlock(conn);
    return *us != UINT32_MAX;
}

void wsk_conn_hear_pings(wsk_conn *conn, bool hear)
{
    if (wsk__lone_of(conn) != NULL) {
        wsk__lone_hear_pings(wsk__lone_of(conn), hear);
        return;
    }
    if (wsk__forked(conn->srv))
        return;
    wsk__conn_lock(conn);
    conn->ws->hear = hear;
    wsk__conn_unlock(conn);
}

wsk_status wsk_conn_attach(wsk_conn *conn, const wsk_ws_handlers *handlers,
                           void *user)
{
    wsk_status st = WSK_E_STATE;

    if (wsk__lone_of(conn) != NULL)
        return WSK_E_STATE; /* it has no loop that would call */
    wsk__conn_lock(conn);
    if (conn->ws->handlers == NULL && !conn->ws->receiving &&
        !in_pieces_locked(conn->ws)) {
        wsk__ws_hold(&conn->ws->engine, false);
        conn->ws->handlers = handlers;
        conn->ws->handlers_user = user;
        conn->ws->connect_due = true;
        conn->ws->hear |= handlers->ping != NULL || handlers->pong != NULL;
        st = WSK_OK;
    }
    wsk__conn_unlock(conn);
    return st;
}
