/* Workers that share listeners: accept, balance and board, over a kernel that
 * is simulated here by functions of the names of os/poller and os/accept. It
 * does what Linux does with EPOLLEXCLUSIVE: a connection wakes the first of the
 * waiters that sleeps, and marks those before it. */
#include "harness.h"

#include "base/mem.h"
#include "net/board/board.h"
#include "net/conn/accept.h"
#include "net/conn/balance.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/listeners.h"
#include "net/conn/protocol.h"
#include "net/dispatch/dispatch.h"
#include "net/dispatch/thread.h"
#include "net/log/log.h"
#include "net/loop/loop.h"
#include "net/loop/timer.h"
#include "net/os/accept.h"
#include "net/os/life.h"
#include "net/os/poller.h"

#include <errno.h>
#include <stdatomic.h>

enum { WORKERS = 6, LISTENERS = 2, FAR_FD = 1 << 24 };

/* A worker, and what the kernel keeps of its poller. */
struct wsk__poller {
    void *data[LISTENERS]; /* NULL: not watched */
    bool marked[LISTENERS];
    uint64_t since[LISTENERS]; /* place among the waiters; the least is first */
    bool sleeps;               /* in epoll_wait() */
};

struct worker {
    struct wsk__poller poller;
    struct wsk__loop loop;
    struct wsk__dispatch dispatch;
    struct wsk__life life;
    struct wsk__logs logs;
    struct wsk__conns conns;
    bool runs; /* as a process */
    bool stopped;
};

static struct worker workers[WORKERS];
static struct worker *running; /* whose turn it is */
static struct wsk__thread self;
static wsk_server_config config;
static wsk_board *board;
static unsigned waiting[LISTENERS]; /* connections in the kernel's queue */
static uint64_t places;
static bool lost[LISTENERS];  /* a worker was woken for them, and is away */
static bool exclusive = true; /* else all are woken, as by poll() */
static bool add_fails;
static uint64_t seed;

static unsigned dice(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 20) % n;
}

/* ------------------------------------------------- the simulated kernel --- */

bool wsk__poller_listen(struct wsk__poller *p, int fd, void *data, bool shared)
{
    int l = fd - FAR_FD;

    EXPECT(shared && p->data[l] == NULL);
    if (add_fails)
        return false;
    p->data[l] = data;
    p->since[l] = ++places;
    p->marked[l] = waiting[l] > 0;
    return true;
}

void wsk__poller_unlisten(struct wsk__poller *p, int fd)
{
    EXPECT(p->data[fd - FAR_FD] != NULL);
    p->data[fd - FAR_FD] = NULL;
    p->marked[fd - FAR_FD] = false;
}

bool wsk__poller_is_exclusive(const struct wsk__poller *p)
{
    (void)p;
    return exclusive;
}

bool wsk__poller_add(struct wsk__poller *p, int fd, void *data, bool level)
{
    (void)p;
    (void)fd;
    (void)data;
    return !level;
}

void wsk__poller_remove(struct wsk__poller *p, int fd)
{
    (void)p;
    (void)fd;
}

void wsk__poller_want(struct wsk__poller *p, int fd, void *data, unsigned was,
                      unsigned want, bool level)
{
    (void)p;
    (void)fd;
    (void)data;
    (void)was;
    (void)want;
    (void)level;
}

/* Nothing here runs a loop. */
struct wsk__poller *wsk__poller_new(bool use_poll)
{
    (void)use_poll;
    return NULL;
}

void wsk__poller_free(struct wsk__poller *p)
{
    (void)p;
}

bool wsk__poller_is_edge(const struct wsk__poller *p)
{
    (void)p;
    return true;
}

size_t wsk__poller_wait(struct wsk__poller *p, struct wsk__poll_event *out,
                        size_t n, int timeout_ms)
{
    (void)p;
    (void)out;
    (void)timeout_ms;
    return n - n;
}

