#include "net/loop.h"

#include "base/mem.h"
#include "net/deadline.h"
#include "net/dispatch.h"
#include "net/idle.h"
#include "net/log/access.h"
#include "net/log/log.h"
#include "net/pump.h"
#include "net/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPT_MAX = 64,       /* connections accepted before others have a turn */
    ACCEPT_PAUSE_MS = 250, /* when descriptors or memory are out */
    GOAWAYS_AT_ONCE = 128, /* WebSockets told to go without a spread */
    GOAWAYS_PER_MS = 4,    /* where there are more */
    DISCARDS_MAX = 16,     /* reads of a lingering connection in one go */
    FORCED_MS = 200,       /* for close events, once the drain is over */
};

/* --------------------------------------------------------------- posts --- */

void wsk__wake(wsk_server *srv)
{
    static const uint64_t ONE = 1;
    ssize_t n;

    do
        n = write(srv->wake_fds[1], &ONE, sizeof(ONE));
    while (n < 0 && errno == EINTR);
}

/* Queue a post, with a reference for it. True: the leader does not know. */
static bool queue_post(struct wsk_conn *conn, unsigned what, bool *dead)
{
    wsk_server *srv = conn->srv;
    bool first = false;

    wsk__lock(&srv->post_lock, WSK__LOCK_POSTS);
    *dead = srv->posts_closed;
    if (!*dead && conn->post == 0) {
        first = true;
        wsk_conn_ref(conn);
        conn->post_next = NULL;
        *srv->posts_tail = conn;
        srv->posts_tail = &conn->post_next;
        srv->n_posts++;
    }
    if (!*dead)
        conn->post = (uint8_t)(conn->post | what);
    wsk__unlock(&srv->post_lock, WSK__LOCK_POSTS);
    return first && atomic_load(&srv->sleeping);
}

bool wsk__post_quietly(struct wsk_conn *conn, unsigned what)
{
    bool dead;

    return !wsk__forked(conn->srv) && queue_post(conn, what, &dead);
}

void wsk__post(struct wsk_conn *conn, unsigned what)
{
    wsk_server *srv = conn->srv; /* once posted, `conn` may be freed */
    bool dead, asleep;

    assert(!wsk__holds(WSK__LOCK_DISPATCH)); /* to wake is a system call */
    if (wsk__forked(srv))
        return;
    asleep = queue_post(conn, what, &dead);
    if (dead && (what & WSK__POST_RUN))
        wsk__conn_orphan(conn);
    if (asleep)
        wsk__wake(srv);
}

static struct wsk_conn *next_post(wsk_server *srv, unsigned *what)
{
    struct wsk_conn *conn;

    wsk__lock(&srv->post_lock, WSK__LOCK_POSTS);
    conn = srv->posts;
    if (conn != NULL) {
        srv->posts = conn->post_next;
        if (srv->posts == NULL)
            srv->posts_tail = &srv->posts;
        *what = conn->post;
        conn->post = 0;
        srv->n_posts--;
    }
    wsk__unlock(&srv->post_lock, WSK__LOCK_POSTS);
    return conn;
}

static size_t count_posts(wsk_server *srv)
{
    size_t n;

    wsk__lock(&srv->post_lock, WSK__LOCK_POSTS);
    n = srv->n_posts;
    wsk__unlock(&srv->post_lock, WSK__LOCK_POSTS);
    return n;
}

/* --------------------------------------------------- leader's services --- */

void wsk__watch(struct wsk_conn *conn, unsigned want)
{
    wsk_server *srv = conn->srv;

    if (conn->fd < 0)
        return;
    if (srv->edge) {
        /* Only what its handler reads by itself is worth a system call. */
        bool handlers = conn->kind == WSK__WS
                            ? conn->ws->rx == WSK__RX_HANDLER &&
                                  conn->ws->handlers == NULL
                            : conn->taken && conn->busy;

        want = handlers ? 0 : WSK__READ;
    }
    if (want == conn->want)
        return;
    wsk__poller_want(srv->poller, conn->fd, conn, conn->want, want, false);
    conn->want = (uint8_t)want;
}

