/* net/conn/accept: listeners, and the connections that come from them. */
#ifndef WSK_NET_CONN_ACCEPT_H
#define WSK_NET_CONN_ACCEPT_H

#include "net/os/accept.h"
#include "wsocket.h"

struct wsk__conns;
struct wsk__listener;

/* An order to accept. */
enum wsk__accepting {
    WSK__ACCEPT_LATER, /* until there is one */
    WSK__ACCEPT_ON,    /* watch the listeners, but for a pause and a drain */
    WSK__ACCEPT_OFF,
};

/* Accept no connections until there may be room for one, or a short time has
 * passed. Leader. */
void wsk__accept_pause(struct wsk__conns *conns);

/* End the pause if there may be room. Leader, before the poller waits. */
void wsk__accept_resume(struct wsk__conns *conns);

/* Make the descriptors in conns.places listeners of the loop, if the server is
 * to accept. WSK_E_SYS: the poller takes no more. */
wsk_status wsk__accept_start(struct wsk__conns *conns);

/* Heed the last order to accept, or not to. Leader, before the poller waits. */
void wsk__accept_heed(struct wsk__conns *conns);

/* Make a connection of a descriptor, which is closed if that fails. Leader. */
void wsk__accept_welcome(struct wsk__conns *conns, int fd,
                         const struct wsk__address *peer,
                         const struct wsk__listener *listener);

/* ---- the end; leader ---- */

/* Let no new client in, and accept those that wait; conns->listeners_open is
 * true until the last have been. conns->drain is set. */
void wsk__accept_drain(struct wsk__conns *conns);

/* End that once no connection is left: wait a moment for those that are under
 * way. False: none has come, and the listeners are closed. */
bool wsk__accept_last(struct wsk__conns *conns);

/* Close the listeners. */
void wsk__accept_close(struct wsk__conns *conns);

#endif