int wsk__accept(int listener, struct wsk__address *peer)
{
    int l = listener - FAR_FD;

    *peer = (struct wsk__address){.text = ""};
    if (waiting[l] == 0) {
        errno = EAGAIN;
        return -1;
    }
    if (--waiting[l] == 0)
        lost[l] = false;
    return FAR_FD + LISTENERS;
}

bool wsk__accept_is_out(void)
{
    return false;
}

bool wsk__accept_given(int fd, struct wsk__address *peer)
{
    (void)fd;
    (void)peer;
    return false;
}

/* The waiter of a listener that has waited for longest, of those that came
 * after `after`. */
static struct worker *next_waiter(int l, uint64_t after)
{
    struct worker *next = NULL;

    for (int i = 0; i < WORKERS; i++) {
        struct worker *w = &workers[i];

        if (w->runs && w->poller.data[l] != NULL &&
            w->poller.since[l] > after &&
            (next == NULL || w->poller.since[l] < next->poller.since[l]))
            next = w;
    }
    return next;
}

static void arrive(int l)
{
    uint64_t after = 0;
    struct worker *w;

    waiting[l]++;
    while ((w = next_waiter(l, after)) != NULL) {
        bool slept = w->poller.sleeps;

        w->poller.marked[l] = true;
        w->poller.sleeps = false;
        if (slept && exclusive)
            break;
        after = w->poller.since[l];
    }
}

/* Return what is ready, as epoll_wait() does for level-triggered listeners. */
static int take_events(struct worker *w, void *out[LISTENERS])
{
    int n = 0;

    for (int l = 0; l < LISTENERS; l++) {
        w->poller.marked[l] = w->poller.marked[l] && waiting[l] > 0;
        if (w->poller.marked[l])
            out[n++] = w->poller.data[l];
    }
    return n;
}

/* ----------------------------------------------------------- a worker --- */

static uint64_t never(struct wsk__conn *conn)
{
    (void)conn;
    return UINT64_MAX;
}

static void nothing(struct wsk__conn *conn)
{
    (void)conn;
}

static const struct wsk__protocol_ops SILENT = {
    .due_ms = never, .closed = nothing, .release = nothing};

static bool begin_conn(struct wsk__conn *conn, struct wsk__ends *ends,
                       bool plain)
{
    (void)ends;
    (void)plain;
    atomic_init(&conn->ops, &SILENT);
    return true;
}

static void no_end(struct wsk__life *life)
{
    (void)life;
}

/* No other thread is there. */
static void set_lead(struct worker *w) WSK__NO_ANALYSIS
{
    self.leads = true;
    self.dispatch = &w->dispatch;
    wsk__self = &self;
    running = w;
}

/* A process begins, in the first slot that is free, and does not accept yet. */
static void begin(struct worker *w)
{
    struct wsk__conns *conns = &w->conns;
    wsk_status st = WSK_E_STATE;

    memset(w, 0, sizeof(*w));
    w->life.end = no_end;
    atomic_init(&w->life.refs, 1);
    w->logs.level = WSK_LOG_CRITICAL;
    w->loop.poller = &w->poller;
    w->loop.edge = true;
    wsk__wheel_init(&w->loop.wheel, 0);
    w->dispatch.cfg = &config;
    wsk__dispatch_open(&w->dispatch);
    for (int i = 0; i < WSK__CONN_LOCKS; i++)
        pthread_mutex_init(&conns->locks[i].mutex, NULL);
    conns->cfg = &config;
    conns->life = &w->life;
    conns->logs = &w->logs;
    conns->loop = &w->loop;
    conns->dispatch = &w->dispatch;
    conns->begin = begin_conn;
    conns->places.n = LISTENERS;
    for (int l = 0; l < LISTENERS; l++) {
        conns->places.at[l].fd = FAR_FD + l;
        conns->listeners[l] =
            (struct wsk__listener){.i = (size_t)l, .batch = 1, .fixed = true};
    }
    for (unsigned slot = 0; st != WSK_OK && slot < wsk_board_slots(board);
         slot++)
        st = wsk__balance_enter(conns, board, slot, 1);
    EXPECT(st == WSK_OK);
    w->runs = true;
    EXPECT(wsk__accept_start(conns) == WSK_OK);
}

