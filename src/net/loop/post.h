/* net/loop/post: what other threads ask the leader to look at. */
#ifndef WSK_NET_LOOP_POST_H
#define WSK_NET_LOOP_POST_H

#include "wsocket.h"

struct wsk_conn;

/* What another thread asks the leader to look at. */
enum {
    WSK__POST_RUN = 1,     /* its call is over: it is the loop's again */
    WSK__POST_AWAY = 2,    /* a WebSocket whose handler does not read */
    WSK__POST_UNCORK = 4,  /* its thread is late: send what it queued */
    WSK__POST_REFUSE = 16, /* no thread will come for its call */
    WSK__POST_LOOK = 8,    /* its state has changed */
};

struct wsk_conn *wsk__next_post(wsk_server *srv, unsigned *what);
size_t wsk__count_posts(wsk_server *srv);

/* Ask the leader to look at a connection; any thread. */
void wsk__post(struct wsk_conn *conn, unsigned what);

/* The same without a system call: true if the caller has to wake the leader,
 * once it holds no lock. A post after the end of the server is lost. */
bool wsk__post_quietly(struct wsk_conn *conn, unsigned what);

#endif
