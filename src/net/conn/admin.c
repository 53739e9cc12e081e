#include "net/conn/admin.h"

#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/idle.h"
#include "net/conn/listeners.h"
#include "net/dispatch/thread.h"
#include "net/loop/loop.h"
#include "net/os/accept.h"

#include <errno.h>

enum { BATCH = 8 }; /* connections accepted before others have a turn */

/* Not as shared: all workers are woken, which is rare here, so none that dies
 * takes a wake-up with it. */
static struct wsk__listening listening_of(struct wsk__admin *admin)
{
    return (struct wsk__listening){
        .places = &admin->places,
        .listeners = admin->listeners,
    };
}

/* Let an idle connection go, if there is one; else look again later. */
static void make_room(struct wsk__conns *conns)
{
    const struct wsk__listening listening = listening_of(&conns->admin);
    struct wsk__conn *conn = wsk__conns_idlest(conns);

    if (conn != NULL)
        wsk__conn_close(conn);
    else
        wsk__listeners_pause(conns->loop, &listening, &conns->admin.pause);
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
    struct wsk__admin *admin = WSK__OWNER(source, struct wsk__admin, pause);
    const struct wsk__listening listening = listening_of(admin);
    struct wsk__loop *loop = admin->conns->loop;

    wsk__assert_leads(th);
    if (!wsk__listeners_watch(loop, &listening))
        wsk__listeners_pause(loop, &listening, source);
    return true;
}

wsk_status wsk__admin_start(struct wsk__conns *conns)
{
    static const struct wsk__source_ops LISTENER = {.ready = on_listener};
    static const struct wsk__source_ops PAUSE = {.expired = end_pause};
    struct wsk__admin *admin = &conns->admin;
    const struct wsk__listening listening = listening_of(admin);

    admin->conns = conns;
    admin->pause.ops = &PAUSE;
    for (size_t i = 0; i < admin->places.n; i++) {
        struct wsk__listener *listener = &admin->listeners[i];
        int fd = admin->places.at[i].fd;

        *listener = (struct wsk__listener){
            .source.ops = &LISTENER, .conns = conns, .i = i, .admin = true};
        wsk__send_at_once(fd);
        listener->fixed = wsk__listens_at(fd, &listener->local);
    }
    return wsk__listeners_watch(conns->loop, &listening) ? WSK_OK : WSK_E_SYS;
}

void wsk__admin_end(struct wsk__conns *conns)
{
    const struct wsk__listening listening = listening_of(&conns->admin);

    wsk__loop_clear_timer(conns->loop, &conns->admin.pause);
    wsk__listeners_unwatch(conns->loop, &listening);
    for (size_t i = 0; i < conns->admin.places.n; i++)
        wsk__place_close(&conns->admin.places, i, true);
}
