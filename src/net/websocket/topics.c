#include "net/websocket/topics.h"

#include "base/items.h"
#include "base/mem.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/loop/loop.h"
#include "net/mailbox/outbox.h"
#include "net/mailbox/served.h"
#include "net/mailbox/sockets.h"
#include "net/mailbox/topics.h"
#include "net/os/life.h"
#include "net/topics/join.h"
#include "net/topics/topics.h"
#include "wsocket.h"

#include <string.h>

static void hold(struct wsk__subscriber *s)
{
    wsk__conn_ref(wsk__conn_of(s->owner));
}

static void drop(struct wsk__subscriber *s)
{
    wsk__conn_unref(wsk__conn_of(s->owner));
}

static void offer(struct wsk__subscriber *s)
{
    struct wsk__conn *conn = wsk__conn_of(s->owner);
    bool gone, waits;

    wsk__conn_lock(conn);
    gone = wsk__ws_flush_locked(conn) == WSK__IO_GONE;
    waits = !conn->conns->loop->edge && wsk__ws_waits_locked(conn);
    wsk__conn_unlock(conn);
    if (gone || waits)
        wsk__conn_post(conn, WSK__POST_LOOK);
}

static void shut(struct wsk__subscriber *s, uint16_t code, wsk_str reason)
{
    wsk_conn_close(s->owner, code, reason.p, reason.len);
}

static const struct wsk__subscriber_ops SOCKET = {
    .hold = hold, .offer = offer, .close = shut, .release = drop};

/* Set what the options say about a topic. */
static void read_options(const wsk_server_config *cfg, wsk_str topic,
                         wsk_topic_policy policy, struct wsk__subscribing *how)
{
    struct wsk__topic_rule rule = {.backlog = cfg->topic_backlog};

    wsk__topic_policy_parse(
        (wsk_str){cfg->topic_policy, strlen(cfg->topic_policy)}, &rule.policy);
    wsk__topic_rule_for(cfg->topics, topic, &rule);
    if (policy != WSK_TOPIC_USUAL)
        rule.policy = policy;
    *how = (struct wsk__subscribing){
        .policy = rule.policy == WSK_TOPIC_LATEST ? WSK__TOPIC_LATEST
                  : rule.policy == WSK_TOPIC_DROP ? WSK__TOPIC_DROP
                                                  : WSK__TOPIC_CLOSE,
        .backlog = rule.backlog < UINT32_MAX ? (uint32_t)rule.backlog
                                             : UINT32_MAX,
        .max = cfg->topics_max,
    };
}

static struct wsk_topics *topics_of(const struct wsk__conn *conn)
{
    return wsk__topics_of(conn->conns->sockets->topics);
}

void wsk__served_join(struct wsk__conn *conn)
{
    wsk__topics_join(topics_of(conn), true);
}

void wsk__served_open_topic_locked(struct wsk__conn *conn,
                                   const struct wsk__first_topic *topic)
{
    struct wsk__subscribing how;

    wsk__assert_conn_locked(conn);
    if (wsk__topic_name_is_valid(topic->name.p, topic->name.len)) {
        read_options(conn->conns->cfg, topic->name, topic->policy, &how);
        wsk__ws_subscribe_locked(conn, topic->name, &how, &SOCKET);
    }
    wsk__ws_flush_locked(conn);
}

wsk_status wsk__served_subscribe(wsk_conn *handle, wsk_str topic,
                                 wsk_topic_policy policy)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    struct wsk__subscribing how;
    wsk_status st;

    if (!wsk__topic_name_is_valid(topic.p, topic.len))
        return WSK_E_ARG;
    if (wsk__forked(conn->conns->life))
        return WSK_E_CLOSED;
    read_options(conn->conns->cfg, topic, policy, &how);
    wsk__topics_join(topics_of(conn), true);
    wsk__conn_lock(conn);
    st = wsk__ws_subscribe_locked(conn, topic, &how, &SOCKET);
    wsk__conn_unlock(conn);
    if (st == WSK_OK)
        wsk__topics_confirm(topics_of(conn), topic);
    return st;
}

bool wsk__served_unsubscribe(wsk_conn *handle, wsk_str topic)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    bool was = false;

    if (wsk__forked(conn->conns->life))
        return false;
    wsk__conn_lock(conn);
    if (conn->ws->topics != NULL) {
        wsk__ws_flush_locked(conn);
        was = wsk__topic_unsubscribe(conn->conns->sockets->topics,
                                     &conn->ws->topics->s, topic);
    }
    wsk__conn_unlock(conn);
    return was;
}

/* Write the names, each with a NUL, and return the bytes; NULL: only count. */
static size_t write_names_locked(struct wsk__conn *conn,
                                 char *to) WSK__CONN_LOCKED
{
    uint32_t id = conn->ws->topics != NULL ? conn->ws->topics->s.first : 0;
    size_t len = 0;

    while (id != 0) {
        wsk_str name = wsk__topic_next_name(conn->conns->sockets->topics, &id);

        if (to != NULL) {
            memcpy(to + len, name.p, name.len);
            to[len + name.len] = '\0';
        }
        len += name.len + 1;
    }
    return len;
}

wsk_status wsk__served_topics(wsk_conn *handle, char **names, size_t *n)
{
    struct wsk__conn *conn = wsk__conn_of(handle);
    wsk_status st = WSK_OK;

    *names = NULL;
    *n = 0;
    if (wsk__forked(conn->conns->life))
        return WSK_OK;
    wsk__conn_lock(conn);
    if (conn->ws->topics != NULL && conn->ws->topics->s.n > 0) {
        *names = wsk__alloc(write_names_locked(conn, NULL));
        if (*names == NULL)
            st = WSK_E_NOMEM;
        else
            *n = conn->ws->topics->s.n;
    }
    if (*names != NULL)
        write_names_locked(conn, *names);
    wsk__conn_unlock(conn);
    return st;
}
