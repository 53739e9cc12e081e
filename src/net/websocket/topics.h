/* net/websocket/topics: the subscriptions of WebSockets. */
#ifndef WSK_NET_WEBSOCKET_TOPICS_H
#define WSK_NET_WEBSOCKET_TOPICS_H

#include "net/os/locks.h"
#include "wsocket.h"

struct wsk__conn;

/* The topic with which a WebSocket opens; without a name: none. */
struct wsk__first_topic {
    wsk_str name;
    wsk_topic_policy policy;
};

/* Subscribe to it, and flush: what is owed to the peer leaves behind that.
 * Errors are those of wsk__served_subscribe(), which follows. The process has
 * joined its bus. */
void wsk__served_open_topic_locked(struct wsk__conn *conn,
                                   const struct wsk__first_topic *topic)
    WSK__CONN_LOCKED;

/* Join the bus of the process. No lock is held. */
void wsk__served_join(struct wsk__conn *conn);

/* The ops subscribe, unsubscribe and topics of struct wsk__websocket_ops. */
wsk_status wsk__served_subscribe(wsk_conn *handle, wsk_str topic,
                                 wsk_topic_policy policy);
bool wsk__served_unsubscribe(wsk_conn *handle, wsk_str topic);
wsk_status wsk__served_topics(wsk_conn *handle, char **names, size_t *n);

#endif
