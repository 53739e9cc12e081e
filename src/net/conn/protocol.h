/* net/conn/protocol: the protocol that a connection speaks now. */
#ifndef WSK_NET_CONN_PROTOCOL_H
#define WSK_NET_CONN_PROTOCOL_H

#include "net/loop/source.h"

#include <stdbool.h>
#include <stdint.h>

struct wsk__buf;
struct wsk__conn;
struct wsk__ends;

/* The functions by which the loop serves a protocol. */
struct wsk__protocol_ops {
    /* The connection's lock guards the state, so the leader may work while a
     * handler runs. Otherwise that handler owns the state, see conn->busy. */
    bool locked;

    /* Serve a descriptor that is ready; `what`: bits of os/poller. Leader,
     * which owns the state. */
    wsk__leads (*ready)(struct wsk__thread *th, struct wsk__conn *conn,
                        unsigned what);
    /* The same after a post; `what`: bits of conn/conn. */
    wsk__leads (*posted)(struct wsk__thread *th, struct wsk__conn *conn,
                         unsigned what);
    /* Act on a deadline that has passed; or, while a handler owns the state, on
     * a timer that has fired. Leader. */
    wsk__leads (*expired)(struct wsk__thread *th, struct wsk__conn *conn);

    /* Return the deadline of an open connection; UINT64_MAX: none. Leader. */
    uint64_t (*due_ms)(struct wsk__conn *conn);
    /* Return true if the connection is idle. Leader, which owns the state.
     * NULL: never idle. */
    bool (*is_idle)(const struct wsk__conn *conn);

    /* Set the deadline that conns->drain asks for: the server leaves. Leader; a
     * handler may own the state. */
    void (*drain)(struct wsk__conn *conn);
    /* End the connection: the time to drain is up. Leader, which owns the
     * state.
     */
    void (*end)(struct wsk__conn *conn);

    /* Begin to close, under the lock. Returns true if a thread still uses the
     * descriptor, and will close it. NULL: none does. Leader; after the end of
     * the server any thread. */
    bool (*close_locked)(struct wsk__conn *conn);
    /* Finish a connection that has closed. Leader. */
    void (*closed)(struct wsk__conn *conn);
    /* Free the state. Any thread, with the last reference. NULL: as the row
     * says (struct wsk__protocol). */
    void (*release)(struct wsk__conn *conn);
};

/* A row of the protocols that a listener offers. Beside it stands the name by
 * which ALPN knows it (RFC 7301), in conns->alpn. */
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
