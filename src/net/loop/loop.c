#include "net/loop/loop.h"

#include "base/mem.h"
#include "net/loop/post.h"
#include "net/loop/source.h"
#include "net/loop/timer.h"
#include "net/os/clock.h"
#include "net/os/life.h"
#include "net/os/poller.h"
#include "net/os/wake.h"

static wsk__leads on_wake(struct wsk__thread *th, struct wsk__source *source,
                          unsigned what)
{
    struct wsk__loop *loop = WSK__OWNER(source, struct wsk__loop, wake_source);

    (void)th;
    (void)what;
    wsk__wake_clear(&loop->wake);
    return true;
}

bool wsk__loop_open(struct wsk__loop *loop, const struct wsk__life *life,
                    bool use_poll)
{
    static const struct wsk__source_ops WAKE = {.ready = on_wake};

    loop->life = life;
    loop->wake_source.ops = &WAKE;
    wsk__posts_open(loop);
    wsk__wheel_init(&loop->wheel, wsk__now_ms());
    loop->poller = wsk__poller_new(use_poll);
    if (!wsk__wake_open(&loop->wake) || loop->poller == NULL)
        return false;
    loop->edge = wsk__poller_is_edge(loop->poller);
    return wsk__poller_add(loop->poller, loop->wake.fds[0], &loop->wake_source,
                           true);
}

void wsk__loop_close(struct wsk__loop *loop)
{
    wsk__poller_free(loop->poller);
    wsk__wake_close(&loop->wake);
    pthread_mutex_destroy(&loop->post_lock);
}

static wsk__leads on_post(struct wsk__thread *th, struct wsk__source *source,
                          unsigned what)
{
    wsk__leads leads = source->ops->posted(th, source, what);

    source->ops->drop(source);
    return leads;
}

static wsk__leads on_timer(struct wsk__thread *th, struct wsk__timer *timer)
{
    struct wsk__source *source = WSK__OWNER(timer, struct wsk__source, timer);

    return source->ops->expired(th, source);
}

/* Serve all that needs no wait. */
static wsk__leads work_off(struct wsk__loop *loop, struct wsk__thread *th)
{
    struct wsk__source *source;
    struct wsk__timer *timer;
    unsigned what = 0;

    while (loop->ev_i < loop->ev_n) {
        const struct wsk__poll_event *ev = &loop->events[loop->ev_i++];

        source = ev->data;
        if (!source->ops->ready(th, source, ev->what))
            return false;
    }
    /* Posts that come meanwhile wait, because the poller has its turn, too. */
    while (loop->posts_due > 0 &&
           (source = wsk__next_post(loop, &what)) != NULL) {
        loop->posts_due--;
        if (!on_post(th, source, what))
            return false;
    }
    loop->now_ms = wsk__now_ms();
    while ((timer = wsk__wheel_next_due(&loop->wheel, loop->now_ms)) != NULL)
        if (!on_timer(th, timer))
            return false;
    return true;
}

void wsk__loop_lead(struct wsk__loop *loop, struct wsk__thread *th)
{
    while (work_off(loop, th)) {
        int wait_ms;

        if (!loop->before_wait(loop, th))
            return;
        wait_ms = wsk__wheel_wait_ms(&loop->wheel, loop->now_ms);
        atomic_store(&loop->sleeping, true);
        /* A post that came before `sleeping` was set woke no thread. */
        loop->posts_due = wsk__count_posts(loop);
        if (loop->posts_due > 0)
            wait_ms = 0;
        loop->ev_i = 0;
        loop->turn++;
        loop->ev_n =
            wsk__poller_wait(loop->poller, loop->events, WSK__BATCH, wait_ms);
        atomic_store(&loop->sleeping, false);
        loop->posts_due = wsk__count_posts(loop);
    }
}
