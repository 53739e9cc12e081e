/* net/log/limits: a count for each limit that made us refuse or close, and a
 * line of the log about it once a second at most. */
#ifndef WSK_NET_LOG_LIMITS_H
#define WSK_NET_LOG_LIMITS_H

#include "wsocket.h"

#include <stdatomic.h>

/* What made us refuse or close; see wsk__limit_hit(). */
enum wsk__limit {
    WSK__LIMIT_QUEUE,     /* queue_limit: a request is refused */
    WSK__LIMIT_THREADS,   /* the system's: the same, for nobody can answer it */
    WSK__LIMIT_MEMORY,    /* memory_limit: the same */
    WSK__LIMIT_PARKED,    /* max_parked: a WebSocket is refused */
    WSK__LIMIT_WAITS,     /* the same: a handler that waits keeps its slot */
    WSK__LIMIT_SLOTS,     /* threads: a request waits for a second */
    WSK__LIMIT_INBOX,     /* ws_max_queue: a peer is read no further */
    WSK__LIMIT_WS_MEMORY, /* memory_limit: a WebSocket is closed */
    WSK__LIMIT_SPILL,     /* spill_limit: a body is answered 507 */
    WSK__LIMIT_WS_SIZE,   /* ws_max_size: a WebSocket is closed */
    WSK__LIMIT_WS_RATE,   /* body_rate: a WebSocket is closed */
    WSK__LIMIT_WS_SEND,   /* ws_send_max: the same */
    WSK__LIMIT_CONNS,     /* max_connections: an idle connection is closed */
    WSK__LIMIT_FILES,     /* the system's: the same */
    WSK__LIMIT_ACCEPT,    /* max_connections: accepting pauses */
    WSK__LIMIT_ORIGINS,   /* ws_origins: a WebSocket is refused */
    WSK__LIMIT_HOSTS,     /* allowed_hosts: a request is refused */
    WSK__LIMIT_PROXY,     /* proxy_protocol: a connection is closed */
    WSK__LIMITS,
};
_Static_assert(WSK__LIMITS <= 32, "a bit for each");

struct wsk__logs;

struct wsk__limit_counter {
    atomic_ullong n;
    _Atomic(uint64_t) told_ms; /* 0: never */
};

/* A limit made us refuse or close: the log tells of it, once a second at most.
 * Any thread that holds no lock. */
void wsk__limit_hit(struct wsk__logs *logs, enum wsk__limit limit);

/* Write the lines for which wsk__limit_due() was true before: a bit for each
 * limit. The same threads. */
void wsk__limits_tell(struct wsk__logs *logs, uint32_t due);

/* Count one, for a line that the caller writes: *n since the start. True if it
 * is due. */
bool wsk__limit_due(struct wsk__logs *logs, enum wsk__limit limit,
                    unsigned long long *n);

#endif
