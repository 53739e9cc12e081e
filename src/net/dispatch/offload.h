/* net/dispatch/offload: one thread that waits for disks in the loop's place. It
 * lives for as long as there is something to do. */
#ifndef WSK_NET_DISPATCH_OFFLOAD_H
#define WSK_NET_DISPATCH_OFFLOAD_H

#include "wsocket.h"

struct wsk_conn;

struct wsk__offload {
    struct wsk_conn *first, **last; /* loop.post_lock */
    bool runs;                      /* the same: its thread does */
};

/*
 * Run `job` there. Until then the connection is at the disk (conn->h->at_disk),
 * and what the job works on is its own; then the loop looks at the connection.
 * False: there is no thread to be had. Owner; not while it is at the disk.
 */
bool wsk__offload_ask(struct wsk_conn *conn,
                      void (*job)(struct wsk_conn *conn));

#endif
