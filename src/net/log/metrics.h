/* net/log/metrics: the numbers of a server, as operators watch them.
 *
 * A number has one writer at a time: the leader, or a thread that holds a lock,
 * of dispatch or of a connection. It adds with a plain load and store, and
 * others may read meanwhile. Where a thread is neither (its call was late, or
 * it refuses), it adds to a second table, with atomic additions.
 * docs/internals/log.md has the reasons.
 */
#ifndef WSK_NET_LOG_METRICS_H
#define WSK_NET_LOG_METRICS_H

#include "net/log/limits.h"
#include "net/os/clock.h"
#include "wsocket.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* A histogram is the numbers of its buckets, of which the last has no bound,
 * and the sum of what was observed. Durations are nanoseconds. */
enum {
    WSK__BOUNDS = 14,
    WSK__HISTOGRAM = WSK__BOUNDS + 2,
};

enum {
    WSK__CODES = 500,  /* status codes, from 100 */
    WSK__CLOSES = 19,  /* of WebSockets: 1000 to 1015, 3xxx, 4xxx, others */
    WSK__REASONS = 10, /* for which the supervisor starts or ends a worker */
};

/* How a handshake of TLS has ended. */
enum wsk__shaken {
    WSK__SHAKEN_FULL_12,
    WSK__SHAKEN_FULL_13,
    WSK__SHAKEN_RESUMED_12,
    WSK__SHAKEN_RESUMED_13,
    WSK__SHAKEN_FAILED,
    WSK__SHAKEN /* their number */
};

/* The first number of each group. A group has as many as the next one says. */
enum wsk__counter {
    WSK__N_ACCEPTED,
    WSK__N_PAUSES = WSK__N_ACCEPTED + 1,           /* max_connections, system */
    WSK__N_LIMITS = WSK__N_PAUSES + 2,             /* by enum wsk__limit */
    WSK__N_CODES = WSK__N_LIMITS + WSK__LIMITS,    /* of answers */
    WSK__N_HTTP_BYTES = WSK__N_CODES + WSK__CODES, /* in, out */
    WSK__N_HTTP_DURATION = WSK__N_HTTP_BYTES + 2,
    WSK__N_HTTP_QUEUE = WSK__N_HTTP_DURATION + WSK__HISTOGRAM,
    WSK__N_GIL_WAIT = WSK__N_HTTP_QUEUE + WSK__HISTOGRAM,
    WSK__N_HANDOVERS = WSK__N_GIL_WAIT + WSK__HISTOGRAM,
    WSK__N_LOG_DROPS = WSK__N_HANDOVERS + 1,  /* access, error */
    WSK__N_HANDSHAKES = WSK__N_LOG_DROPS + 2, /* of TLS: by enum wsk__shaken */
    WSK__N_HANDSHAKE = WSK__N_HANDSHAKES + WSK__SHAKEN, /* their duration */

    /* under the lock of a connection */
    WSK__N_WS = WSK__N_HANDSHAKE + WSK__HISTOGRAM,
    WSK__N_WS_OPENS = WSK__N_WS,
    WSK__N_WS_CLOSES = WSK__N_WS_OPENS + 1,
    WSK__N_WS_MESSAGES = WSK__N_WS_CLOSES + WSK__CLOSES, /* in, out */
    WSK__N_WS_BYTES = WSK__N_WS_MESSAGES + 2,            /* in, out */
    WSK__N_WS_DROPS = WSK__N_WS_BYTES + 2,
    WSK__N_WS_DURATION = WSK__N_WS_DROPS + 1,
    WSK__N_WS_PING = WSK__N_WS_DURATION + WSK__HISTOGRAM,
    WSK__N_WS_EVENT = WSK__N_WS_PING + WSK__HISTOGRAM,
    WSK__N_WS_END = WSK__N_WS_EVENT + WSK__HISTOGRAM,

