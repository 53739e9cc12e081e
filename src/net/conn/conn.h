/* net/conn/conn: one connection: watched, given a deadline, closed. */
#ifndef WSK_NET_CONN_CONN_H
#define WSK_NET_CONN_CONN_H

#include "net/conn/protocol.h"
#include "net/dispatch/call.h"
#include "net/loop/source.h"
#include "net/loop/timer.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

struct wsk__conns;
struct wsk__exchange;
struct wsk__opening;
struct wsk__served;
struct wsk__thread;

enum wsk__phase {
    WSK__OPEN,
    WSK__LINGER, /* half-closed by us; what still comes is thrown away */
    WSK__DEAD,   /* closed; memory lives as long as it is referenced */
};

/* Who has begun to answer a request that has a request_timeout. */
enum wsk__answered_by {
    WSK__BY_NOBODY,
    WSK__BY_HANDLER,
    WSK__BY_WEBSOCKET,
    WSK__BY_CLOCK
};

struct wsk__conn {
    struct wsk__source source;
    _Atomic(const struct wsk__protocol_ops *) ops; /* changes under the lock */
    atomic_uint refs;
    struct wsk__conns *conns; /* fixed */

    /* leader */
    struct wsk__conn *prev, *next; /* in conns->resting or conns->parted */
    uint8_t want;
    bool busy;     /* a handler owns it, or it waits for one in
                    * conns->dispatch->queue
                    */
    bool parted;   /* it is in conns->parted */
    bool hup_seen; /* the poller saw an end */
    atomic_uchar
        answered_by;  /* an enum wsk__answered_by, with request_timeout */
    uint32_t call_ms; /* its request waits for the handler's end since then;
                         wsk__recent_ms() */

    bool detached; /* wsk__conn_lock(): its handler has a descriptor of its own
                    */
    atomic_bool gone; /* the poller saw that nobody hears us any more */

    bool to_head; /* leader: its request is a HEAD; with request_timeout */
    uint32_t listed_ms; /* leader: it was moved to the newest then; wraps */
    uint32_t lingered;  /* leader: octets thrown away */

    struct wsk__call call; /* of its request, or for its WebSocket */

    /* owner */
    union {
        struct wsk__opening *opening; /* before its protocol is spoken */
        struct wsk__exchange *h;
    };
    struct wsk__served *ws; /* NULL until the 101 has left */
    uint64_t since_ms;      /* last progress in the present phase; the last
                               octet from a WebSocket's peer */
    int fd;
    uint8_t phase; /* an enum wsk__phase; changes under wsk__conn_lock() */
    bool eof;      /* the peer's end was read */
    bool drained;  /* nothing to read before the next event */
    bool hup;      /* an end is near: read until it shows */
};

/* The lock of some WebSockets. It is held for a feed, a send, a look, and never
 * two of them together: so a few serve all connections, and an idle one has
 * none. */
struct wsk__conn_mutex {
    pthread_mutex_t mutex;
    uint32_t limits_due; /* a bit for each enum wsk__limit to tell of */
};

enum {
    WSK__CONN_LOCKS = 64,  /* for WebSockets, see wsk__conn_lock() */
    WSK__STALL_MS = 30000, /* no octet moved: give the peer up */
    WSK__LINGER_MS = 5000, /* discarding after our half-close */
    WSK__LINGER_BYTES = 64 << 20,
};

void wsk__conns_bury(struct wsk__conns *conns);

/* Return true if the leader owns the connection: no handler is busy with it, or
 * it has become a WebSocket (those are locked, not owned). */
bool wsk__leader_may_work(struct wsk__conn *conn);

/* Return the ops of the protocol that it speaks now. */
static inline const struct wsk__protocol_ops *
wsk__conn_ops(const struct wsk__conn *conn)
{
    return atomic_load_explicit(&conn->ops, memory_order_acquire);
}

static inline bool wsk__conn_is_open(const struct wsk__conn *conn)
{
    return conn->phase == WSK__OPEN;
}

/* As the source of a loop. */
extern const struct wsk__source_ops wsk__conn_source;

static inline struct wsk__conn *wsk__conn_of_call(struct wsk__call *call)
{
    return (struct wsk__conn *)((char *)call -
                                offsetof(struct wsk__conn, call));
}

/* Reasons of a post: what another thread asks the leader to look at. */
enum {
    WSK__POST_RUN = 1,     /* its call is over: it is the loop's again */
    WSK__POST_AWAY = 2,    /* a WebSocket whose handler does not read */
    WSK__POST_UNCORK = 4,  /* its thread is late: send what it queued */
    WSK__POST_REFUSE = 16, /* no thread will come for its call */
    WSK__POST_LOOK = 8,    /* its state has changed */
};

/* Ask the leader to look at a connection; any thread. */
void wsk__conn_post(struct wsk__conn *conn, unsigned what);

/* The same under dispatch's lock: for the ops of a call. */
void wsk__conn_post_locked(struct wsk__conn *conn, unsigned what);

/* ---- leader ---- */

/* A connection's phase has changed: its deadline may be nearer than armed. */
void wsk__rearm(struct wsk__conn *conn);
void wsk__rearm_at(struct wsk__conn *conn, uint64_t due_ms);

/* Tell the poller what is awaited now: WSK__READ, WSK__WRITE; or that a handler
 * reads the descriptor by itself. */
enum { WSK__BY_ITSELF = 1 << 7 };
void wsk__watch(struct wsk__conn *conn, unsigned want);

/* Half-close and throw away what still comes, so that no reset destroys the
 * last octets we sent (RFC 9112 9.6); or close at once when the peer's end has
 * been seen. */
void wsk__conn_linger(struct wsk__conn *conn);

/* Nothing is asked of it now: it may be let go for a new one. */
void wsk__conn_rests(struct wsk__conn *conn);

/* Close now. The memory stays until the batch is through. */
void wsk__conn_close(struct wsk__conn *conn);

/* ---- any thread ---- */

struct wsk__conn *wsk__conn_ref(struct wsk__conn *conn); /* returns conn */
void wsk__conn_unref(struct wsk__conn *conn);

/* Free what a dead server left behind with its last busy handler. */
void wsk__conn_orphan(struct wsk__conn *conn);

#endif
