/* net/server: the structures that the rooms of net share. Each field stands
 * under the heading that says which thread may touch it:
 *
 *   fixed    written once, before other threads can see it
 *   leader   the thread that leads the loop
 *   owner    the leader, or, while conn->busy (which only the leader writes),
 *            the thread whose handler answers the connection's request
 *   lock     a thread that holds srv->lock (threads and calls, see dispatch)
 *            or wsk__conn_lock() (a WebSocket)
 *
 * docs/internals/dispatch.md tells the story. */
#ifndef WSK_NET_SERVER_H
#define WSK_NET_SERVER_H

#include "base/buf.h"
#include "http/conn.h"
#include "net/log/limits.h"
#include "net/os/listen.h"
#include "net/os/locks.h"
#include "net/os/poller.h"
#include "net/os/process.h"
#include "net/pace.h"
#include "net/timer.h"
#include "net/via.h"
#include "ws/conn.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    WSK__RX_SIZE = 65536,  /* a thread's receive buffer */
    WSK__BATCH = 256,      /* events per look at the poller */
    WSK__CONN_LOCKS = 64,  /* for WebSockets, see wsk__conn_lock() */
    WSK__STALL_MS = 30000, /* no octet moved: give the peer up */
    WSK__LINGER_MS = 5000, /* discarding after our half-close */
    WSK__LINGER_BYTES = 64 << 20,
};

/* Which bodies are complete before their request is called. */
enum wsk__buffering {
    WSK__BUFFER_AUTO,   /* those that do not wait for a 100 (Continue) */
    WSK__BUFFER_ALWAYS, /* those, too */
    WSK__BUFFER_NEVER,  /* those that have come with their head */
};

/* What a poller event points at: its first member. A lone WebSocket is in no
 * poller, but is told from a server's by it. */
enum wsk__source {
    WSK__SOURCE_WAKE,
    WSK__SOURCE_LISTENER,
    WSK__SOURCE_CONN,
    WSK__SOURCE_LONE,
};

/* ---------------------------------------------------------- requests --- */

struct wsk_request {
    struct wsk_conn *conn;
    struct wsk__thread *thread;
    const wsk_head *head;
    uint64_t sent;  /* body octets of the answer, for the log */
    uint64_t began; /* ns; 0: nobody wants to know */
    char *noted;    /* fields of the answer, for the log; or NULL */
    int status;     /* of the answer; 0: not begun */
    bool finished, aborted;
    bool head_left;    /* the head is on its way */
    bool body_touched; /* something of the body was read */
    bool body_whole;   /* and all of it had come by then: nothing is dropped */
    size_t body_at;    /* of a whole body's end in memory, what was read */
};

/* ------------------------------------------------------- connections --- */

enum wsk__kind {
    WSK__HTTP,
    WSK__WS,
    WSK__LINGER, /* half-closed by us; what still comes is thrown away */
    WSK__DEAD,   /* closed; memory lives as long as it is referenced */
};

/* Who has begun to answer a request that has a request_timeout. */
enum wsk__claim { WSK__UNCLAIMED, WSK__CLAIMED, WSK__SOCKET, WSK__TIMED_OUT };

/* Who reads for a WebSocket: its descriptor, and what was kept of it. */
enum wsk__rx {
    WSK__RX_LOOP,
    WSK__RX_HANDLER, /* the thread in receive(), or that delivers its events */
};

/* What was lent for an answer is no longer needed: `call` tells its owner, who
 * may need the interpreter. The first member of a block of its own. */
struct wsk__release {
    struct wsk__release *next;
    void (*call)(void *user);
    void *user;
};

/* What another thread asks the leader to look at. */
enum {
    WSK__POST_RUN = 1,     /* its call is over: it is the loop's again */
    WSK__POST_AWAY = 2,    /* a WebSocket whose handler does not read */
    WSK__POST_UNCORK = 4,  /* its thread is late: send what it queued */
    WSK__POST_REFUSE = 16, /* no thread will come for its call */
    WSK__POST_LOOK = 8,    /* its state has changed */
};

/* Something that came for a handler. */
struct wsk__mail {
    struct wsk__mail *next;
    wsk_ws_event_kind kind; /* MESSAGE, PING or PONG; NONE where none is */
    wsk_message msg;
};

