#include "net/loop/loop.h"

#include "net/conn/accept.h"
#include "net/conn/conn.h"
#include "net/dispatch/gate.h"
#include "net/dispatch/thread.h"
#include "net/loop/post.h"
#include "net/loop/source.h"
#include "net/loop/timer.h"
#include "net/os/clock.h"
#include "net/os/poller.h"
#include "net/server/server.h"
#include "net/server/stop.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

static bool on_event(struct wsk__thread *th, const struct wsk__poll_event *ev)
{
    wsk_server *srv = th->srv;
    uint64_t count;
    ssize_t n;

    switch (*(enum wsk__source *)ev->data) {
    case WSK__SOURCE_WAKE:
        n = read(srv->loop.wake_fds[0], &count, sizeof(count));
        (void)n;
        return true;
    case WSK__SOURCE_LISTENER:
        wsk__on_listener(srv, ev->data);
        return true;
    case WSK__SOURCE_CONN:
    case WSK__SOURCE_LONE: /* in no poller */
        break;
    }
    return wsk__on_conn(th, ev->data, ev->what);
}

static bool on_timer(struct wsk__thread *th, struct wsk__timer *t)
{
    wsk_server *srv = th->srv;

    if (t == &srv->conns.accept_timer) {
        wsk__pause_accepting(srv, false);
    } else if (t == &srv->stop.drain_timer) {
        if (srv->stop.forced)
            srv->stop.over = true;
        else
            wsk__force_drain(srv);
    } else {
        return wsk__on_expiry(
            th,
            (struct wsk_conn *)((char *)t - offsetof(struct wsk_conn, timer)));
    }
    return true;
}

/* Everything that needs no wait. False: the lead was lost. */
static bool work_off(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;
    struct wsk_conn *conn;
    struct wsk__timer *timer;
    unsigned what = 0;

    while (srv->loop.ev_i < srv->loop.ev_n)
        if (!on_event(th, &srv->loop.events[srv->loop.ev_i++]))
            return false;
    /* Not those that come meanwhile: the poller has its turn, too. */
    while (srv->loop.posts_due > 0 &&
           (conn = wsk__next_post(srv, &what)) != NULL) {
        srv->loop.posts_due--;
        if (!wsk__on_post(th, conn, what))
            return false;
    }
    srv->loop.now_ms = wsk__now_ms();
    while ((timer = wsk__wheel_next_due(&srv->loop.wheel, srv->loop.now_ms)) !=
           NULL)
        if (!on_timer(th, timer))
            return false;
    return true;
}

void wsk__lead(struct wsk__thread *th)
{
    wsk_server *srv = th->srv;

    while (work_off(th)) {
        int wait_ms;

        wsk__conns_bury(srv);
        if (!wsk__heed_stop(th))
            return;
        wsk__gate_leave(th);
        wait_ms = wsk__wheel_wait_ms(&srv->loop.wheel, srv->loop.now_ms);
        atomic_store(&srv->loop.sleeping, true);
        /* A post that came before `sleeping` was set woke nobody. */
        srv->loop.posts_due = wsk__count_posts(srv);
        if (srv->loop.posts_due > 0)
            wait_ms = 0;
        srv->loop.ev_i = 0;
        srv->loop.turn++;
        srv->loop.ev_n = wsk__poller_wait(srv->loop.poller, srv->loop.events,
                                          WSK__BATCH, wait_ms);
        atomic_store(&srv->loop.sleeping, false);
        srv->loop.posts_due = wsk__count_posts(srv);
    }
}
