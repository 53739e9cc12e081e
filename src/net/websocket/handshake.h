/* net/websocket/handshake: what an upgrade needs, and what is kept of its
 * handshake. */
#ifndef WSK_NET_WEBSOCKET_HANDSHAKE_H
#define WSK_NET_WEBSOCKET_HANDSHAKE_H

#include "wsocket.h"

struct wsk__served;
struct wsk__conn;

/* The head of a handshake that is kept, unpacked for wsk_free(); NULL when
 * memory is out. */
wsk_head *wsk__head_again(const char *head, size_t len,
                          const wsk_limits *limits);

/* ---- owner ---- */

/* What an upgrade needs, made before its 101 is; NULL when memory is out. The
 * text is the value of Sec-WebSocket-Extensions, maybe empty: none. */
struct wsk__served *wsk__ws_prepare(struct wsk__conn *conn,
                                    const char *protocol,
                                    char extensions[WSK_WS_DEFLATE_TEXT]);

/* Free it: the upgrade came to nothing, or the last reference is gone. */
void wsk__ws_discard(wsk_server *srv, struct wsk__served *ws);

#endif
