#include "net/log/limits.h"

#include "net/log/log.h"
#include "net/os/clock.h"
#include "net/os/locks.h"
#include "wsocket.h"

enum { TELL_MS = 1000 }; /* interval between two lines about a limit */

static const char FILES[] = "idle connections closed for new ones, for "
                            "descriptors or memory are out";
static const char INBOX[] = "times that reading from a WebSocket paused, for "
                            "its handler takes no message";
static const char TLS[] = "connections that speak TLS to a port that does not";
static const char PROXY[] = "connections closed, for they do not begin with "
                            "the header of the PROXY protocol";
/* The text of a limit at which a peer that reads too slowly is closed, as
 * limit_text() returns it. */
static const char *slow_text(const wsk_server_config *cfg,
                             enum wsk__limit limit, const char **option,
                             uint64_t *value)
{
    if (limit == WSK__LIMIT_TOPIC) {
        *option = "topic_backlog", *value = cfg->topic_backlog;
        return "WebSockets closed with 1013, for they lagged behind a topic";
    }
    *option = limit == WSK__LIMIT_WS_SEND ? "ws_send_max" : "memory_limit";
    *value = limit == WSK__LIMIT_WS_SEND ? cfg->ws_send_max : cfg->memory_limit;
    return "WebSockets closed with 1013";
}

/* Return what happened, the option that would allow more, if any, and its
 * value. */
static const char *limit_text(const wsk_server_config *cfg,
                              enum wsk__limit limit, const char **option,
                              uint64_t *value)
{
    switch (limit) {
    case WSK__LIMIT_QUEUE:
        *option = "queue_limit", *value = cfg->queue_limit;
        return "requests answered 503";
    case WSK__LIMIT_THREADS:
        return "requests answered 503, for no thread can be made";
    case WSK__LIMIT_MEMORY:
        *option = "memory_limit", *value = cfg->memory_limit;
        return "requests answered 503";
    case WSK__LIMIT_PARKED:
        *option = "max_parked", *value = cfg->max_parked;
        return "WebSockets answered 503";
    case WSK__LIMIT_WAITS:
        *option = "max_parked", *value = cfg->max_parked;
        return "handlers that hold one of threads while they wait for a peer";
    case WSK__LIMIT_SLOTS:
        *option = "threads", *value = cfg->threads;
        return "requests that have waited a second, for all threads are busy";
    case WSK__LIMIT_INBOX:
        *option = "ws_max_queue", *value = cfg->ws_max_queue;
        return INBOX;
    case WSK__LIMIT_WS_MEMORY:
    case WSK__LIMIT_WS_SEND:
    case WSK__LIMIT_TOPIC:
        return slow_text(cfg, limit, option, value);
    case WSK__LIMIT_WS_SIZE:
        *option = "ws_max_size", *value = cfg->limits.ws_max_size;
        return "WebSockets closed with 1009";
    case WSK__LIMIT_CONNS:
        *option = "max_connections", *value = cfg->max_connections;
        return "idle connections closed for new ones";
    case WSK__LIMIT_FILES:
        return FILES;
    case WSK__LIMIT_ACCEPT:
        *option = "max_connections", *value = cfg->max_connections;
        return "pauses in accepting, for no open connection is idle";
    case WSK__LIMIT_PROXY:
        return PROXY;
    case WSK__LIMIT_BODY_FILES:
        *option = "spill_limit", *value = cfg->spill_limit;
        return "requests answered 507";
    case WSK__LIMIT_WS_RATE:
        *option = "body_rate", *value = cfg->body_rate;
        return "WebSockets closed with 1008, for a message was too slow";
    case WSK__LIMIT_TLS:
        return TLS;
    case WSK__LIMIT_ORIGINS: /* the caller tells */
    case WSK__LIMIT_HOSTS:
    case WSK__LIMIT_HANDSHAKES:
    case WSK__LIMITS:
        break;
    }
    return "";
}

bool wsk__limit_due(struct wsk__logs *logs, enum wsk__limit limit,
                    unsigned long long *n)
{
    struct wsk__limit_counter *counter = &logs->limits[limit];
    uint64_t now_ms = wsk__now_ms(), told_ms = atomic_load(&counter->told_ms);

    *n = atomic_fetch_add(&counter->n, 1) + 1;
    return (told_ms == 0 || now_ms >= told_ms + TELL_MS) &&
           atomic_compare_exchange_strong(&counter->told_ms, &told_ms, now_ms);
}

static void tell(struct wsk__logs *logs, enum wsk__limit limit)
{
    unsigned long long n = atomic_load(&logs->limits[limit].n);
    const char *what, *option = NULL;
    uint64_t value = 0;

    what = limit_text(logs->cfg, limit, &option, &value);
    if (option == NULL)
        wsk__logf(logs, WSK_LOG_WARNING, "%s: %llu since the start", what, n);
    else
        wsk__logf(logs, WSK_LOG_WARNING,
                  "%s: %llu since the start; the limit is %s (%llu)", what, n,
                  option, (unsigned long long)value);
}

void wsk__limits_tell(struct wsk__logs *logs, uint32_t due)
{
    for (int limit = 0; limit < WSK__LIMITS; limit++)
        if (due >> limit & 1)
            tell(logs, (enum wsk__limit)limit);
}

void wsk__limit_hit(struct wsk__logs *logs, enum wsk__limit limit)
{
    unsigned long long n;

    assert(!wsk__holds(WSK__LOCK_ANY));
    if (wsk__limit_due(logs, limit, &n))
        tell(logs, limit);
}
