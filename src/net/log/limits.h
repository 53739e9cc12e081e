/* net/log/limits: counts how often each limit made the server refuse or close,
 * and logs a line about that once a second at most. */
#ifndef WSK_NET_LOG_LIMITS_H
#define WSK_NET_LOG_LIMITS_H

#include "net/os/locks.h"
#include "wsocket.h"

#include <stdatomic.h>

/* Limits that make the server refuse or close; see wsk__limit_hit(). */
enum wsk__limit {
    WSK__LIMIT_QUEUE,   /* queue_limit: a request is refused */
    WSK__LIMIT_THREADS, /* the system's: a request is refused, because no thread
                           can answer it */
    WSK__LIMIT_MEMORY,  /* memory_limit: a request is refused */
    WSK__LIMIT_PARKED,  /* max_parked: a WebSocket is refused */
    WSK__LIMIT_WAITS,   /* max_parked: a handler that waits keeps its slot */
    WSK__LIMIT_SLOTS,   /* threads: a request waits for a second */
    WSK__LIMIT_INBOX,   /* ws_max_queue: reading from a peer pauses */
    WSK__LIMIT_WS_MEMORY,  /* memory_limit: a WebSocket is closed */
    WSK__LIMIT_BODY_FILES, /* spill_limit: a body is answered 507 */
    WSK__LIMIT_WS_SIZE,    /* ws_max_size: a WebSocket is closed */
    WSK__LIMIT_WS_RATE,    /* body_rate: a WebSocket is closed */
    WSK__LIMIT_WS_SEND,    /* ws_send_max: a WebSocket is closed */
    WSK__LIMIT_CONNS,      /* max_connections: an idle connection is closed */
    WSK__LIMIT_FILES,      /* the system's: an idle connection is closed */
    WSK__LIMIT_ACCEPT,     /* max_connections: accepting pauses */
    WSK__LIMIT_ORIGINS,    /* ws_origins: a WebSocket is refused */
    WSK__LIMIT_HOSTS,      /* allowed_hosts: a request is refused */
    WSK__LIMIT_PROXY,      /* proxy_protocol: a connection is closed */
    WSK__LIMIT_HANDSHAKES, /* of TLS: one has failed */
    WSK__LIMIT_TLS,        /* of plain places: a client speaks TLS */
    WSK__LIMIT_TOPIC,      /* topic_backlog: a WebSocket is closed */
    WSK__LIMITS,           /* their number */
    WSK__NO_LIMIT = WSK__LIMITS /* as a result */
};
_Static_assert(WSK__LIMITS <= 32, "a bit for each");

struct wsk__logs;

struct wsk__limit_counter {
    atomic_ullong n;
    _Atomic(uint64_t) told_ms; /* time of the last line; 0: none yet */
};

/* Count one, and log a line about it unless another was logged within the last
 * second. Any thread that holds no lock. */
void wsk__limit_hit(struct wsk__logs *logs,
                    enum wsk__limit limit) WSK__EXCLUDES_ALL;

/* Write the lines for which wsk__limit_due() has returned true: a bit for each
 * limit. Any thread that holds no lock. */
void wsk__limits_tell(struct wsk__logs *logs, uint32_t due) WSK__EXCLUDES_ALL;

/* Count one, for a line that the caller writes: *n is the number since the
 * start. True if the line is due. Any thread. */
bool wsk__limit_due(struct wsk__logs *logs, enum wsk__limit limit,
                    unsigned long long *n);

#endif