static void close_oldest(struct worker *w)
{
    set_lead(w);
    if (w->conns.resting.oldest != NULL)
        wsk__conn_close(w->conns.resting.oldest);
    wsk__conns_bury(&w->conns);
}

/* A process ends, of its own will or by a signal, and is waited for. */
static void end(struct worker *w, bool killed)
{
    unsigned slot = w->conns.balance.slot;

    for (int l = 0; l < LISTENERS; l++)
        w->poller.data[l] = NULL;
    w->runs = false;
    while (w->conns.resting.oldest != NULL)
        close_oldest(w);
    if (killed) { /* and says nothing */
        wsk_board_free(w->conns.balance.board);
        w->conns.balance.board = NULL;
    }
    wsk__balance_leave(&w->conns);
    wsk_board_clear(board, slot);
    wsk__dispatch_close(&w->dispatch);
    for (int i = 0; i < WSK__CONN_LOCKS; i++)
        pthread_mutex_destroy(&w->conns.locks[i].mutex);
}

static bool can_run(const struct worker *w)
{
    return w->runs && !w->stopped && !w->poller.sleeps;
}

/* A worker that may have been woken for connections does not take them. */
static void lose(void)
{
    for (int l = 0; l < LISTENERS; l++)
        lost[l] |= waiting[l] > 0;
}

/* One turn, as of wsk__loop_lead(). */
static void turn(struct worker *w)
{
    void *events[LISTENERS];
    int n;

    bool paused = w->conns.accept_paused;

    set_lead(w);
    w->loop.turn++;
    n = take_events(w, events);
    for (int i = 0; i < n; i++) {
        struct wsk__source *source = events[i];

        EXPECT(source->ops->ready(&self, source, WSK__READ));
    }
    wsk__conns_bury(&w->conns);
    wsk__accept_resume(&w->conns);
    wsk__accept_heed(&w->conns);
    if (w->conns.accept_paused && !paused)
        lose();
    w->poller.sleeps = take_events(w, events) == 0;
}

static void run_until_all_sleep(void)
{
    bool any = true;

    for (int left = 100000; left > 0 && any; left--) {
        struct worker *w = &workers[dice(WORKERS)];

        any = false;

        if (can_run(w))
            turn(w);
        for (int i = 0; i < WORKERS; i++)
            any |= can_run(&workers[i]);
    }
    EXPECT(!any);
}

static bool serves(const struct worker *w)
{
    return w->runs && w->conns.accepting == WSK__ACCEPT_ON &&
           !w->conns.accept_paused && !w->conns.draining;
}

/* True: a worker is awake that will look at a listener. */
static bool is_seen_to(int l)
{
    for (int i = 0; i < WORKERS; i++)
        if (can_run(&workers[i]) && workers[i].poller.marked[l])
            return true;
    return false;
}

/* In the kernel's own terms: whoever serves and sleeps is woken by every
 * listener, and while it sleeps no connection waits that no other worker was
 * woken for; but for those for which one was, and then stopped or found no
 * place. */
static bool holds(void)
{
    for (int i = 0; i < WORKERS; i++)
        for (int l = 0; l < LISTENERS; l++) {
            const struct worker *w = &workers[i];

            if (!w->poller.sleeps || !serves(w))
                continue;
            if (w->poller.data[l] == NULL)
                return false;
            if (waiting[l] > 0 && !lost[l] && !is_seen_to(l))
                return false;
        }
    return true;
}

static void open_service(unsigned n)
{
    wsk_config_init(&config);
    config.max_connections = 1000000;
    board = wsk_board_new(WORKERS);
    memset(waiting, 0, sizeof(waiting));
    exclusive = true;
    for (unsigned i = 0; i < n; i++) {
        begin(&workers[i]);
        atomic_store(&workers[i].conns.accept_asked, WSK__ACCEPT_ON);
    }
    run_until_all_sleep();
}

