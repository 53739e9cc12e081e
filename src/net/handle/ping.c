#include "net/handle/ping.h"

#include "base/hash.h"
#include "net/os/clock.h"
#include "wsocket.h"

void wsk__ping_sent(struct wsk__ping *ping, const uint8_t *data, size_t len)
{
    uint32_t hash = wsk__hash(data, len); /* tells our pings from others */

    if (ping->asked_ns != 0 && ping->asked_hash == hash)
        return; /* a pong could be the answer to either */
    ping->asked_ns = wsk__now_ns();
    ping->asked_hash = hash;
}

bool wsk__ping_answered(struct wsk__ping *ping, const wsk_ws_event *pong)
{
    uint64_t us;

    if (ping->asked_ns == 0 ||
        ping->asked_hash != wsk__hash(pong->data, pong->len))
        return false;
    us = (wsk__now_ns() - ping->asked_ns) / 1000;
    ping->latency_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX - 1;
    ping->asked_ns = 0;
    return true;
}
