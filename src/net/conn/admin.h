/* net/conn/admin: the listeners of metrics_bind. They accept until the server
 * has ended, so that a stop can be watched. */
#ifndef WSK_NET_CONN_ADMIN_H
#define WSK_NET_CONN_ADMIN_H

#include "net/conn/listeners.h"
#include "net/loop/source.h"
#include "net/os/listen.h"
#include "wsocket.h"

struct wsk__conns;

struct wsk__admin {
    struct wsk__places places;                      /* fixed once listening */
    struct wsk__listener listeners[WSK__LISTENERS]; /* leader */
    struct wsk__source pause; /* the timer that ends a pause */
    struct wsk__conns *conns; /* fixed once started */
};

/* Make the descriptors of the places listeners of the loop. WSK_E_SYS: the
 * poller takes no more. */
wsk_status wsk__admin_start(struct wsk__conns *conns);

/* Close them: the server has ended. Leader. */
void wsk__admin_end(struct wsk__conns *conns);

#endif