static uint64_t deadline(struct wsk_conn *conn)
{
    switch (conn->kind) {
    case WSK__HTTP:
        return wsk__http_deadline(conn);
    case WSK__WS:
        return wsk__ws_deadline(conn);
    case WSK__LINGER:
        return conn->since_ms + WSK__LINGER_MS;
    case WSK__DEAD:
        break;
    }
    return UINT64_MAX;
}

void wsk__rearm(struct wsk_conn *conn)
{
    wsk__rearm_at(conn, deadline(conn));
}

void wsk__rearm_at(struct wsk_conn *conn, uint64_t due)
{
    if (due != UINT64_MAX &&
        (conn->timer.next == NULL || due < conn->timer.due_ms))
        wsk__timer_set(&conn->srv->wheel, &conn->timer, due);
}

static void pause_accepting(wsk_server *srv, bool pause)
{
    if (srv->accept_paused == pause || srv->draining)
        return;
    srv->accept_paused = pause;
    for (size_t i = 0; i < srv->places.n; i++)
        wsk__poller_want(srv->poller, srv->places.at[i].fd, &srv->listeners[i],
                         pause ? WSK__READ : 0, pause ? 0 : WSK__READ, true);
    if (pause)
        wsk__timer_set(&srv->wheel, &srv->accept_timer,
                       wsk__now_ms() + ACCEPT_PAUSE_MS);
}

void wsk__conn_close(struct wsk_conn *conn)
{
    wsk_server *srv = conn->srv;
    bool websocket;

    if (conn->kind == WSK__DEAD)
        return;
    wsk__conn_lock(conn);
    wsk__poller_remove(srv->poller, conn->fd);
    conn->kind = WSK__DEAD;
    conn->eof = true;
    if (conn->ws != NULL &&
        conn->ws->pins > 0) { /* a thread waits on it: wake it, it closes */
        shutdown(conn->fd, SHUT_RDWR);
        conn->ws->close_due = true;
    } else {
        if (conn->taken) /* the handler's descriptor would keep it open */
            shutdown(conn->fd, SHUT_RDWR);
        close(conn->fd);
        conn->fd = -1;
    }
    websocket = conn->ws != NULL;
    if (websocket)
        wsk__ws_forget_locked(conn);
    wsk__conn_unlock(conn);
    if (websocket)
        wsk__access_closed(conn);
    wsk__timer_clear(&srv->wheel, &conn->timer);
    wsk__conns_remove(conn);
    conn->next = srv->graveyard;
    srv->graveyard = conn;
    if (!websocket) { /* else its handler's thread may be freeing conn->h */
        wsk__load_forget(conn);
        wsk__spill_drop(conn);
    }
    if (srv->accept_paused && srv->n_conns < srv->max_connections)
        pause_accepting(srv, false);
}

void wsk__conn_rests(struct wsk_conn *conn)
{
    wsk__conns_touch(conn);
    if (conn->srv->accept_paused) {
        wsk__conns_offer(conn);
        pause_accepting(conn->srv, false);
    }
}

static void bury(wsk_server *srv)
{
    while (srv->graveyard != NULL) {
        struct wsk_conn *conn = srv->graveyard;

        srv->graveyard = conn->next;
        conn->next = NULL;
        wsk_conn_unref(conn);
    }
}

void wsk__conn_orphan(struct wsk_conn *conn)
{
    bool first;

    wsk__conn_lock(conn);
    first = conn->kind != WSK__DEAD;
    conn->kind = WSK__DEAD;
    if ((conn->ws == NULL || conn->ws->pins == 0) && conn->fd >= 0) {
        close(conn->fd);
        conn->fd = -1;
    }
    wsk__conn_unlock(conn);
    if (first)
        wsk_conn_unref(conn); /* the loop's */
}

/* --------------------------------------------------------- lingering --- */