/* HTTP's share of a connection; a WebSocket whose handler has returned needs it
 * no more and has given it back. Owner, addresses fixed. */
struct wsk__exchange {
    struct wsk__address peer, local; /* of the open request */
    struct wsk__via *via;            /* NULL: no proxy is spoken of */
    struct wsk_http http;
    struct wsk__buf in;   /* received, not yet fed */
    size_t in_fed;        /* octets of `in` fed but still pointed at */
    struct wsk__buf body; /* of the open request, as far as it is stored */
    wsk_str body_view;    /* the whole body where it was received, or none */
    uint64_t body_len;    /* octets of it that have come */
    uint64_t spilled;     /* those of them that are in a file, before `body` */
    uint64_t spill_read;  /* and have been read from there */
    int spill_fd;         /* that file, which has no name; -1: none */
    int spill_errno;      /* why it could not be written; 0: it could */
    bool spill_full;      /* that was spill_limit */
    uint64_t spill_counted;     /* octets that srv->spilled counts for it */
    atomic_ullong *spill_sum;   /* srv->spilled, once it does */
    struct wsk__pace arrival;   /* of the body */
    struct wsk__pace departure; /* of the answer, while it is stalled */
    uint64_t away_ms;     /* we have not read for the body since; 0: we do */
    uint64_t backlog;     /* of the answer, at the last look */
    uint64_t held;        /* octets that srv->held counts for it */
    uint64_t over_ms;     /* it waits since then for memory; 0: it does not */
    bool stalled;         /* the kernel takes no more of the answer */
    const wsk_head *head; /* of the open request; NULL: none */
    uint64_t head_ms;     /* first octet of an unfinished head; 0: none */
    bool body_done;       /* all of the body has been fed */
    bool called;          /* a handler answers it now */
    bool streams;         /* and was called before its body had come; it counts
                             in srv->streaming */
    bool reset;           /* an answer that ends with the connection was cut */
    bool failed;          /* the answer was a refusal of ours */
    bool told;            /* and the log has a line of it */
    bool spoken;          /* an octet has come */

    /* owner: what net/parts sends */
    bool nonblocking; /* the descriptor itself is, for sendfile() */
    bool paced;       /* the kernel holds little that it has not sent */
    struct wsk__part *parts, *last_part;
    size_t parts_before; /* octets of the queue that stand before any of them */
    uint64_t parts_owed; /* octets of the parts themselves */
    struct wsk__release *released; /* by the handler that is running */

    atomic_bool at_disk; /* what disk_job works on is its own */
    void (*disk_job)(struct wsk_conn *conn);
    struct wsk_conn *disk_next; /* srv->post_lock: in srv->disk */
};

/* A WebSocket, in one block; under its connection's lock, unless fixed. */
struct wsk__socket {
    struct wsk_ws engine;
    const wsk_ws_handlers *handlers;
    void *handlers_user;
    struct wsk__thread *caller; /* holds octets of it in hand, see ws_span */
    struct wsk__mail *mail;     /* the newest, of a ring; or NULL */
    size_t mail_bytes;
    uint64_t sent_ms;    /* last octet to the peer, or it took one */
    uint64_t ping_ms;    /* our ping left then; 0: none is open. Once `closing`,
                            our Close was sent then */
    uint64_t asked_ns;   /* the newest ping was sent then; 0: answered */
    uint32_t asked_hash; /* of its payload */
    uint32_t latency_us; /* of the last answered; UINT32_MAX: none was */
    struct wsk__buf *aside; /* its message, while a thread reads into it */
    uint64_t look_ms;       /* the next look at what it holds; 0: nothing */
    size_t held;            /* octets that srv->held counts for it */
    size_t begun;           /* octets at the head of its queue whose frame has
                               begun to leave */
    struct wsk__buf *in;    /* received, not yet fed; or NULL */

    /* For the log; of messages. */
    uint64_t opened_ms, octets_in, octets_out;
    uint32_t messages_in, messages_out;

