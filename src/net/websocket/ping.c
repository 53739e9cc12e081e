#include "net/websocket/ping.h"

#include "base/hash.h"
#include "net/os/clock.h"
#include "net/websocket/served.h"
#include "wsocket.h"

/* Tells the pongs of our pings from others, in four octets. */
uint32_t wsk__payload_hash(const uint8_t *data, size_t len)
{
    return wsk__hash(data, len);
}

void wsk__ws_pinged_locked(struct wsk__served *ws, const uint8_t *data,
                           size_t len)
{
    uint32_t hash = wsk__payload_hash(data, len);

    if (ws->asked_ns != 0 && ws->asked_hash == hash)
        return; /* its pong could be the answer to either */
    ws->asked_ns = wsk__now_ns();
    ws->asked_hash = hash;
}

void wsk__ws_ponged_locked(struct wsk__served *ws, const wsk_ws_event *ev)
{
    uint64_t us;

    if (!ws->closing)
        ws->ping_ms = 0;
    if (ws->asked_ns == 0 ||
        ws->asked_hash != wsk__payload_hash(ev->data, ev->len))
        return;
    us = (wsk__now_ns() - ws->asked_ns) / 1000;
    ws->latency_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX - 1;
    ws->asked_ns = 0;
}
