/* net/websocket/ping: pings, and the latency that their answers tell. */
#ifndef WSK_NET_WEBSOCKET_PING_H
#define WSK_NET_WEBSOCKET_PING_H

#include "wsocket.h"

struct wsk__served;

void wsk__ws_ponged_locked(struct wsk__served *ws, const wsk_ws_event *ev);

/* ---- lock held: what has come ---- */

/* A ping of ours has been queued, and the time to its answer runs. */
void wsk__ws_pinged_locked(struct wsk__served *ws, const uint8_t *data,
                           size_t len);

/* By which a ping is known again. */
uint32_t wsk__payload_hash(const uint8_t *data, size_t len);

#endif