    char *reason;           /* of the peer's Close, or NULL */
    uint32_t deflate_bytes; /* of srv->deflate_bytes, reserved for it */
    uint32_t unread;        /* octets in the kernel, at the last look at who has
                               `stalled` */
    uint32_t mail_n;        /* messages in it */
    uint32_t calling_ms;    /* its events were handed out then;
                               wsk__recent_ms() */
    uint32_t over_ms;       /* it waits since then for memory, the same; 0: it
                               does not */
    uint32_t paused_ms;     /* its message is not read since then, the same */
    uint32_t message;       /* of engine.begun, that `arrival` is about */
    uint32_t arrived;       /* of engine.arrived, at the last look */
    struct wsk__pace arrival; /* of the message, while `arriving` */
    uint32_t head_len;        /* of text; fixed */
    uint32_t block;           /* octets of all this; fixed */
    uint16_t code;            /* how it ended, with reason */
    uint16_t pins;            /* threads that use fd without the lock */
    uint8_t control_n;        /* pings and pongs in the mail */
    uint8_t reason_len;
    uint8_t rx;         /* an enum wsk__rx */
    bool in_pieces : 1; /* a piece was fetched, and not yet the last */
    bool hear : 1;      /* pings and pongs come into the mail */
    bool clean : 1;     /* of its end */
    bool receiving : 1; /* a thread is inside wsk_conn_receive() */
    bool calling : 1;   /* its events are being delivered, or queued */
    bool corked : 1;    /* what its caller sends leaves at the callback's end */
    bool connect_due : 1; /* as an event */
    bool close_fired : 1;
    bool closing : 1;   /* see ping_ms */
    bool ended : 1;     /* code to clean are set; no more messages will come */
    bool shut : 1;      /* the descriptor was shut down */
    bool close_due : 1; /* the last pin closes fd */
    bool drain_due : 1; /* as an event, once less waits */
    bool dropped : 1;   /* so that all must have left by then */
    bool stalled : 1;   /* the kernel takes no more until the peer reads */
    bool arriving : 1;  /* a look has found a message that is not whole */

    /* fixed: what is kept of the opening handshake */
    uint16_t peer_port, local_port;
    uint16_t local_at, protocol_at; /* behind the head; protocol_at 0: none */
    uint16_t prefix_at;             /* the same; 0: none */
    uint16_t host_at;               /* of the proxy's word; the same */
    bool https : 1;                 /* how it came, see net/via */
    char text[]; /* the octets of the head; peer, local, protocol, prefix
                    and host, each with its NUL */
};

struct wsk_conn {
    enum wsk__source source; /* fixed */
    atomic_uint refs;
    wsk_server *srv; /* fixed */

    /* leader */
    struct wsk_conn *prev, *next; /* in srv->conns or srv->parted */
    struct wsk__timer timer;
    uint8_t want;
    bool busy;     /* a handler owns it, or it waits for one in srv->ready */
    bool parted;   /* it is in srv->parted */
    bool hup_seen; /* the poller saw an end */
    atomic_uchar claim; /* an enum wsk__claim, with request_timeout */
    uint32_t call_ms;   /* its request waits for the handler's end since then;
                           wsk__recent_ms() */

    bool taken; /* wsk__conn_lock(): its handler has a descriptor of its own */
    atomic_bool gone; /* the poller saw that nobody hears us any more */

    /* srv->post_lock */
    uint8_t post;
    bool to_head; /* leader: its request is a HEAD; with request_timeout */
    uint32_t listed_ms; /* leader: it was moved to the newest then; wraps */
    uint32_t lingered;  /* leader: octets thrown away */
    struct wsk_conn *post_next;

    /* srv->lock */
    struct wsk_conn *ready_next;
    bool queued; /* in srv->ready */

    /* owner */
    struct wsk__exchange *h;
    struct wsk__socket *ws; /* NULL until the 101 has left */
    uint64_t since_ms;      /* last progress in the present phase; the last
                               octet from a WebSocket's peer */
    int fd;
    uint8_t kind; /* an enum wsk__kind; a WebSocket's changes under lock */
    bool eof;     /* the peer's end was read */
    bool drained; /* nothing to read before the next event */
    bool hup;     /* an end is near: read until it shows */
};

/* ----------------------------------------------------------- threads --- */

enum wsk__order { WSK__NO_ORDER, WSK__LEAD, WSK__CALL };

struct wsk__thread {
    wsk_server *srv; /* fixed */
    void *lent;      /* fixed: what the hooks are given */

