#include "net/conn/admin.h"

#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/idle.h"
#include "net/dispatch/thread.h"
#include "net/loop/loop.h"
#include "net/os/accept.h"
#include "net/os/clock.h"
#include "net/os/poller.h"

#include <errno.h>

enum {
    BATCH = 8,      /* connections accepted before others have a turn */
    PAUSE_MS = 250, /* when descriptors or memory are out */
};

static void watch(struct wsk__conns *conns, bool on)
{
    for (size_t i = 0; i < conns->admin.places.n; i++)
        wsk__poller_want(conns->loop->poller, conns->admin.places.at[i].fd,
                         &conns->admin.listeners[i], on ? 0 : WSK__READ,
                         on ? WSK__READ : 0, true);
}

/* Let an idle connection go, if there is one; else look again later. */
static void make_room(struct wsk__conns *conns)
{
    struct wsk__conn *conn = wsk__conns_idlest(conns);

    if (conn != NULL) {
        wsk__conn_close(conn);
        return;
    }
    watch(conns, false);
    wsk__loop_set_timer(conns->loop, &conns->admin.pause,
                        wsk__now_ms() + PAUSE_MS);
}

static wsk__leads on_listener(struct wsk__thread *th,
                              struct wsk__source *source, unsigned what)
{
    struct wsk__listener *listener = (struct wsk__listener *)source;
    struct wsk__conns *conns = listener->conns;

    wsk__assert_leads(th);
    (void)what;
    for (int i = 0; i < BATCH; i++) {
        struct wsk__address peer;
        int fd = wsk__accept(conns->admin.places.at[listener->i].fd, &peer);

        if (fd >= 0) {
            wsk__accept_welcome(conns, fd, &peer, listener);
        } else if (wsk__accept_is_out()) {
            make_room(conns);
            break;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        }
    }
    return true;
}

static wsk__leads end_pause(struct wsk__thread *th, struct wsk__source *source)
{
    wsk__assert_leads(th);
    watch(WSK__OWNER(source, struct wsk__admin, pause)->conns, true);
    return true;
}

wsk_status wsk__admin_start(struct wsk__conns *conns)
{
    static const struct wsk__source_ops LISTENER = {.ready = on_listener};
    static const struct wsk__source_ops PAUSE = {.expired = end_pause};
    struct wsk__admin *admin = &conns->admin;

    admin->conns = conns;
    admin->pause.ops = &PAUSE;
    for (size_t i = 0; i < admin->places.n; i++) {
        struct wsk__listener *listener = &admin->listeners[i];
        int fd = admin->places.at[i].fd;

        *listener = (struct wsk__listener){
            .source.ops = &LISTENER, .conns = conns, .i = i, .admin = true};
        wsk__send_at_once(fd);
        listener->fixed = wsk__listens_at(fd, &listener->local);
        if (!wsk__poller_add(conns->loop->poller, fd, listener, true))
            return WSK_E_SYS;
    }
    return WSK_OK;
}

void wsk__admin_end(struct wsk__conns *conns)
{
    wsk__loop_clear_timer(conns->loop, &conns->admin.pause);
    for (size_t i = 0; i < conns->admin.places.n; i++) {
        wsk__poller_remove(conns->loop->poller, conns->admin.places.at[i].fd);
        wsk__place_close(&conns->admin.places, i, true);
    }
}