    /* of the topics of a process, which count by themselves */
    WSK__N_TOPICS = WSK__N_WS_END,
    WSK__N_TOPIC_PUBLICATIONS = WSK__N_TOPICS, /* in, out */
    WSK__N_TOPIC_FAILURES = WSK__N_TOPIC_PUBLICATIONS + 2,
    WSK__N_TOPIC_OWED,
    WSK__N_TOPIC_COPIES, /* passed, dropped, unread */
    WSK__N_TOPIC_SENT = WSK__N_TOPIC_COPIES + 3,
    WSK__N_TOPIC_GAPS,
    WSK__N_BROKER_OUTAGES,
    WSK__N_TOPICS_END,

    /* of a supervisor */
    WSK__N_STARTS = WSK__N_TOPICS_END,
    WSK__N_EXITS = WSK__N_STARTS + WSK__REASONS,
    WSK__N_RELOADS = WSK__N_EXITS + WSK__REASONS, /* done, failed */
    WSK__COUNTERS = WSK__N_RELOADS + 2
};

/* Values at one moment. */
enum wsk__gauge {
    WSK__G_CONNECTIONS,                       /* new, http, idle, websocket */
    WSK__G_HANDLERS = WSK__G_CONNECTIONS + 4, /* running, parked */
    WSK__G_HANDLERS_LIMIT = WSK__G_HANDLERS + 2,
    WSK__G_QUEUE,
    WSK__G_WEBSOCKETS,
    WSK__G_BUFFERED, /* bytes of input and output */
    WSK__G_STATE,    /* booting, ready, draining: 1 for one of them */
    WSK__G_RESIDENT = WSK__G_STATE + 3, /* bytes; 0: unknown */
    WSK__G_CPU,                         /* ns */
    WSK__G_START,                       /* seconds since 1970 */
    WSK__G_FDS,                         /* 0: unknown */
    WSK__G_NUMBER,                      /* of the worker; 0: it is alone */
    WSK__G_TOPICS,
    WSK__G_SUBSCRIPTIONS,
    WSK__G_TOPIC_BYTES, /* publications in logs */
    WSK__G_TOPIC_QUEUE, /* topics due to the pump */
    WSK__G_BUS_PEERS,
    WSK__G_BUS_BYTES,                        /* publications for peers */
    WSK__G_BROKER,                           /* up, down: 1 for one of both */
    WSK__G_BROKER_BYTES = WSK__G_BROKER + 2, /* publications for the broker */
    WSK__GAUGES
};

/* Values that a supervisor sets, on the board. 0: not set. */
enum wsk__parent_value {
    WSK__P_GENERATION,
    WSK__P_RELOADED, /* seconds since 1970 */
    WSK__PARENT_VALUES
};

enum { WSK__WS_ROWS = 64 }; /* one for each lock of connections */

typedef _Atomic uint64_t wsk__number;

struct wsk__metrics {
    wsk__number own[WSK__N_WS]; /* written by the leader, or under the lock of
                                   dispatch: each number in one of both ways */
    wsk__number any[WSK__N_WS]; /* by atomic additions */
    wsk__number ws[WSK__WS_ROWS][WSK__N_WS_END - WSK__N_WS]; /* by the thread
                                      that holds the lock of that number */

    /* leader: what each answer writes lies side by side */
    uint64_t turn, now_ns; /* of the loop, and a moment in it */
    wsk__number sent;      /* bytes of bodies */
    wsk__number ns;        /* sum of the durations */
    wsk__number usual;     /* answers with 200 in the least bucket, by handlers
                              that were called at once: they stand for three
                              numbers */
};

