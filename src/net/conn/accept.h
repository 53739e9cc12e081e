/* net/conn/accept: listeners, and the connections that come from them. */
#ifndef WSK_NET_CONN_ACCEPT_H
#define WSK_NET_CONN_ACCEPT_H

#include "net/loop/source.h"
#include "net/os/listen.h"
#include "wsocket.h"

struct wsk__conns;

/* A listening socket as a source of the loop. */
struct wsk__listener {
    struct wsk__source source;
    struct wsk__conns *conns;  /* fixed */
    size_t i;                  /* in conns->places */
    struct wsk__address local; /* the address at which it listens */
    bool fixed;                /* every connection has `local` at this end */

    /* leader */
    uint64_t turn;  /* loop->turn in which connections came last */
    unsigned batch; /* most accept() calls of that turn */
    bool more;      /* more connections may have been waiting then */
};

/* Accept no connections until there may be room for one, or a short time has
 * passed. Leader. */
void wsk__accept_pause(struct wsk__conns *conns);

/* End the pause if there may be room. Leader, before the poller waits. */
void wsk__accept_resume(struct wsk__conns *conns);

/* Make the descriptors in conns.places listeners of the loop. WSK_E_SYS: the
 * poller takes no more. */
wsk_status wsk__accept_start(struct wsk__conns *conns);

/* ---- the end; leader ---- */

/* Let no new client in, and accept those that wait; conns->accepting is true
 * until the last have been. conns->drain is set. */
void wsk__accept_drain(struct wsk__conns *conns);

/* End that once no connection is left: wait a moment for those that are under
 * way. False: none has come, and the listeners are closed. */
bool wsk__accept_last(struct wsk__conns *conns);

/* Close the listeners. */
void wsk__accept_close(struct wsk__conns *conns);

#endif
