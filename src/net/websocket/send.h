/* net/websocket/send: send(), from whatever thread. */
#ifndef WSK_NET_WEBSOCKET_SEND_H
#define WSK_NET_WEBSOCKET_SEND_H

#include "ws/conn.h"
#include "wsocket.h"

struct wsk__socket;

/* Something is about to be queued: this thread lends the queue. */
void wsk__ws_queue_locked(wsk_conn *conn);

/* Something was queued: write it, unless the thread that delivers this
 * connection's events does so at the end of the callback anyway. */
void wsk__ws_queued_locked(wsk_conn *conn);

/* A queue that no peer reads is not kept for ever. */
wsk_status wsk__ws_bound_queue_locked(wsk_conn *conn, size_t len, bool keep);

/* For the log. */
void wsk__ws_count_out_locked(struct wsk__socket *ws, size_t len, bool whole);

/* A message, or with `fin` false the first piece of one. */
wsk_status wsk__ws_send_some(wsk_conn *conn, wsk_opcode opcode, bool fin,
                             const void *data, size_t len, unsigned flags);

/* A long piece of a compressed message is compressed before the lock is taken.
 * Whether it is one cannot change meanwhile: nobody else sends its pieces. */
uint8_t *wsk__ws_pack_ahead(const wsk_conn *conn, wsk_opcode opcode,
                            const void *data, size_t *len);

#endif