static void discard(struct wsk__thread *th, struct wsk_conn *conn)
{
    for (int reads = 0;; reads++) {
        ssize_t n;

        if (reads == DISCARDS_MAX) {
            wsk__post(conn, WSK__POST_LOOK);
            return;
        }
        n = recv(conn->fd, th->rx, WSK__RX_SIZE, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            wsk__watch(conn, WSK__READ);
            wsk__rearm(conn);
            return;
        }
        if (n > 0)
            conn->lingered += (uint32_t)n;
        if (n <= 0 || conn->lingered > WSK__LINGER_BYTES) {
            wsk__conn_close(conn);
            return;
        }
    }
}

void wsk__conn_linger(struct wsk_conn *conn)
{
    if (conn->kind == WSK__DEAD || conn->kind == WSK__LINGER)
        return;
    if (shutdown(conn->fd, SHUT_WR) != 0) {
        wsk__conn_close(conn);
        return;
    }
    wsk__conn_lock(conn);
    conn->kind = WSK__LINGER;
    conn->since_ms = wsk__now_ms();
    wsk__conn_unlock(conn);
    conn->busy = false;
    wsk__conns_touch(conn); /* it may be let go */
    /* The next look reads what is there; edges have been used up already. */
    wsk__post(conn, WSK__POST_LOOK);
}

/* ------------------------------------------------------------- accept --- */

static bool conn_init(struct wsk_conn *conn, wsk_server *srv, int fd,
                      const struct sockaddr_storage *sa,
                      const struct wsk__listener *listener)
{
    struct wsk__address local = listener->local;

#if !defined(__linux__) /* there the listener's counts */
    wsk__send_at_once(fd);
#endif
    if (!listener->fixed)
        wsk__listens_at(fd, &local); /* asks for this end of it */
    conn->source = WSK__SOURCE_CONN;
    conn->srv = srv;
    conn->fd = fd;
    conn->kind = WSK__HTTP;
    conn->want = WSK__READ;
    conn->since_ms = wsk__now_ms();
    atomic_init(&conn->refs, 1); /* the loop's */
    conn->h = wsk__exchange_new(&srv->cfg.limits, sa, &local);
    if (conn->h == NULL || !wsk__via_open(conn) ||
        !wsk__poller_add(srv->poller, fd, conn, false)) {
        wsk__exchange_free(conn->h);
        return false;
    }
    wsk__server_ref(srv);
    return true;
}

static void welcome(wsk_server *srv, int fd, const struct sockaddr_storage *sa,
                    const struct wsk__listener *listener)
{
    struct wsk_conn *conn = wsk__calloc(sizeof(*conn));

    if (conn == NULL || !conn_init(conn, srv, fd, sa, listener)) {
        wsk__free(conn);
        close(fd);
        return;
    }
    wsk__conns_add(conn);
    wsk__rearm(conn);
}

static int accept_one(int listener, struct sockaddr_storage *sa)
{
    socklen_t len = sizeof(*sa);
#if defined(__linux__)
    return accept4(listener, (struct sockaddr *)sa, &len, SOCK_CLOEXEC);
#else
    int fd = accept(listener, (struct sockaddr *)sa, &len);

    if (fd >= 0) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, 0); /* BSDs inherit O_NONBLOCK */
    }
    return fd;
#endif
}

/* To find out that nobody is left costs as much as half a connection, and the
 * poller tells of those that are: so no more are asked for than came at once
 * lately, or twice as many where those were not all. */
static unsigned batch_of(const wsk_server *srv, struct wsk__listener *listener)
{
    if (listener->turn + 1 != srv->turn)
        listener->batch = 1;
    else if (listener->more)
        listener->batch *= 2;
    if (listener->batch > ACCEPT_MAX)
        listener->batch = ACCEPT_MAX;
    listener->turn = srv->turn;
    listener->more = true;
    return listener->batch;
}

/* Let the connection go that is idle for longest. False: none is. */
static bool make_room(wsk_server *srv, enum wsk__limit limit)
{
    struct wsk_conn *conn = wsk__conns_idlest(srv);

    if (conn == NULL)
        return false;
    wsk__limit_hit(srv, limit);
    wsk__conn_close(conn);
    return true;
}

