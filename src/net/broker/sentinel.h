/* net/broker/sentinel: asks Redis Sentinels which Redis is the master. */
#ifndef WSK_NET_BROKER_SENTINEL_H
#define WSK_NET_BROKER_SENTINEL_H

#include "base/broker_url.h"
#include "net/broker/link.h"

/* Ask one Sentinel, whose places are given. False with a sentence. */
bool wsk__sentinel_ask(const struct wsk__broker_url *url,
                       const struct wsk__dial_place *places, size_t n,
                       const struct wsk__broker_opening *how, char master[256],
                       unsigned *port, char why[WSK__LINK_WHY]);

#endif