static void close_service(void)
{
    for (int i = 0; i < WORKERS; i++)
        if (workers[i].runs)
            end(&workers[i], false);
    wsk_board_free(board);
    EXPECT(wsk__self == &self || wsk__self == NULL);
    wsk__self = NULL;
}

/* ------------------------------------------------------------- the tests ---
 */

static void spread(unsigned *least, unsigned *most)
{
    *least = UINT32_MAX;
    *most = 0;
    for (int i = 0; i < WORKERS; i++) {
        if (!workers[i].runs)
            continue;
        if (workers[i].conns.n < *least)
            *least = workers[i].conns.n;
        if (workers[i].conns.n > *most)
            *most = workers[i].conns.n;
    }
}

TEST(connections_that_stay_are_spread_by_count)
{
    unsigned least, most;

    seed = 1;
    open_service(4);
    for (int i = 0; i < 400; i++) {
        arrive(0);
        run_until_all_sleep();
    }
    spread(&least, &most);
    EXPECT(least >= 99 && most <= 101);
    close_service();
}

TEST(without_a_balance_one_worker_gets_all)
{
    unsigned least, most;

    seed = 1;
    open_service(4);
    config.accept_balance = false;
    for (int i = 0; i < 400; i++) {
        arrive(0);
        run_until_all_sleep();
    }
    spread(&least, &most);
    EXPECT(least == 0 && most == 400);
    close_service();
}

TEST(bursts_are_spread_within_half_of_the_mean)
{
    unsigned least, most;

    for (seed = 1; seed < 200; seed += 17) {
        open_service(4);
        for (int i = 0; i < 20; i++) {
            for (int k = 0; k < 20; k++)
                arrive(k % LISTENERS);
            run_until_all_sleep();
        }
        spread(&least, &most);
        EXPECT(least >= 50 && most <= 150);
        close_service();
    }
}

TEST(a_worker_that_lost_its_connections_gets_the_next)
{
    unsigned before;

    seed = 5;
    open_service(4);
    for (int i = 0; i < 400; i++) {
        arrive(0);
        run_until_all_sleep();
    }
    while (workers[2].conns.n > 0)
        close_oldest(&workers[2]);
    for (int i = 0; i < 100; i++) {
        arrive(0);
        run_until_all_sleep();
    }
    before = workers[2].conns.n;
    EXPECT(before >= 85);
    close_service();
}

TEST(where_all_are_woken_the_one_with_fewer_accepts)
{
    unsigned least, most;

    seed = 3;
    open_service(4);
    exclusive = false;
    for (int i = 0; i < 400; i++) {
        arrive(0);
        run_until_all_sleep();
    }
    spread(&least, &most);
    EXPECT(least >= 90 && most <= 110);
    /* The one with fewer hangs: another takes it after a moment. */
    while (workers[1].conns.n > 0)
        close_oldest(&workers[1]);
    workers[1].stopped = true;
    arrive(1);
    for (int i = 0; waiting[1] > 0 && i < 100000000; i++)
        if (can_run(&workers[i % 4]))
            turn(&workers[i % 4]);
    EXPECT(waiting[1] == 0);
    close_service();
}

/* No other thread is there. */
static void set_busy(struct worker *w, unsigned queued) WSK__NO_ANALYSIS
{
    w->dispatch.n_running = config.threads;
    w->dispatch.n_queued = queued;
}

TEST(a_worker_whose_threads_are_busy_gives_way_to_one_with_more)
{
    seed = 9;
    open_service(2);
    for (int i = 0; i < 10; i++) {
        arrive(0);
        run_until_all_sleep();
    }
    while (workers[0].conns.n > 0)
        close_oldest(&workers[0]);
    set_busy(&workers[0], 1);
    arrive(0); /* one may stand at the head already */
    run_until_all_sleep();
    if (workers[0].conns.n == 0) {
        arrive(0);
        run_until_all_sleep();
    }
    EXPECT(workers[0].conns.n == 1);
    arrive(0);
    run_until_all_sleep();
    EXPECT(workers[0].conns.n == 1);
    set_busy(&workers[0], 0);
    close_service();
}

