/* net/websocket/send: send(), from whatever thread. */
#ifndef WSK_NET_WEBSOCKET_SEND_H
#define WSK_NET_WEBSOCKET_SEND_H

#include "ws/conn.h"
#include "wsocket.h"

struct wsk__conn;
struct wsk__served;

/* Something was queued: write it, unless the thread that delivers this
 * connection's events does so at the end of the callback anyway. */
void wsk__ws_queued_locked(struct wsk__conn *conn);

/* A message, or with `fin` false the first piece of one. */
wsk_status wsk__ws_send_some(struct wsk__conn *conn, wsk_opcode opcode,
                             bool fin, const void *data, size_t len,
                             unsigned flags);

/* A frame, maybe a piece of a message. */
wsk_status wsk__ws_send_frame(struct wsk__conn *conn, wsk_opcode opcode,
                              bool fin, const void *data, size_t len);

wsk_status wsk__ws_drain(struct wsk__conn *conn, int timeout_ms);

#endif
