/* net/conn/conn: a connection of the loop: its state, deadline and end. */
#ifndef WSK_NET_CONN_CONN_H
#define WSK_NET_CONN_CONN_H

#include "base/mem.h"
#include "net/conn/protocol.h"
#include "net/dispatch/call.h"
#include "net/loop/source.h"
#include "net/loop/timer.h"
#include "net/os/locks.h"
#include "net/os/stream.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

struct wsk__bridge;
struct wsk__conns;
struct wsk__exchange;
struct wsk__opening;
struct wsk__served;
struct wsk__thread;
struct wsk__tls_peer;

/* The life of the transport. */
enum wsk__phase {
    WSK__OPEN,
    WSK__LINGER, /* half-closed by us; input is thrown away */
    WSK__DEAD,   /* closed; memory lives as long as it is referenced */
};

/* The first to begin an answer to a request that has a request_timeout. */
enum wsk__answered_by {
    WSK__BY_NOBODY,
    WSK__BY_HANDLER,
    WSK__BY_WEBSOCKET,
    WSK__BY_CLOCK
};

/* A connection. */
struct wsk__conn {
    struct wsk__source source;
    _Atomic(const struct wsk__protocol_ops *) ops; /* changes under the lock */
    struct wsk__conns *conns;                      /* fixed */

    /* leader */
    struct wsk__conn *prev, *next; /* in conns->resting or conns->parted */
    uint8_t want;
    bool busy;        /* a handler owns the state, or the call is queued */
    bool hup_seen;    /* the poller saw an end */
    bool parted : 1;  /* in conns->parted */
    bool silent : 1;  /* no byte has come; counted in conns->n_silent */
    bool to_head : 1; /* request_timeout: the request is a HEAD */
    atomic_uchar answered_by; /* request_timeout: an enum wsk__answered_by; any
                                 thread */
    bool admin;               /* fixed: it came by metrics_bind */

    bool detached;    /* wsk__conn_lock(): the handler has a descriptor of its
                         own */
    atomic_bool gone; /* the poller saw that the peer reads no more; any thread
                       */

    /* leader */
    uint32_t call_ms; /* when the call began or was queued; wsk__recent_ms() */
    uint32_t listed_ms; /* when it was made the newest of its list; wraps */
    uint32_t lingered;  /* bytes thrown away */

    /* owner */
    uint8_t phase; /* an enum wsk__phase; changes under wsk__conn_lock() */
    bool eof;      /* the peer's end was read */
    bool drained;  /* nothing to read before the next event */
    bool hup;      /* an end is near: read until it shows */

    struct wsk__call call; /* of the open request, or of the WebSocket */

    /* owner */
    union {
        struct wsk__opening *opening; /* before its protocol is spoken */
        struct wsk__exchange *h;
    };
    union {
        struct wsk__served *ws;     /* NULL until the 101 has left */
        struct wsk__bridge *bridge; /* of a handler that has detached it */
    };
    struct wsk__tls_peer *tls; /* facts of TLS; owned; NULL: there is none;
                                  fixed once a protocol is spoken */
    uint64_t since_ms;         /* last progress in the present phase; the last
                                  byte from a WebSocket's peer */
    struct wsk__stream stream; /* the connection's bytes */
};

/* A lock that many WebSockets share. A thread holds it for a feed, a send or a
 * look, and never two together, so a few locks serve all connections. */
struct wsk__conn_mutex {
    pthread_mutex_t mutex;
    WSK__GUARDED_BY(wsk__cap_conn)
    uint32_t limits_due; /* a bit for each enum wsk__limit to log */
};

enum {
    WSK__CONN_LOCKS = 64,         /* of all WebSockets, see wsk__conn_lock() */
    WSK__STALL_MS = 30000,        /* without a byte: give the peer up */
    WSK__LINGER_MS = 5000,        /* input is thrown away for so long */
    WSK__LINGER_BYTES = 64 << 20, /* and at most so much of it */
};

