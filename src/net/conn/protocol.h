/* net/conn/protocol: the protocol that a connection speaks now. */
#ifndef WSK_NET_CONN_PROTOCOL_H
#define WSK_NET_CONN_PROTOCOL_H

#include "net/loop/source.h"

#include <stdbool.h>
#include <stdint.h>

struct wsk__buf;
struct wsk__conn;
struct wsk__ends;

struct wsk__protocol_ops {
    /* The state stands under the connection's lock, so that the leader may work
     * while a handler runs. Else that handler owns the state: conn->busy. */
    bool locked;

    /* Leader, which owns the state: the descriptor is ready; bits of
     * os/poller. */
    wsk__leads (*ready)(struct wsk__thread *th, struct wsk__conn *conn,
                        unsigned what);
    /* The same: another thread has asked for a look; bits of conn/conn. */
    wsk__leads (*posted)(struct wsk__thread *th, struct wsk__conn *conn,
                         unsigned what);
    /* Leader: the time of due_ms has come; or, while a handler owns the state,
     * the timer has fired. */
    wsk__leads (*expired)(struct wsk__thread *th, struct wsk__conn *conn);

    /* Return the deadline of an open connection; UINT64_MAX: none. Leader. */
    uint64_t (*due_ms)(struct wsk__conn *conn);
    /* Return true if nothing is asked of the connection. Leader, which owns the
     * state. NULL: it is never idle. */
    bool (*is_idle)(const struct wsk__conn *conn);

    /* The server stops, see conns->draining. Leader; a handler may own the
     * state. NULL: a post is enough. */
    void (*drain)(struct wsk__conn *conn);
    /* The time of that is up. Leader, which owns the state. */
    void (*end)(struct wsk__conn *conn);

    /* The connection closes, under its lock: return true if a thread still uses
     * the descriptor, which that thread will close. Leader. NULL: none does. */
    bool (*close_locked)(struct wsk__conn *conn);
    /* The connection has closed. Leader. */
    void (*closed)(struct wsk__conn *conn);
};

/* A row of the protocols that a listener offers. */
struct wsk__protocol {
    const struct wsk__protocol_ops *ops;
    /* Give a connection its state and its call. `ends` become its own, and so
     * does `early`, the input so far; NULL: there was none. False: memory is
     * out; both are freed all the same. */
    bool (*open)(struct wsk__conn *conn, struct wsk__ends *ends,
                 struct wsk__buf *early);
    /* Free that state. Any thread, with the last reference. */
    void (*release)(struct wsk__conn *conn);
};

#endif