    /* srv->lock */
    struct wsk__thread *prev, *next; /* in srv->running, or in srv->spares */
    pthread_cond_t wake;
    enum wsk__order order;
    bool leads;
    bool in_call;
    bool parked;     /* it has given its slot away, for a peer */
    bool took_place; /* and holds one of max_parked only meanwhile */
    bool fresh; /* takes calls from srv->ready and is not known to be slow */
    atomic_bool entering;  /* waits for the interpreter */
    bool rearmed;          /* the loop was told to read for its WebSocket */
    uint64_t seen;         /* tick of the monitor's first look; 0: not yet */
    struct wsk_conn *conn; /* the one it is called for */
    struct wsk_conn *ws;   /* the WebSocket its handler upgraded to */

    /* its own */
    bool inside; /* between the hooks enter and leave */
    uint8_t *rx;
    wsk_str span; /* received into rx, not yet fed */
    struct wsk__head_store *heads;
    struct wsk__buf spare_out; /* a block that connections borrow */
    struct wsk__out *ws_out;   /* and a queue that WebSockets do */
    wsk_str ws_span; /* received into rx, not yet fed, for a WebSocket whose
                        caller this thread is; under that one's lock */
    struct wsk__mail item; /* the event it delivers next; or kind NONE */
    struct wsk__date date;
    struct wsk_request req;
};

/* ------------------------------------------------------------ server --- */

/* Linked by prev and next, in the order in which they were last heard of. */
struct wsk__conns {
    struct wsk_conn *oldest, *newest;
};

struct wsk__listener {
    enum wsk__source source;
    size_t i; /* in srv->places */
    struct wsk__address local;
    bool fixed; /* every connection has `local` as its own end */

    /* leader */
    uint64_t turn;  /* when connections came last */
    unsigned batch; /* and how many were asked for at once */
    bool more;      /* that may not have been all */
};

/* The lock of some WebSockets. It is held for a feed, a send, a look, and never
 * two of them together: so a few serve all connections, and an idle one has
 * none. */
struct wsk__conn_mutex {
    pthread_mutex_t mutex;
    uint32_t limits_due; /* a bit for each enum wsk__limit to tell of */
};

struct wsk_server {
    wsk_server_config cfg; /* fixed; texts are in `texts` */
    char *texts;
    wsk_handler *handler;
    void *user;
    wsk_hooks hooks;
    wsk_log_level log_level;
    bool access_by_default; /* nobody has said where the access log goes */
    struct wsk__log *access_log, *error_log;
    bool log_timed, log_notes; /* what the format asks for */
    char *log_env; /* values of its %{x}e, each with its NUL; NULL: none */
    enum wsk__buffering buffering; /* cfg.buffer_body */
    char *temp_dir;
    unsigned max_connections;
    atomic_uint refs;
    struct wsk__pool pool;              /* for compression, see ws/pool.h */
    _Atomic(struct wsk__spare *) spare; /* see net/direct.h; or NULL */
    atomic_size_t held;                 /* what waits for more of it, octets */
    atomic_size_t heads;                /* what WebSockets keep for good */
    atomic_ullong spilled;              /* in temporary files */
    atomic_size_t deflate_bytes;        /* reserved for windows that are kept */
    atomic_uint streaming;              /* requests whose handler was called
                                           before their body had come */
    struct wsk__hits hits[WSK__LIMITS];

    /* fixed once listening */
    struct wsk__listener listeners[WSK__LISTENERS];
    struct wsk__places places;
    bool listening;
    struct wsk__statics *statics; /* NULL: none */
    struct wsk__trust trust;
    uint16_t port;
    struct wsk__poller *poller;
    bool edge;
    enum wsk__source wake_source;
    int wake_fds[2]; /* read, write; the same eventfd on Linux */

    /* leader */
    struct wsk__ready events[WSK__BATCH];
    uint64_t turn;     /* looks at the poller */
    size_t posts_due;  /* posts to heed before the poller's next turn */
    size_t ev_i, ev_n; /* the unread part of a batch moves with the lead */
    struct wsk__wheel wheel;
    struct wsk__conns conns;    /* see net/idle */
    struct wsk__conns parted;   /* not idle when a look at conns met them */
    atomic_uint n_conns;        /* in both; written by the leader */
    atomic_uint n_websockets;   /* of them */
    struct wsk_conn *graveyard; /* closed in this batch; linked by next */
    uint64_t now_ms;
    bool accept_paused;
    struct wsk__timer accept_timer;
    uint64_t goaway_ms;        /* from then on WebSockets are told to go, */
    uint32_t goaway_spread_ms; /* each at its moment of so long a time */
    atomic_bool draining;      /* written by the leader */
    bool forced;               /* the drain's time is up: answers are cut */
    bool over;                 /* and the time for close events, too */
    struct wsk__timer drain_timer;

