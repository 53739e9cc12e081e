/* net/server/server: a server, put together from the rooms. In all structures
 * of net each field stands under the heading that says which thread may touch
 * it:
 *
 *   fixed    written once, before other threads can see it
 *   leader   the thread that leads the loop
 *   owner    the leader, or, while conn->busy (which only the leader writes),
 *            the thread whose handler answers the connection's request
 *   lock     a thread that holds dispatch->lock (threads and calls) or
 *            wsk__conn_lock() (a WebSocket)
 *
 * docs/internals/dispatch.md gives the rules. */
#ifndef WSK_NET_SERVER_SERVER_H
#define WSK_NET_SERVER_SERVER_H

#include "net/conn/conns.h"
#include "net/dispatch/dispatch.h"
#include "net/dispatch/offload.h"
#include "net/log/log.h"
#include "net/loop/loop.h"
#include "net/mailbox/sockets.h"
#include "net/opening/opening.h"
#include "net/os/life.h"
#include "net/request/site.h"
#include "net/server/certs.h"
#include "net/server/metrics.h"
#include "net/server/stop.h"
#include "wsocket.h"

struct wsk_server {
    wsk_server_config cfg; /* fixed */
    char *texts;           /* fixed: the texts of cfg; owned */
    struct wsk__life life;
    struct wsk__logs logs;
    struct wsk__loop loop;
    struct wsk__dispatch dispatch;
    struct wsk__offload offload; /* for disks */
    struct wsk__offload shakes;  /* for handshakes of TLS */
    struct wsk__conns conns;
    struct wsk__openings openings;
    struct wsk__sockets sockets;
    struct wsk__site site;
    struct wsk__certs certs;
    struct wsk__stop stop;
    struct wsk__about about; /* fixed once started */
};

#endif