/* At max_connections, for one that waits. */
static bool make_place(wsk_server *srv)
{
    if (make_room(srv, WSK__LIMIT_CONNS))
        return true;
    wsk__limit_hit(srv, WSK__LIMIT_ACCEPT);
    pause_accepting(srv, true);
    return false;
}

/* accept() has failed for want of something of ours; else it was the peer, who
 * has gone. */
static bool is_out(void)
{
    return errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
           errno == ENOMEM;
}

/* The same when descriptors or memory are out. */
static bool make_room_or_pause(wsk_server *srv)
{
    if (make_room(srv, WSK__LIMIT_FILES))
        return true;
    if (!srv->accept_paused)
        wsk__server_logf(srv, WSK_LOG_WARNING,
                         "accepting pauses: out of descriptors or memory (%u "
                         "connections)",
                         srv->n_conns);
    pause_accepting(srv, true);
    return false;
}

/* Of the first connection of a batch it is known that it waits, so room is made
 * for that one alone. accept() says that descriptors are out whether somebody
 * waits or not. */
static void on_listener(wsk_server *srv, struct wsk__listener *listener)
{
    unsigned batch = batch_of(srv, listener);
    bool waits = true;

    for (unsigned i = 0; i < batch && !srv->draining; i++) {
        struct sockaddr_storage sa = {0};
        int fd;

        if (srv->n_conns >= srv->max_connections && !(waits && make_place(srv)))
            return;
        fd = accept_one(srv->places.at[listener->i].fd, &sa);
        if (fd >= 0) {
            welcome(srv, fd, &sa, listener);
            waits = false;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            listener->batch = i > 0 ? i : 1;
            listener->more = false;
            return;
        } else if (is_out() && !(waits && make_room_or_pause(srv))) {
            return;
        }
    }
}

/* ------------------------------------------------------------- events --- */

/* A busy connection may have become a WebSocket, which has its own lock. True:
 * the leader may work on it. */
static bool settle(struct wsk_conn *conn)
{
    if (conn->busy) {
        wsk__conn_lock(conn);
        if (conn->kind != WSK__HTTP)
            conn->busy = false;
        wsk__conn_unlock(conn);
    }
    return !conn->busy;
}

static bool is_taken(struct wsk_conn *conn)
{
    bool taken;

    wsk__conn_lock(conn);
    taken = conn->taken;
    wsk__conn_unlock(conn);
    return taken;
}

static bool run(struct wsk__thread *th, struct wsk_conn *conn)
{
    if (conn->kind == WSK__LINGER)
        discard(th, conn);
    if (conn->ws != NULL) /* its events outlive its transport */
        return wsk__ws_serve(th, conn);
    return conn->kind != WSK__HTTP || wsk__http_run(th, conn);
}

static bool on_conn(struct wsk__thread *th, struct wsk_conn *conn,
                    unsigned what)
{
    if (what & WSK__HUP)
        conn->hup_seen = true;
    if (what & WSK__GONE)
        atomic_store(&conn->gone, true);
    if (!settle(conn)) {
        if (is_taken(conn))
            wsk__watch(conn, 0);
        return true; /* whoever has it reads again when done */
    }
    if (conn->kind == WSK__HTTP) { /* and not busy: the leader's alone */
        /* Room to write, as epoll tells of every new connection. */
        if (what == WSK__WRITE && !conn->h->stalled)
            return true;
        conn->drained = false;
        conn->hup = conn->hup_seen;
    } else {
        wsk__conn_lock(conn);
        conn->drained = false;
        conn->hup = conn->hup_seen;
        wsk__conn_unlock(conn);
    }
    return run(th, conn);
}

static bool on_event(struct wsk__thread *th, const struct wsk__ready *ev)
{
    wsk_server *srv = th->srv;
    uint64_t count;
    ssize_t n;

    switch (*(enum wsk__source *)ev->data) {
    case WSK__SOURCE_WAKE:
        n = read(srv->wake_fds[0], &count, sizeof(count));
        (void)n;
        return true;
    case WSK__SOURCE_LISTENER:
        on_listener(srv, ev->data);
        return true;
    case WSK__SOURCE_CONN:
    case WSK__SOURCE_LONE: /* in no poller */
        break;
    }
    return on_conn(th, ev->data, ev->what);
}

