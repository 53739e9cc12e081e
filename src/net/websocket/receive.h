/* net/websocket/receive: receive(): a handler's thread waits for messages. */
#ifndef WSK_NET_WEBSOCKET_RECEIVE_H
#define WSK_NET_WEBSOCKET_RECEIVE_H

#include "wsocket.h"

struct wsk__socket;
struct wsk__thread;

/* What has to come before the peer is read from. */
enum wait {
    WAIT_INPUT,
    WAIT_BACKLOG, /* it reads what we sent */
    WAIT_MEMORY,  /* others give some back */
};

/* How a message is wanted: its own, masked, or in pieces. */
enum wsk__receive_mode {
    WSK__RECEIVE_OWN,
    WSK__RECEIVE_MASKED,
    WSK__RECEIVE_PIECES
};

/* The calling thread, if it is a handler's: then waiting is parking. */
struct wsk__thread *wsk__handler_thread(const wsk_conn *conn);
void wsk__ws_unpin_locked(wsk_conn *conn);

/* Whether pieces of a message were given, or wait to be. */
bool wsk__ws_in_pieces_locked(const struct wsk__socket *ws);
wsk_status wsk__ws_receive(wsk_conn *conn, int timeout_ms,
                           enum wsk__receive_mode how, wsk_message *msg);

#endif