/* Return true if the leader owns the connection: no handler is busy with it, or
 * it has become a WebSocket (those are locked, not owned). */
bool wsk__leader_may_work(struct wsk__conn *conn);

/* Return the ops of the protocol that the connection speaks now. */
static inline const struct wsk__protocol_ops *
wsk__conn_ops(const struct wsk__conn *conn)
{
    return atomic_load_explicit(&conn->ops, memory_order_acquire);
}

/* Return true if the connection neither lingers nor is closed. */
static inline bool wsk__conn_is_open(const struct wsk__conn *conn)
{
    return conn->phase == WSK__OPEN;
}

/* Look for input at the next chance. The owner of the state, or under the
 * connection's lock. */
static inline void wsk__conn_expect_input(struct wsk__conn *conn)
{
    conn->drained = false;
    conn->hup = conn->hup_seen;
}

/* The ops of a connection as a source of the loop. */
extern const struct wsk__source_ops wsk__conn_source;

/* Return the connection to which a call belongs. */
static inline struct wsk__conn *wsk__conn_of_call(struct wsk__call *call)
{
    return WSK__OWNER(call, struct wsk__conn, call);
}

/* Reasons of a post: what another thread asks the leader to look at. */
enum {
    WSK__POST_RUN = 1,     /* the call has ended: the loop owns the state */
    WSK__POST_AWAY = 2,    /* the handler of the WebSocket does not read */
    WSK__POST_UNCORK = 4,  /* the call's thread is late: send its output */
    WSK__POST_REFUSE = 16, /* no thread will come for the call */
    WSK__POST_LOOK = 8,    /* the state has changed */
};

/* Ask the leader to look at a connection. Any thread. */
void wsk__conn_post(struct wsk__conn *conn, unsigned what);

/* The same, and give a reference of the caller's back: for the end of a job. */
void wsk__conn_post_unref(struct wsk__conn *conn, unsigned what);

/* The same under dispatch's lock: for the ops of a call. */
void wsk__conn_post_locked(struct wsk__conn *conn,
                           unsigned what) WSK__DISPATCH_LOCKED;

/* ---- leader ---- */

/* Set the timer if the deadline is now nearer than the timer's: the phase has
 * changed. */
void wsk__rearm(struct wsk__conn *conn);

/* The same for a deadline that the caller has worked out. */
void wsk__rearm_at(struct wsk__conn *conn, uint64_t due_ms);

/* A handler reads the descriptor by itself. */
enum { WSK__BY_ITSELF = 1 << 7 };

/* Tell the poller which events to wait for: a set of WSK__READ, WSK__WRITE and
 * WSK__BY_ITSELF. */
void wsk__watch(struct wsk__conn *conn, unsigned want);

/* Half-close and throw away further input, so that no reset destroys the last
 * bytes that were sent (RFC 9112 9.6); or close at once if the connection is
 * gone. */
void wsk__conn_linger(struct wsk__conn *conn);

/* Count the connection as idle: it may be closed in favour of a new one. */
void wsk__conn_rests(struct wsk__conn *conn);

/* Close now. The memory stays until wsk__conns_bury(). */
void wsk__conn_close(struct wsk__conn *conn);

/* Give back the loop's references to connections that were closed in this
 * batch. */
void wsk__conns_bury(struct wsk__conns *conns);

/* ---- any thread ---- */

/* Take a reference; returns conn. */
struct wsk__conn *wsk__conn_ref(struct wsk__conn *conn);

/* Free the state of what the connection speaks. No other thread knows it. */
void wsk__conn_release(struct wsk__conn *conn);

/* Give a reference back; the last one frees the connection. */
void wsk__conn_unref(struct wsk__conn *conn);

/* Close a connection whose handler has outlived the server. */
void wsk__conn_orphan(struct wsk__conn *conn);

#endif
