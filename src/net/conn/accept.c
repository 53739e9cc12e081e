#include "net/conn/accept.h"

#include "base/mem.h"
#include "net/conn/balance.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/idle.h"
#include "net/conn/listeners.h"
#include "net/conn/peer.h"
#include "net/dispatch/thread.h"
#include "net/log/limits.h"
#include "net/log/log.h"
#include "net/log/metrics.h"
#include "net/loop/loop.h"
#include "net/loop/source.h"
#include "net/os/accept.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/listen.h"
#include "net/os/poller.h"
#include "net/os/stream.h"
#include "wsocket.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>

enum {
    ACCEPT_MAX = 64, /* connections accepted before others have a turn */
    DRAIN_MS = 100 - WSK__WHEEL_TICK_MS, /* for handshakes that are under way */
    LAST_MS = 10,        /* the same, if there is nothing else to wait for */
    DRAIN_MAX = 1 << 16, /* connections accepted at the end; no queue is
                            longer */
};

/* ------------------------------------------------------- the listeners --- */

static struct wsk__listening listening_of(struct wsk__conns *conns)
{
    return (struct wsk__listening){
        .places = &conns->places,
        .listeners = conns->listeners,
        .shared = conns->balance.board != NULL,
    };
}

static void unwatch_all(struct wsk__conns *conns)
{
    const struct wsk__listening listening = listening_of(conns);

    wsk__listeners_unwatch(conns->loop, &listening);
}

/* False: the system refuses, and none is watched. */
static bool watch_all(struct wsk__conns *conns)
{
    const struct wsk__listening listening = listening_of(conns);

    return wsk__listeners_watch(conns->loop, &listening);
}

/* Return true unless a pause, an order or the end says that none is watched. */
static bool is_to_watch(const struct wsk__conns *conns)
{
    return conns->accepting == WSK__ACCEPT_ON && !conns->accept_paused &&
           conns->listeners_open;
}

/* Assert that all listeners are watched, unless a pause, an order or the end
 * says otherwise. So it is whenever the leader waits: an idle worker therefore
 * accepts, even if the board is wrong. */
static void assert_accepts(const struct wsk__conns *conns)
{
    if (!is_to_watch(conns))
        return;
    for (size_t i = 0; i < conns->places.n; i++)
        assert(conns->listeners[i].watched);
}

void wsk__accept_pause(struct wsk__conns *conns)
{
    const struct wsk__listening listening = listening_of(conns);

    conns->accept_due = false;
    if (!conns->listeners_open)
        return;
    conns->accept_paused = true;
    wsk__listeners_pause(conns->loop, &listening, &conns->accept_pause);
}

/* Count a pause, by its place among the reasons. */
static void count_pause(struct wsk__conns *conns, unsigned reason)
{
    if (conns->metrics != NULL)
        wsk__add(&conns->metrics->own[WSK__N_PAUSES + reason], 1);
}

/* Pause because the system has no more. */
static void pause_for_want(struct wsk__conns *conns)
{
    if (!conns->accept_paused)
        wsk__logf(conns->logs, WSK_LOG_WARNING,
                  "accepting pauses: out of descriptors or memory (%u "
                  "connections)",
                  conns->n);
    count_pause(conns, 1);
    wsk__accept_pause(conns);
}

/* Watch the listeners, or try again later. */
static void go_on(struct wsk__conns *conns)
{
    if (conns->accepting == WSK__ACCEPT_ON && !watch_all(conns))
        pause_for_want(conns);
}

static void stop_pausing(struct wsk__conns *conns)
{
    if (!conns->accept_paused || !conns->listeners_open)
        return;
    conns->accept_paused = false;
    go_on(conns);
}

void wsk__accept_resume(struct wsk__conns *conns)
{
    if (conns->accept_due)
        stop_pausing(conns);
    conns->accept_due = false;
}

/* Watch all listeners anew. This process is then the last of those that wait
 * for each; and to add a listener looks at its queue, so that no connection is
 * overlooked. Of all listeners, because one that is full must not be woken, in
 * the place of others, by one that it has never accepted from. */
static void watch_anew(struct wsk__conns *conns)
{
    if (!is_to_watch(conns))
        return;
    unwatch_all(conns);
    go_on(conns);
}

static enum wsk__accepting asked_of(const struct wsk__conns *conns)
{
    return (enum wsk__accepting)atomic_load_explicit(&conns->accept_asked,
                                                     memory_order_relaxed);
}

static void say(struct wsk__conns *conns)
{
    wsk__balance_say(conns, conns->accepting == WSK__ACCEPT_ON
                                ? WSK_WORKER_SERVING
                                : WSK_WORKER_READY);
}

void wsk__accept_heed(struct wsk__conns *conns)
{
    enum wsk__accepting asked = asked_of(conns);

    /* Once it leaves, the server accepts what is left, and no order counts. */
    if (asked != conns->accepting && !conns->draining) {
        conns->accepting = asked;
        if (asked == WSK__ACCEPT_OFF)
            unwatch_all(conns);
        else if (!conns->accept_paused)
            go_on(conns);
        say(conns);
    }
    if (atomic_load_explicit(&conns->accept_again, memory_order_relaxed)) {
        atomic_store(&conns->accept_again, false);
        watch_anew(conns);
    }
    assert_accepts(conns);
}

