/* net/server/server: a server, put together from the rooms. In all structures
 * of net each field stands under the heading that says which thread may touch
 * it:
 *
 *   fixed    written once, before other threads can see it
 *   leader   the thread that leads the loop
 *   owner    the leader, or, while conn->busy (which only the leader writes),
 *            the thread whose handler answers the connection's request
 *   lock     a thread that holds srv->lock (threads and calls, see dispatch)
 *            or wsk__conn_lock() (a WebSocket)
 *
 * docs/internals/dispatch.md tells the story. */
#ifndef WSK_NET_SERVER_SERVER_H
#define WSK_NET_SERVER_SERVER_H

#include "net/conn/accept.h"
#include "net/conn/conn.h"
#include "net/conn/idle.h"
#include "net/conn/peer.h"
#include "net/log/limits.h"
#include "net/loop/loop.h"
#include "net/loop/source.h"
#include "net/loop/timer.h"
#include "net/os/listen.h"
#include "net/os/poller.h"
#include "net/os/process.h"
#include "ws/pool.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>

struct wsk__release;
struct wsk__thread;

/* Which bodies are complete before their request is called. */
enum wsk__buffering {
    WSK__BUFFER_AUTO,   /* those that do not wait for a 100 (Continue) */
    WSK__BUFFER_ALWAYS, /* those, too */
    WSK__BUFFER_NEVER,  /* those that have come with their head */
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
    struct wsk__pool pool; /* for compression, see ws/pool.h */
    _Atomic(struct wsk__spare *)
        spare;                   /* see websocket/long_message; or NULL */
    atomic_size_t counted;       /* what waits for more of it, octets */
    atomic_size_t heads;         /* what WebSockets keep for good */
    atomic_ullong spilled;       /* in temporary files */
    atomic_size_t deflate_bytes; /* reserved for windows that are kept */
    atomic_uint streaming;       /* requests whose handler was called
                                    before their body had come */
    struct wsk__limit_counter limits[WSK__LIMITS];

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
    struct wsk__poll_event events[WSK__BATCH];
    uint64_t turn;     /* looks at the poller */
    size_t posts_due;  /* posts to heed before the poller's next turn */
    size_t ev_i, ev_n; /* the unread part of a batch moves with the lead */
    struct wsk__wheel wheel;
    struct wsk__conns conns;    /* see conn/idle */
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
    bool disk_runs; /* the offload's thread */

    /* lock: dispatch */
    pthread_mutex_t lock;
    pthread_cond_t monitor_wake, slot_free, changed;
    struct wsk__thread *spares;  /* a stack */
    struct wsk__thread *running; /* in a call and not parked */
    struct wsk_conn *queue, **queue_tail;
    unsigned n_queued;             /* requests in `queue` */
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

static inline bool wsk__forked(const wsk_server *srv)
{
    return atomic_load_explicit(&wsk__fork_count, memory_order_relaxed) !=
           atomic_load_explicit(&srv->forks, memory_order_relaxed);
}

/* ------------------------------------------------------------ server --- */

/* server.c */
void wsk__server_ref(wsk_server *srv);
void wsk__server_unref(wsk_server *srv);

#endif