static bool on_post(struct wsk__thread *th, struct wsk_conn *conn,
                    unsigned what)
{
    bool leads = true;

    if (what & WSK__POST_RUN)
        conn->busy = false;
    if (what & WSK__POST_REFUSE)
        wsk__http_refuse(th, conn, WSK__LIMIT_THREADS);
    if (settle(conn)) {
        wsk__conn_lock(conn);
        if (what & (WSK__POST_AWAY | WSK__POST_RUN)) {
            conn->drained = false;
            conn->hup = conn->hup_seen;
            if (conn->ws != NULL && !conn->ws->receiving && !conn->ws->calling)
                conn->ws->rx = WSK__RX_LOOP;
        }
        if (conn->ws != NULL && (what & WSK__POST_UNCORK))
            conn->ws->corked = false;
        wsk__conn_unlock(conn);
        leads = run(th, conn);
    }
    wsk_conn_unref(conn);
    return leads;
}

static bool on_expiry(struct wsk__thread *th, struct wsk_conn *conn)
{
    uint64_t due;

    if (!settle(conn)) {
        wsk__wait_told(conn);
        wsk__overdue(th, conn);
        return true;
    }
    due = deadline(conn);
    if (due > th->srv->now_ms) {
        if (due != UINT64_MAX)
            wsk__timer_set(&th->srv->wheel, &conn->timer, due);
        return true;
    }
    switch (conn->kind) {
    case WSK__HTTP:
        return wsk__http_expired(th, conn);
    case WSK__WS:
        return wsk__ws_expired(th, conn);
    case WSK__LINGER:
        wsk__conn_close(conn);
        break;
    case WSK__DEAD:
        break;
    }
    return true;
}

/* --------------------------------------------------------------- stop --- */

/* Many clients that are sent away at once come back at once, to whoever serves
 * them then. */
static uint32_t spread_of(const wsk_server *srv, uint32_t drain_ms)
{
    uint32_t ms = srv->n_conns / GOAWAYS_PER_MS;

    if (srv->n_conns <= GOAWAYS_AT_ONCE)
        return 0;
    return ms < drain_ms / 4 ? ms : drain_ms / 4;
}

static void begin_drain(wsk_server *srv)
{
    int asked = atomic_load(&srv->stop_ms);
    uint32_t ms = asked < 0 ? srv->cfg.graceful_timeout_ms : (uint32_t)asked;

    srv->goaway_ms = wsk__now_ms();
    srv->goaway_spread_ms = spread_of(srv, ms);
    pause_accepting(srv, true);
    srv->draining = true;
    for (size_t i = 0; i < srv->places.n; i++) {
        wsk__poller_remove(srv->poller, srv->places.at[i].fd);
        wsk__place_close(&srv->places, i, true);
    }
    wsk__conns_join(srv);
    for (struct wsk_conn *c = srv->conns.oldest; c != NULL; c = c->next) {
        if (srv->goaway_spread_ms == 0)
            wsk__ws_goaway(c);
        wsk__taken_goaway(c);
        wsk__post(c, WSK__POST_LOOK); /* idle ones close, others are told */
    }
    wsk__timer_set(&srv->wheel, &srv->drain_timer, wsk__now_ms() + ms);
}

/* The time is up: no more answers, but every close event. */
static void force_drain(wsk_server *srv)
{
    struct wsk_conn *next;

    srv->forced = true;
    for (struct wsk_conn *c = srv->conns.oldest; c != NULL; c = next) {
        next = c->next;
        if (!settle(c))
            shutdown(c->fd, SHUT_RDWR);
        else if (c->kind == WSK__WS)
            wsk__ws_lost(c);
        else
            wsk__conn_close(c);
    }
    wsk__timer_set(&srv->wheel, &srv->drain_timer, wsk__now_ms() + FORCED_MS);
}

