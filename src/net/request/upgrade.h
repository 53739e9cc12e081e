/* net/request/upgrade: a request that becomes a WebSocket, or gives its socket
 * to the application. */
#ifndef WSK_NET_REQUEST_UPGRADE_H
#define WSK_NET_REQUEST_UPGRADE_H

#include "net/handle/handshake.h"
#include "wsocket.h"

struct wsk__conns;
struct wsk__ends;
struct wsk__served;

enum { WSK__UPGRADE_EXTRA = 64 }; /* fields of the application in a 101 */

/* An upgrade that has not been sent yet. */
struct wsk__upgrade {
    struct wsk__served *ws;
    wsk_ws_verdict verdict;
    char extensions[WSK_WS_DEFLATE_TEXT];
    wsk_header fields[WSK__HANDSHAKE_FIELDS + WSK__UPGRADE_EXTRA];
    size_t n; /* of `fields`: those of the 101 */
};

/* Return status 101 if the attempt may become a WebSocket; then a place is
 * reserved for it. Leader. */
wsk_ws_verdict wsk__upgrade_judge(struct wsk__conns *conns,
                                  const wsk_head *head,
                                  const struct wsk__ends *ends);

/* ---- thread of the call: for carriers, in this order ---- */

/* Make the WebSocket and the fields of the 101. `text`: the head as it was
 * received. WSK_OK; WSK_E_CLOSED: the clock has answered; WSK_E_ARG: too many
 * headers; WSK_E_NOMEM. */
wsk_status wsk__upgrade_begin(struct wsk__upgrade *up, wsk_request *req,
                              wsk_str text, const char *protocol,
                              const wsk_header *headers, size_t n);

/* Free the WebSocket: the 101 cannot be sent. */
void wsk__upgrade_cancel(struct wsk__upgrade *up);

/* Turn the connection into a WebSocket, req->ws: the 101 is on its way. `owed`
 * has not left yet, `early` came behind the head. WSK_E_NOMEM: the answer is
 * cut. */
wsk_status wsk__upgrade_complete(struct wsk__upgrade *up, wsk_request *req,
                                 wsk_str owed, wsk_str early);

/* Close the WebSocket, unless events serve it: the handler has returned. */
void wsk__upgrade_done(wsk_request *req);

#endif