/* ----------------------------------------------------- the connections --- */

static bool conn_init(struct wsk__conn *conn, struct wsk__conns *conns, int fd,
                      const struct wsk__address *peer,
                      const struct wsk__listener *listener)
{
    struct wsk__ends ends = {.peer = *peer, .local = listener->local};

    if (!listener->fixed)
        wsk__listens_at(fd, &ends.local); /* this end of the connection */
    conn->source.ops = &wsk__conn_source;
    conn->conns = conns;
    conn->stream = (struct wsk__stream){.fd = fd};
    conn->want = WSK__READ;
    conn->admin = listener->admin;
    conn->since_ms = wsk__now_ms();
    atomic_init(&conn->source.refs, 1); /* the loop's */
    if (!conns->begin(conn, &ends, listener->plain))
        return false;
    if (!wsk__poller_add(conns->loop->poller, fd, conn, false)) {
        wsk__conn_ops(conn)->closed(conn);
        wsk__conn_release(conn);
        return false;
    }
    wsk__life_hold(conns->life);
    return true;
}

/* Count a connection that has come. */
static void count(struct wsk__conns *conns, struct wsk__conn *conn)
{
    if (conn->admin) {
        conns->n_admin++;
        return;
    }
    conn->silent = true;
    conns->n_silent++;
}

void wsk__accept_welcome(struct wsk__conns *conns, int fd,
                         const struct wsk__address *peer,
                         const struct wsk__listener *listener)
{
    struct wsk__conn *conn = wsk__calloc(sizeof(*conn));

    if (conn == NULL || !conn_init(conn, conns, fd, peer, listener)) {
        wsk__free(conn);
        wsk__stream_close(&(struct wsk__stream){.fd = fd});
        return;
    }
    wsk__conns_add(conn);
    count(conns, conn);
    wsk__rearm(conn);
}

/* Return how many connections to accept in this turn. A final accept() that
 * returns EAGAIN costs half as much as a connection, and the poller will report
 * the rest. So accept only as many as recently came at once, doubling while
 * that falls short; but one while other workers have fewer. */
static unsigned batch_of(const struct wsk__conns *conns,
                         struct wsk__listener *listener)
{
    if (listener->turn + 1 != conns->loop->turn || wsk__balance_is_above(conns))
        listener->batch = 1;
    else if (listener->more)
        listener->batch *= 2;
    if (listener->batch > ACCEPT_MAX)
        listener->batch = ACCEPT_MAX;
    listener->turn = conns->loop->turn;
    listener->more = true;
    return listener->batch;
}

/* Close the connection that has been idle for longest. False: none is idle; or
 * the server leaves, and its idle connections are about to go anyway, but for
 * those that were just accepted. */
static bool make_room(struct wsk__conns *conns, enum wsk__limit limit)
{
    struct wsk__conn *conn = conns->draining ? NULL : wsk__conns_idlest(conns);

    if (conn == NULL)
        return false;
    wsk__limit_hit(conns->logs, limit);
    wsk__conn_close(conn);
    return true;
}

/* Make room at max_connections for a connection that waits; or pause. */
static bool make_place(struct wsk__conns *conns)
{
    if (make_room(conns, WSK__LIMIT_CONNS))
        return true;
    wsk__limit_hit(conns->logs, WSK__LIMIT_ACCEPT);
    count_pause(conns, 0);
    wsk__accept_pause(conns);
    return false;
}

/* The same when descriptors or memory are out. */
static bool make_room_or_pause(struct wsk__conns *conns)
{
    if (make_room(conns, WSK__LIMIT_FILES))
        return true;
    pause_for_want(conns);
    return false;
}

enum took {
    TOOK_ONE,
    TOOK_NONE, /* none waits */
    TOOK_GONE, /* the client has gone: there may be others */
    NO_ROOM,
};

/* Accept a connection. Room is made only for one that is known to wait:
 * accept() fails for want of descriptors even if none does. */
static enum took take_one(struct wsk__listener *listener, bool waits)
{
    struct wsk__conns *conns = listener->conns;
    struct wsk__address peer;
    int fd;

    if (conns->n >= conns->cfg->max_connections &&
        !(waits && make_place(conns)))
        return NO_ROOM;
    fd = wsk__accept(conns->places.at[listener->i].fd, &peer);
    if (fd >= 0) {
        /* Not those that the program hands over: a supervisor looks for signs
         * of life with them. */
        if (conns->metrics != NULL)
            wsk__add(&conns->metrics->own[WSK__N_ACCEPTED], 1);
        wsk__accept_welcome(conns, fd, &peer, listener);
        return TOOK_ONE;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return TOOK_NONE;
    return wsk__accept_is_out() && !(waits && make_room_or_pause(conns))
               ? NO_ROOM
               : TOOK_GONE;
}

/* Accept a batch; return how many came. The poller tells that one connection
 * waits. */
static unsigned accept_batch(struct wsk__conns *conns,
                             struct wsk__listener *listener)
{
    unsigned batch = batch_of(conns, listener), came = 0;

