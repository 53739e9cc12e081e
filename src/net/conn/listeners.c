#include "net/conn/listeners.h"

#include "net/loop/loop.h"
#include "net/os/clock.h"
#include "net/os/poller.h"

enum { PAUSE_MS = 250 };

bool wsk__listeners_watch(struct wsk__loop *loop,
                          const struct wsk__listening *which)
{
    for (size_t i = 0; i < which->places->n; i++) {
        struct wsk__listener *listener = &which->listeners[i];

        if (!listener->watched)
            listener->watched = wsk__poller_listen(
                loop->poller, which->places->at[i].fd, listener, which->shared);
        if (!listener->watched) {
            wsk__listeners_unwatch(loop, which);
            return false;
        }
    }
    return true;
}

void wsk__listeners_unwatch(struct wsk__loop *loop,
                            const struct wsk__listening *which)
{
    for (size_t i = 0; i < which->places->n; i++) {
        if (which->listeners[i].watched)
            wsk__poller_unlisten(loop->poller, which->places->at[i].fd);
        which->listeners[i].watched = false;
    }
}

void wsk__listeners_pause(struct wsk__loop *loop,
                          const struct wsk__listening *which,
                          struct wsk__source *timer)
{
    wsk__listeners_unwatch(loop, which);
    wsk__loop_set_timer(loop, timer, wsk__now_ms() + PAUSE_MS);
}