    struct wsk__conn_mutex conn_locks[WSK__CONN_LOCKS];

    /* post_lock */
    pthread_mutex_t post_lock;
    struct wsk_conn *posts, **posts_tail;
    size_t n_posts;
    bool posts_closed;    /* nobody will look at them any more */
    atomic_bool sleeping; /* the leader is, or is about to be, in the poller */

    /* post_lock: connections that wait for a disk */
    struct wsk_conn *disk, **disk_tail;
    bool disk_runs; /* net/disk's thread */

    /* lock: dispatch */
    pthread_mutex_t lock;
    pthread_cond_t monitor_wake, slot_free, changed;
    struct wsk__thread *spares;  /* a stack */
    struct wsk__thread *running; /* in a call and not parked */
    struct wsk_conn *ready, **ready_tail;
    unsigned n_ready;              /* requests in `ready` */
    struct wsk__release *releases; /* in no order */
    unsigned n_spares, n_running, n_parked, n_fresh, n_threads;
    unsigned n_upgraded;  /* running or parked: requests that are WebSockets */
    unsigned n_awaiting;  /* threads asked for, not yet here */
    unsigned n_places;    /* taken of max_parked: by attempts that are called
                             and their sockets, and by handlers that wait */
    bool queue_turn;      /* the next slot is the queue's */
    unsigned n_unparking; /* parked threads that wait for a slot */
    bool led;             /* some thread leads, or was ordered to */
    bool started, ended, monitor_asleep, monitor_gone;
    bool wake_due; /* the leader is to be woken once `lock` is free */
    uint64_t tick;
    uint64_t spawn_after_ms;  /* no thread could be made: try again then */
    bool no_threads;          /* none could be made, and none has come since */
    uint64_t calls;           /* begun since the start */
    atomic_uint slow_entries; /* until inline calls are tried again */
    int steal_every; /* test: steal the lead at every nth call; 0: never */

    bool plain_files; /* test: no sendfile(), as on other systems */

    atomic_int stop_asked; /* calls of stop() */
    atomic_int stop_ms;    /* what the first said */
    atomic_uint forks;     /* wsk__fork_count at the start */
};

static inline struct wsk__conn_mutex *
wsk__conn_mutex_of(const struct wsk_conn *conn)
{
    return &conn->srv->conn_locks[((uintptr_t)conn >> 6) % WSK__CONN_LOCKS];
}

static inline void wsk__conn_lock(const struct wsk_conn *conn)
{
    wsk__lock(&wsk__conn_mutex_of(conn)->mutex, WSK__LOCK_CONN);
}

static inline void wsk__conn_unlock(const struct wsk_conn *conn)
{
    wsk_server *srv = conn->srv;
    struct wsk__conn_mutex *lock = wsk__conn_mutex_of(conn);
    uint32_t due = lock->limits_due;

    if (due != 0)
        lock->limits_due = 0;
    wsk__unlock(&lock->mutex, WSK__LOCK_CONN);
    if (due != 0)
        wsk__limits_tell(srv, due);
}

/* wsk__limit_hit() under that lock: the line is written once it is free. */
static inline void wsk__limit_hit_locked(const struct wsk_conn *conn,
                                         enum wsk__limit limit)
{
    unsigned long long n;

    assert(wsk__holds(WSK__LOCK_CONN));
    if (wsk__limit_due(conn->srv, limit, &n))
        wsk__conn_mutex_of(conn)->limits_due |= UINT32_C(1) << limit;
}

static inline bool wsk__forked(const wsk_server *srv)
{
    return atomic_load_explicit(&wsk__fork_count, memory_order_relaxed) !=
           atomic_load_explicit(&srv->forks, memory_order_relaxed);
}

/* The thread record of the calling thread; NULL on threads that are not lent.
 */
extern _Thread_local struct wsk__thread *wsk__self;

/* server.c */
void wsk__server_ref(wsk_server *srv);
void wsk__server_unref(wsk_server *srv);

#endif
