/* net/websocket/receive: the receiving of messages by a handler's thread. */
#ifndef WSK_NET_WEBSOCKET_RECEIVE_H
#define WSK_NET_WEBSOCKET_RECEIVE_H

#include "net/handle/handle.h"
#include "net/os/locks.h"
#include "wsocket.h"

struct wsk__conn;
struct wsk__served;
struct wsk__thread;

/* Return the calling thread if it runs a handler of this server, which parks to
 * wait; or NULL. */
struct wsk__thread *wsk__handler_thread(const struct wsk__conn *conn);
/* Release the descriptor, which this thread has used without the lock; close it
 * if the connection was closed meanwhile. */
void wsk__ws_unpin_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Return true if some pieces of a message were fetched, and others are to come.
 */
bool wsk__ws_in_pieces_locked(const struct wsk__served *ws) WSK__CONN_LOCKED;

/* ---- ops of the handle, see wsk__websocket_ops ---- */

wsk_status wsk__served_receive(wsk_conn *handle, int timeout_ms,
                               enum wsk__receive_mode mode, wsk_message *msg);
wsk_status wsk__served_receive_ready(wsk_conn *handle, wsk_message *msg);
bool wsk__served_has_more(const wsk_conn *handle);

#endif
