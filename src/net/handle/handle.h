/* net/handle/handle: the handle of a WebSocket, which programs hold, and its
 * ops. */
#ifndef WSK_NET_HANDLE_HANDLE_H
#define WSK_NET_HANDLE_HANDLE_H

#include "wsocket.h"

struct wsk__handshake;
struct wsk__tls_peer;

/* How receive() wants a message: unmasked and owned, maybe masked, or in
 * pieces. */
enum wsk__receive_mode {
    WSK__RECEIVE_OWN,
    WSK__RECEIVE_MASKED,
    WSK__RECEIVE_PIECES
};

/* The functions wsk_conn_*() for one kind of WebSocket. Arguments were checked.
 * NULL: this kind has none, and the caller gets WSK_E_STATE or the like. */
struct wsk__websocket_ops {
    wsk_status (*receive)(wsk_conn *handle, int timeout_ms,
                          enum wsk__receive_mode mode, wsk_message *msg);
    wsk_status (*receive_ready)(wsk_conn *handle, wsk_message *msg);
    bool (*has_more)(const wsk_conn *handle);
    wsk_status (*send)(wsk_conn *handle, wsk_opcode opcode, const void *data,
                       size_t len, unsigned flags);
    wsk_status (*send_first)(wsk_conn *handle, wsk_opcode opcode,
                             const void *data, size_t len, unsigned flags);
    wsk_status (*send_frame)(wsk_conn *handle, wsk_opcode opcode, bool fin,
                             const void *data, size_t len);
    wsk_status (*close)(wsk_conn *handle, uint16_t code, const void *reason,
                        size_t len);
    wsk_status (*drain)(wsk_conn *handle, int timeout_ms);
    size_t (*buffered)(const wsk_conn *handle);
    bool (*is_full)(const wsk_conn *handle);
    bool (*can_send)(const wsk_conn *handle);
    bool (*draining)(const wsk_conn *handle);
    bool (*closed)(const wsk_conn *handle, wsk_close_info *info);
    bool (*deflates)(const wsk_conn *handle);
    bool (*latency)(const wsk_conn *handle, uint32_t *us);
    void (*hear_pings)(wsk_conn *handle, bool hear);
    void (*bad_text)(wsk_conn *handle);
    wsk_status (*attach)(wsk_conn *handle, const wsk_ws_handlers *handlers,
                         void *user);
    wsk_status (*subscribe)(wsk_conn *handle, wsk_str topic,
                            wsk_topic_policy policy);
    bool (*unsubscribe)(wsk_conn *handle, wsk_str topic);
    wsk_status (*topics)(wsk_conn *handle, char **names, size_t *n);
    wsk_status (*finish)(wsk_conn *handle, bool at_once);
    const struct wsk__handshake *(*handshake)(const wsk_conn *handle);
    wsk_head *(*head)(const wsk_conn *handle);
    const struct wsk__tls_peer *(*tls)(const wsk_conn *handle);
    void (*ref)(wsk_conn *handle);
    void (*unref)(wsk_conn *handle);
};

/* The first member of a WebSocket of any kind. */
struct wsk_conn {
    const struct wsk__websocket_ops *ops; /* fixed */
};

#endif
