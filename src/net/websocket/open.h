/* net/websocket/open: the beginning of a WebSocket, and the freeing of its
 * memory. */
#ifndef WSK_NET_WEBSOCKET_OPEN_H
#define WSK_NET_WEBSOCKET_OPEN_H

#include "net/websocket/topics.h"
#include "wsocket.h"

struct wsk__conn;
struct wsk__handshake_facts;
struct wsk__served;
struct wsk__thread;

/* ---- owner ---- */

/* Make the WebSocket of an upgrade, before its 101 is made; NULL: memory is
 * out. `extensions` is the value of Sec-WebSocket-Extensions; "":
 * none. */
struct wsk__served *wsk__ws_prepare(struct wsk__conn *conn,
                                    const wsk_head *head,
                                    const struct wsk__handshake_facts *facts,
                                    char extensions[WSK_WS_DEFLATE_TEXT]);

/* Turn the connection into a WebSocket, which `th` holds. `owed` must be sent
 * first; `early` came behind the head. If `topic` has a name, the WebSocket has
 * subscribed to it before what is owed leaves. False: memory is out, and the
 * connection is still HTTP's. */
bool wsk__ws_open(struct wsk__thread *th, struct wsk__served *ws, wsk_str owed,
                  wsk_str early, const struct wsk__first_topic *topic);

/* Free a WebSocket whose upgrade has failed, or whose last reference is gone.
 */
void wsk__ws_discard(struct wsk__served *ws);

/* Free the WebSocket of a connection, if it has one. */
void wsk__websocket_release(struct wsk__conn *conn);

#endif