    for (unsigned i = 0; i < batch && conns->listeners_open; i++)
        switch (take_one(listener, came == 0)) {
        case TOOK_ONE:
            came++;
            break;
        case TOOK_NONE:
            listener->batch = i > 0 ? i : 1;
            listener->more = false;
            return came;
        case TOOK_GONE:
            break;
        case NO_ROOM:
            return came;
        }
    return came;
}

static wsk__leads on_listener(struct wsk__thread *th,
                              struct wsk__source *source, unsigned what)
{
    struct wsk__listener *listener = (struct wsk__listener *)source;
    struct wsk__conns *conns = listener->conns;

    wsk__assert_leads(th);
    (void)what;
    if (!wsk__balance_passes(conns, listener) &&
        accept_batch(conns, listener) > 0 && wsk__balance_gives_way(conns))
        watch_anew(conns);
    return true;
}

static wsk__leads end_pause(struct wsk__thread *th, struct wsk__source *source)
{
    wsk__assert_leads(th);
    stop_pausing(WSK__OWNER(source, struct wsk__conns, accept_pause));
    return true;
}

/* Accept all connections that wait. */
static void take_all(struct wsk__conns *conns)
{
    for (size_t i = 0; i < conns->places.n; i++) {
        int fd = conns->places.at[i].fd;
        enum took took = TOOK_ONE;

        for (int n = 0; n < DRAIN_MAX && took != NO_ROOM &&
                        wsk__stream_wait_once(fd, WSK__READ, 0) > 0;
             n++)
            took = take_one(&conns->listeners[i], true);
    }
}

void wsk__accept_close(struct wsk__conns *conns)
{
    if (!conns->listeners_open)
        return;
    unwatch_all(conns);
    for (size_t i = 0; i < conns->places.n; i++)
        wsk__place_close(&conns->places, i, !conns->drain.successor);
    conns->listeners_open = false;
    wsk__loop_clear_timer(conns->loop, &conns->accept_pause);
    wsk__loop_clear_timer(conns->loop, &conns->accept_end);
}

/* Return true if no process that stays accepts at the i-th socket. */
static bool is_ours(const struct wsk__conns *conns, size_t i)
{
    return conns->drain.alone || !conns->places.at[i].inherited;
}

void wsk__accept_drain(struct wsk__conns *conns)
{
    if (!conns->listeners_open)
        return;
    if (conns->drain.successor || conns->accepting == WSK__ACCEPT_LATER) {
        wsk__accept_close(conns); /* the queues are left to others */
        return;
    }
    stop_pausing(conns);
    for (size_t i = 0; i < conns->places.n; i++)
        if (is_ours(conns, i))
            wsk__place_refuse_new(&conns->places, i);
    take_all(conns);
    wsk__loop_set_timer(conns->loop, &conns->accept_end,
                        wsk__now_ms() + DRAIN_MS);
}

bool wsk__accept_last(struct wsk__conns *conns)
{
    wsk__places_wait(&conns->places, LAST_MS);
    take_all(conns);
    if (conns->n == 0)
        wsk__accept_close(conns);
    return conns->listeners_open;
}

/* Return true if a connection waits that no other process can accept. */
static bool one_is_left(const struct wsk__conns *conns)
{
    for (size_t i = 0; i < conns->places.n; i++)
        if (is_ours(conns, i) &&
            wsk__stream_wait_once(conns->places.at[i].fd, WSK__READ, 0) > 0)
            return true;
    return false;
}

/* Close the listeners, unless there is no room for what waits there. */
static wsk__leads end_accepting(struct wsk__thread *th,
                                struct wsk__source *source)
{
    struct wsk__conns *conns =
        WSK__OWNER(source, struct wsk__conns, accept_end);

    wsk__assert_leads(th);
    take_all(conns);
    if (one_is_left(conns))
        wsk__loop_set_timer(conns->loop, source, wsk__now_ms() + DRAIN_MS);
    else
        wsk__accept_close(conns);
    return true;
}

wsk_status wsk__accept_start(struct wsk__conns *conns)
{
    static const struct wsk__source_ops LISTENER = {.ready = on_listener};
    static const struct wsk__source_ops PAUSE = {.expired = end_pause};
    static const struct wsk__source_ops END = {.expired = end_accepting};

    conns->listeners_open = true;
    conns->accept_pause.ops = &PAUSE;
    conns->accept_end.ops = &END;
    for (size_t i = 0; i < conns->places.n; i++) {
        struct wsk__listener *listener = &conns->listeners[i];

        listener->source.ops = &LISTENER;
        listener->conns = conns;
    }
    conns->accepting = asked_of(conns);
    if (conns->accepting == WSK__ACCEPT_LATER)
        return WSK_OK;
    if (conns->accepting == WSK__ACCEPT_ON && !watch_all(conns))
        return WSK_E_SYS;
    say(conns);
    return WSK_OK;
}