/* Add to a number whose only writer is this thread, for now. */
static inline void wsk__add(wsk__number *at, uint64_t n)
{
    atomic_store_explicit(at,
                          atomic_load_explicit(at, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* Add to a number that any thread may write. */
static inline void wsk__add_any(wsk__number *at, uint64_t n)
{
    atomic_fetch_add_explicit(at, n, memory_order_relaxed);
}

/* The bounds of buckets: of what is short, and of the lives of WebSockets. A
 * value is at most the bound of its bucket. */
extern const uint64_t wsk__bounds_short[WSK__BOUNDS];
extern const uint64_t wsk__bounds_long[WSK__BOUNDS];

/* Return the place among the buckets of a duration. */
static inline unsigned wsk__bucket_of(const uint64_t bounds[WSK__BOUNDS],
                                      uint64_t ns)
{
    unsigned i = 0;

    while (i < WSK__BOUNDS && ns > bounds[i])
        i++;
    return i;
}

/* Observe a duration in a histogram whose only writer is this thread. */
static inline void wsk__observe(wsk__number *histogram,
                                const uint64_t bounds[WSK__BOUNDS], uint64_t ns)
{
    wsk__add(&histogram[wsk__bucket_of(bounds, ns)], 1);
    wsk__add(&histogram[WSK__HISTOGRAM - 1], ns);
}

/* The same for one that any thread may write. */
static inline void wsk__observe_any(wsk__number *histogram,
                                    const uint64_t bounds[WSK__BOUNDS],
                                    uint64_t ns)
{
    wsk__add_any(&histogram[wsk__bucket_of(bounds, ns)], 1);
    wsk__add_any(&histogram[WSK__HISTOGRAM - 1], ns);
}

/* Count a handshake of TLS that has ended, `ns` after its connection was
 * accepted; NULL: it has failed. Leader. */
void wsk__count_handshake(struct wsk__metrics *metrics,
                          const wsk_tls_info *info, uint64_t ns);

/* Return the place of a status among the counters; of what is no status, the
 * first. */
static inline unsigned wsk__code_place(int status)
{
    unsigned code = (unsigned)status - 100;

    return WSK__N_CODES + (code < WSK__CODES ? code : 0);
}

/* Return the time at which a request begins. In a turn of the loop that is the
 * end of the request before it, so one look at the clock serves both. Leader.
 */
static inline uint64_t wsk__metrics_now(struct wsk__metrics *metrics,
                                        uint64_t turn)
{
    if (metrics->turn != turn) {
        metrics->turn = turn;
        metrics->now_ns = wsk__now_ns();
    }
    return metrics->now_ns;
}

/* Count an answer that is not usual. Leader. */
void wsk__count_unusual_answer(struct wsk__metrics *metrics, int status,
                               uint64_t ns, bool called);

/* Count an answer of now, with the bytes of its body, to a request whose head
 * was complete then. `called`: by a handler of the application, which was
 * called at once. Leader.
 */
static inline void wsk__count_answer(struct wsk__metrics *metrics, int status,
                                     uint64_t head_ns, uint64_t now_ns,
                                     uint64_t sent, bool called)
{
    uint64_t ns = now_ns - head_ns;

    metrics->now_ns = now_ns;
    wsk__add(&metrics->sent, sent);
    wsk__add(&metrics->ns, ns);
    if (status == 200 && called && ns <= wsk__bounds_short[0])
        wsk__add(&metrics->usual, 1);
    else
        wsk__count_unusual_answer(metrics, status, ns, called);
}

/* The same on a thread that does not lead. */
void wsk__count_late_answer(struct wsk__metrics *metrics, int status,
                            uint64_t ns, uint64_t sent, bool called);

/* Count a refusal of the server's own. Any thread. */
void wsk__count_refusal(struct wsk__metrics *metrics, int status);

/* Return the place of a close code among the counters: a code of the private
 * ranges is the peer's to choose, so they share one. */
unsigned wsk__close_place(unsigned code);

/* Add up what the tables of a server have. Any thread. */
void wsk__metrics_sum(const struct wsk__metrics *metrics,
                      uint64_t out[WSK__COUNTERS]);

#endif