static bool calls_open(wsk_server *srv)
{
    bool open;

    wsk__dispatch_lock(srv);
    open = srv->n_running > 0 || srv->n_parked > 0 || srv->ready != NULL ||
           srv->releases != NULL;
    wsk__dispatch_unlock(srv);
    return open;
}

void wsk__drop_ready(wsk_server *srv)
{
    struct wsk_conn *conn;

    wsk__dispatch_lock(srv);
    conn = srv->ready;
    srv->ready = NULL;
    srv->ready_tail = &srv->ready;
    srv->n_ready = 0;
    wsk__dispatch_unlock(srv);
    while (conn != NULL) {
        struct wsk_conn *next = conn->ready_next;

        conn->busy = false;
        if (conn->ws != NULL)
            wsk_conn_unref(conn); /* taken when its events were queued */
        conn = next;
    }
}

static void end(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    struct wsk_conn *conn;
    unsigned what = 0;

    wsk__drop_ready(srv);
    for (struct wsk_conn *c = srv->conns.oldest, *next; c != NULL; c = next) {
        next = c->next;
        if (settle(c))
            wsk__conn_close(c);
    }
    wsk__lock(&srv->post_lock, WSK__LOCK_POSTS);
    srv->posts_closed = true;
    wsk__unlock(&srv->post_lock, WSK__LOCK_POSTS);
    while ((conn = next_post(srv, &what)) != NULL) {
        if (what & WSK__POST_RUN)
            wsk__conn_orphan(conn);
        wsk_conn_unref(conn);
    }
    bury(srv);
    wsk__dispatch_end(srv);
}

/* What a stop asks for now. False: the server has ended. */
static bool heed_stop(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    int asked = atomic_load(&srv->stop_asked);

    if (asked == 0)
        return true;
    if (!srv->draining)
        begin_drain(srv);
    if (!srv->forced && (asked > 1 || atomic_load(&srv->stop_ms) == 0))
        force_drain(srv);
    if (!srv->over && (srv->n_conns > 0 || calls_open(srv)))
        return true;
    end(th);
    return false;
}

static bool on_timer(struct wsk__thread *th, struct wsk__timer *t)
{
    wsk_server *srv = th->srv;

    if (t == &srv->accept_timer) {
        pause_accepting(srv, false);
    } else if (t == &srv->drain_timer) {
        if (srv->forced)
            srv->over = true;
        else
            force_drain(srv);
    } else {
        return on_expiry(
            th,
            (struct wsk_conn *)((char *)t - offsetof(struct wsk_conn, timer)));
    }
    return true;
}

/* --------------------------------------------------------------- lead --- */

/* Everything that needs no wait. False: the lead was lost. */
static bool work_off(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    struct wsk_conn *conn;
    struct wsk__timer *timer;
    unsigned what = 0;

    while (srv->ev_i < srv->ev_n)
        if (!on_event(th, &srv->events[srv->ev_i++]))
            return false;
    /* Not those that come meanwhile: the poller has its turn, too. */
    while (srv->posts_due > 0 && (conn = next_post(srv, &what)) != NULL) {
        srv->posts_due--;
        if (!on_post(th, conn, what))
            return false;
    }
    srv->now_ms = wsk__now_ms();
    while ((timer = wsk__wheel_next_due(&srv->wheel, srv->now_ms)) != NULL)
        if (!on_timer(th, timer))
            return false;
    return true;
}

void wsk__lead(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    while (work_off(th)) {
        int wait_ms;

        bury(srv);
        if (!heed_stop(th))
            return;
        wsk__gate_leave(th);
        wait_ms = wsk__wheel_wait_ms(&srv->wheel, srv->now_ms);
        atomic_store(&srv->sleeping, true);
        /* A post that came before `sleeping` was set woke nobody. */
        srv->posts_due = count_posts(srv);
        if (srv->posts_due > 0)
            wait_ms = 0;
        srv->ev_i = 0;
        srv->turn++;
        srv->ev_n =
            wsk__poller_wait(srv->poller, srv->events, WSK__BATCH, wait_ms);
        atomic_store(&srv->sleeping, false);
        srv->posts_due = count_posts(srv);
    }
}
