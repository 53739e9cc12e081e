/* net/lone: a WebSocket without a server of ours. It lies where a server's
 * connection does, told apart by its source, and wsk_conn_*() ask it first. */
#ifndef WSK_NET_LONE_H
#define WSK_NET_LONE_H

#include "net/server.h"

struct wsk__lone;

/* NULL when it is a server's. */
static inline struct wsk__lone *wsk__lone_of(const wsk_conn *conn)
{
    return conn->source == WSK__SOURCE_LONE
               ? (struct wsk__lone *)(uintptr_t)conn
               : NULL;
}

/* As the functions of wsk_conn that are called so. */
void wsk__lone_ref(struct wsk__lone *lone);
void wsk__lone_unref(struct wsk__lone *lone);
wsk_head *wsk__lone_head(const struct wsk__lone *lone);
const char *wsk__lone_protocol(const struct wsk__lone *lone);
const char *wsk__lone_peer(const struct wsk__lone *lone, uint16_t *port);
const char *wsk__lone_local(const struct wsk__lone *lone, uint16_t *port);
wsk_status wsk__lone_receive(struct wsk__lone *lone, int timeout_ms,
                             wsk_message *msg);
wsk_status wsk__lone_send(struct wsk__lone *lone, wsk_opcode opcode,
                          const void *data, size_t len, unsigned flags);
wsk_status wsk__lone_send_first(struct wsk__lone *lone, wsk_opcode opcode,
                                const void *data, size_t len, unsigned flags);
wsk_status wsk__lone_send_frame(struct wsk__lone *lone, wsk_opcode opcode,
                                bool fin, const void *data, size_t len);
wsk_status wsk__lone_close(struct wsk__lone *lone, uint16_t code,
                           const void *reason, size_t len);
wsk_status wsk__lone_drain(struct wsk__lone *lone);
size_t wsk__lone_buffered(struct wsk__lone *lone);
bool wsk__lone_closed(struct wsk__lone *lone, wsk_close_info *info);
bool wsk__lone_can_send(struct wsk__lone *lone);
bool wsk__lone_latency(struct wsk__lone *lone, uint32_t *us);
void wsk__lone_hear_pings(struct wsk__lone *lone, bool hear);
bool wsk__lone_deflates(const struct wsk__lone *lone);

/* As the functions of wsk_request that are called so, for one without a
 * connection. */
const char *wsk__lone_subprotocols(const wsk_request *req);
wsk_status wsk__lone_upgrade(wsk_request *req, const char *protocol,
                             const wsk_header *headers, size_t n,
                             wsk_conn **conn);

/* The head of a handshake that is kept, unpacked for wsk_free(); NULL when
 * memory is out. */
wsk_head *wsk__head_again(const char *head, size_t len,
                          const wsk_limits *limits);

#endif
