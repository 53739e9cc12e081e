/* net/broker/redis: the way of publications by Redis, as its own thread goes
 * it, without an interpreter. */
#ifndef WSK_NET_BROKER_REDIS_H
#define WSK_NET_BROKER_REDIS_H

#include "net/bus/route.h"

struct wsk__redis_config {
    const char *url;    /* borrowed for the call */
    const char *prefix; /* borrowed for the call; of channels */
    uint32_t probe_ms, timeout_ms;
    uint64_t message_max;
    bool fails_down; /* while it is down no subscriber gets anything; else the
                        subscribers of this process do */
};

enum { WSK__REDIS_WHY = 768 }; /* size of a sentence with its NUL */

/* Make it, for wsk__topics_set_broker(). NULL with a sentence: the URL, the
 * build, a file of TLS, or memory. */
struct wsk__route *wsk__redis_new(const struct wsk__redis_config *cfg,
                                  char why[WSK__REDIS_WHY]);

/* Return true if it was made of the same URL and prefix. */
bool wsk__redis_is_at(struct wsk__route *route,
                      const struct wsk__redis_config *cfg);

/* Wait, once it has started, until it is up, or down, for at most timeout_ms.
 * False with a sentence: Redis refuses us, and would again. */
bool wsk__redis_await(struct wsk__route *route, char why[WSK__REDIS_WHY]);

#endif
