/* net/websocket/topics: what programs do with topics. */
#ifndef WSK_NET_WEBSOCKET_TOPICS_H
#define WSK_NET_WEBSOCKET_TOPICS_H

#include "net/os/process.h"
#include "net/websocket/pump.h"
#include "topic/topics.h"
#include "ws/pool.h"
#include "wsocket.h"

#include <stdatomic.h>

/* The topics of a process, that of one or several servers. */
struct wsk_topics {
    struct wsk__topics core; /* first */
    atomic_uint refs;
    atomic_uint forks;         /* wsk__fork_count of the process that uses it */
    atomic_ullong message_max; /* bytes of a publication */
    atomic_uint backlog;       /* bytes that a topic keeps, if it is new */
    atomic_uint level;         /* of compression; 0: fast */
    atomic_ullong threshold;   /* bytes of a message worth compressing */
    struct wsk__pool pool;
    struct wsk__pump pump;
};

struct wsk__sockets;

/* Serve a server that starts, in this process: its options count. */
void wsk__topics_serve(struct wsk_topics *topics, const wsk_server_config *cfg,
                       const struct wsk__sockets *sockets);

/* Return true in a forked child of the process that uses them. */
static inline bool wsk__topics_elsewhere(const struct wsk_topics *topics)
{
    return atomic_load_explicit(&topics->forks, memory_order_relaxed) !=
           atomic_load_explicit(&wsk__fork_count, memory_order_relaxed);
}

/* The ops subscribe, unsubscribe and topics of struct wsk__websocket_ops. */
wsk_status wsk__served_subscribe(wsk_conn *handle, wsk_str topic,
                                 wsk_topic_policy policy);
bool wsk__served_unsubscribe(wsk_conn *handle, wsk_str topic);
wsk_status wsk__served_topics(wsk_conn *handle, char **names, size_t *n);

#endif