TEST(a_worker_that_does_not_accept_is_none_of_the_least)
{
    wsk_worker seen;

    seed = 4;
    open_service(2);
    begin(&workers[2]);
    wsk_board_look(board, workers[2].conns.balance.slot, &seen);
    EXPECT(seen.state == WSK_WORKER_BOOT);
    for (int i = 0; i < 4; i++) {
        arrive(0);
        run_until_all_sleep();
    }
    EXPECT(wsk__board_least(board) == 2 && workers[2].conns.n == 0);
    atomic_store(&workers[0].conns.accept_asked, WSK__ACCEPT_OFF);
    turn(&workers[0]);
    wsk_board_look(board, workers[0].conns.balance.slot, &seen);
    EXPECT(seen.state == WSK_WORKER_READY && seen.connections == 2);
    EXPECT(workers[0].poller.data[0] == NULL);
    arrive(1);
    run_until_all_sleep();
    EXPECT(workers[1].conns.n == 3);
    EXPECT(wsk__board_least(board) == 3);
    close_service();
}

/* A worker is killed; the parent tells the others to look again. */
static void die(struct worker *dead)
{
    end(dead, true);
    for (int i = 0; i < WORKERS; i++) {
        struct worker *w = &workers[i];

        if (w->runs && atomic_load(&w->conns.accept_asked) == WSK__ACCEPT_ON) {
            atomic_store(&w->conns.accept_again, true);
            w->poller.sleeps = false;
        }
    }
}

/* One event of those that happen to a service. */
static void happen(struct worker *w)
{
    w->poller.sleeps = false; /* a timer, an order, a signal or a client */
    switch (dice(16)) {
    case 0:
        close_oldest(w);
        break;
    case 1: /* no place, or no memory */
        set_lead(w);
        wsk__accept_pause(&w->conns);
        lose();
        break;
    case 2:
        set_lead(w);
        w->conns.accept_pause.ops->expired(&self, &w->conns.accept_pause);
        if (w->conns.accept_paused)
            lose();
        break;
    case 3:
        atomic_store(&w->conns.accept_asked,
                     dice(4) > 0 ? WSK__ACCEPT_ON : WSK__ACCEPT_OFF);
        break;
    case 4:
        w->stopped = dice(3) == 0;
        if (w->stopped)
            lose();
        break;
    case 5:
        add_fails = dice(8) == 0;
        break;
    case 6:
        if (dice(8) == 0)
            die(w);
        break;
    case 7:
        set_busy(w, dice(2));
        break;
    default:
        for (unsigned i = 0; i < 3 && w->conns.n > 200; i++)
            close_oldest(w);
    }
}

TEST(whoever_serves_is_woken_by_every_listener_at_any_moment)
{
    unsigned long accepted = 0, turns = 0, certain = 0;

    seed = 20261129;
    open_service(3);
    for (int step = 0; step < 1000000 && checks_failed == 0; step++) {
        struct worker *w = &workers[dice(WORKERS)];

        switch (dice(4)) {
        case 0:
            if (waiting[0] + waiting[1] < 1000)
                arrive((int)dice(LISTENERS));
            break;
        case 1:
            if (w->runs && !w->stopped)
                happen(w);
            else if (w->runs)
                w->stopped = dice(4) > 0;
            else if (!add_fails && dice(8) == 0)
                begin(w);
            break;
        default:
            if (can_run(w)) {
                unsigned before = w->conns.n;

                turn(w);
                turns++;
                accepted += w->conns.n > before;
            }
        }
        EXPECT(holds());
        certain += !lost[0] && !lost[1];
    }
    EXPECT(turns > 100000 && accepted > 10000 && certain > 100000);
    EXPECT(running != NULL);
    add_fails = false;
    close_service();
}
