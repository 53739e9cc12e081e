/* net/websocket/send: messages sent by any thread. */
#ifndef WSK_NET_WEBSOCKET_SEND_H
#define WSK_NET_WEBSOCKET_SEND_H

#include "net/os/locks.h"
#include "ws/conn.h"
#include "wsocket.h"

struct wsk__conn;
struct wsk__served;

/* Flush what was queued, unless this thread delivers the connection's events,
 * which flushes at the end of the callback. */
void wsk__ws_queued_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* ---- ops of the handle, see wsk__websocket_ops ---- */

wsk_status wsk__served_send(wsk_conn *handle, wsk_opcode opcode,
                            const void *data, size_t len, unsigned flags);
wsk_status wsk__served_send_first(wsk_conn *handle, wsk_opcode opcode,
                                  const void *data, size_t len, unsigned flags);
wsk_status wsk__served_send_frame(wsk_conn *handle, wsk_opcode opcode, bool fin,
                                  const void *data, size_t len);
wsk_status wsk__served_drain(wsk_conn *handle, int timeout_ms);

#endif
