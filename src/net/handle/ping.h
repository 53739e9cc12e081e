/* net/handle/ping: the latency that our pings measure. */
#ifndef WSK_NET_HANDLE_PING_H
#define WSK_NET_HANDLE_PING_H

#include "wsocket.h"

/* The newest unanswered ping, and the last latency. */
struct wsk__ping {
    uint64_t asked_ns;   /* when it was queued; 0: it was answered */
    uint32_t asked_hash; /* of its payload */
    uint32_t latency_us; /* UINT32_MAX: no ping was answered */
};

/* Start the clock of a ping that was queued. */
void wsk__ping_sent(struct wsk__ping *ping, const uint8_t *data, size_t len);

/* Stop it if this pong is the answer. Returns true if it is. */
bool wsk__ping_answered(struct wsk__ping *ping, const wsk_ws_event *pong);

#endif
