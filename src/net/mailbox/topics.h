/* net/mailbox/topics: the subscriptions of a WebSocket, and what they send. */
#ifndef WSK_NET_MAILBOX_TOPICS_H
#define WSK_NET_MAILBOX_TOPICS_H

#include "net/os/locks.h"
#include "net/os/stream.h"
#include "topic/pull.h"

struct wsk__conn;

/* Made at the first subscription, and kept as long as the WebSocket. */
struct wsk__ws_topics {
    struct wsk__subscriber s; /* first; owner: the handle */
    uint8_t form; /* the place in packed[] of what its peer can read;
                     WSK__PACKED: only the plain form. Fixed */
};

/* ---- lock held ---- */

/* Subscribe. `ops` are those of subscribers that are WebSockets. Returns as
 * wsk_conn_subscribe() does. */
wsk_status wsk__ws_subscribe_locked(
    struct wsk__conn *conn, wsk_str name, struct wsk__subscribing *how,
    const struct wsk__subscriber_ops *ops) WSK__CONN_LOCKED;

/* Leave all topics. */
void wsk__ws_leave_topics_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Send what the topics have for the peer, or, if *io is not WSK__IO_DONE or a
 * message is being sent in pieces, only look whether it lags too far. True: go
 * on, there may be more, or the rest of a frame in the queue. */
bool wsk__ws_send_topics_locked(struct wsk__conn *conn,
                                enum wsk__io *io) WSK__CONN_LOCKED;

/* Move what the topics have to the queue, because a message of the application
 * will follow: at most until more than `limit` bytes wait. False: memory is
 * out. */
bool wsk__ws_queue_topics_locked(struct wsk__conn *conn,
                                 uint64_t limit) WSK__CONN_LOCKED;

#endif
