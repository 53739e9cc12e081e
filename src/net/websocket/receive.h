/* net/websocket/receive: receive(): a handler's thread waits for messages. */
#ifndef WSK_NET_WEBSOCKET_RECEIVE_H
#define WSK_NET_WEBSOCKET_RECEIVE_H

#include "net/handle/handle.h"
#include "wsocket.h"

struct wsk__conn;
struct wsk__served;
struct wsk__thread;

/* What has to come before the peer is read from. */
enum wait {
    WAIT_INPUT,
    WAIT_BACKLOG, /* it reads what we sent */
    WAIT_MEMORY,  /* others give some back */
};

/* The calling thread, if it is a handler's: then waiting is parking. */
struct wsk__thread *wsk__handler_thread(const struct wsk__conn *conn);
void wsk__ws_unpin_locked(struct wsk__conn *conn);

/* Whether pieces of a message were given, or wait to be. */
bool wsk__ws_in_pieces_locked(const struct wsk__served *ws);
wsk_status wsk__ws_receive(struct wsk__conn *conn, int timeout_ms,
                           enum wsk__receive_mode how, wsk_message *msg);
wsk_status wsk__ws_receive_ready(struct wsk__conn *conn, wsk_message *msg);
bool wsk__ws_has_more(const struct wsk__conn *conn);

#endif
