#include "net/websocket/topics.h"

#include "base/close_code.h"
#include "base/items.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "net/conn/conn.h"
#include "net/conn/conns.h"
#include "net/conn/lock.h"
#include "net/loop/loop.h"
#include "net/mailbox/outbox.h"
#include "net/mailbox/served.h"
#include "net/mailbox/sockets.h"
#include "net/mailbox/topics.h"
#include "net/os/life.h"
#include "net/os/machine.h"
#include "net/os/process.h"
#include "topic/publish.h"
#include "ws/deflate.h"
#include "ws/frame.h"
#include "wsocket.h"

#include <string.h>

enum {
    ALONE = 64, /* subscribers that the publishing thread passes over itself */
    FEW = 8,    /* topics of one publication that need no memory */
    NARROWEST = 8,
    WIDEST = 15,    /* bits of a window */
    LOGS_SHARE = 4, /* of memory_limit, logs may have one part in so many */
};

/* ------------------------------------------------- topics of a process --- */

static struct wsk_topics *owner_of(struct wsk__topics *core)
{
    return WSK__OWNER(core, struct wsk_topics, core);
}

static void release(struct wsk__topics *core)
{
    wsk_topics_unref(owner_of(core));
}

bool wsk_topic_is_valid(const char *name, size_t len)
{
    return wsk__topic_name_is_valid(name, len);
}

wsk_topics *wsk_topics_new(void)
{
    struct wsk_topics *topics = wsk__calloc(sizeof(*topics));
    uint64_t key[2];

    if (topics == NULL)
        return NULL;
    wsk__watch_forks();
    wsk__random((uint8_t *)key, sizeof(key));
    wsk__topics_init(&topics->core, key);
    wsk__pump_init(&topics->pump);
    topics->pump.topics = &topics->core;
    topics->pump.refs = &topics->refs;
    topics->pump.release = release;
    atomic_init(&topics->refs, 1);
    atomic_init(&topics->forks, atomic_load(&wsk__fork_count));
    atomic_init(&topics->message_max, 1 << 20);
    atomic_init(&topics->backlog, 1 << 20);
    atomic_init(&topics->threshold, UINT64_MAX);
    return topics;
}

wsk_topics *wsk_topics_ref(wsk_topics *topics)
{
    atomic_fetch_add(&topics->refs, 1);
    return topics;
}

void wsk_topics_unref(wsk_topics *topics)
{
    if (topics == NULL || atomic_fetch_sub(&topics->refs, 1) != 1)
        return;
    wsk__pump_clear(&topics->pump);
    wsk__topics_clear(&topics->core);
    wsk__pool_clear(&topics->pool);
    wsk__free(topics);
}

static uint32_t backlog_of(uint64_t bytes)
{
    return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

void wsk__topics_serve(struct wsk_topics *topics, const wsk_server_config *cfg,
                       const struct wsk__sockets *sockets)
{
    atomic_store(&topics->forks, atomic_load(&wsk__fork_count));
    atomic_store(&topics->message_max, cfg->topic_message_max);
    atomic_store(&topics->backlog, backlog_of(cfg->topic_backlog));
    if (cfg->memory_limit > 0)
        atomic_store(&topics->core.bytes_max,
                     (size_t)(cfg->memory_limit / LOGS_SHARE));
    atomic_store(&topics->level, sockets->compression.level);
    atomic_store(&topics->threshold, sockets->compression.threshold);
}

/* ------------------------------------------- a WebSocket that subscribes ---
 */

static void hold(struct wsk__subscriber *s)
{
    wsk__conn_ref(s->owner);
}

static void drop(struct wsk__subscriber *s)
{
    wsk__conn_unref(s->owner);
}

static void offer(struct wsk__subscriber *s)
{
    struct wsk__conn *conn = s->owner;
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
    struct wsk__conn *conn = s->owner;

    wsk_conn_close(&conn->ws->handle, code, reason.p, reason.len);
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
        .backlog = backlog_of(rule.backlog),
        .max = cfg->topics_max,
    };
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
    wsk__conn_lock(conn);
    st = wsk__ws_subscribe_locked(conn, topic, &how, &SOCKET);
    wsk__conn_unlock(conn);
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

/* --------------------------------------------------------- publications --- */

/* Frame a message. `opcode` may have the bit WSK__RSV1. */
static struct wsk__publication *frame(wsk_opcode opcode, const uint8_t *data,
                                      size_t len)
{
    uint8_t head[WSK__FRAME_OWN_MAX];
    size_t n = wsk__frame_write(head, opcode, true, len);
    struct wsk__publication *p = wsk__publication_new(n + len);

    if (p == NULL)
        return NULL;
    memcpy(p->octets, head, n);
    if (len > 0)
        memcpy(p->octets + n, data, len);
    return p;
}

/* Frame a message compressed by itself, for a window of `bits`. NULL: memory is
 * out, or it would not be shorter; then all get the plain one. */
static struct wsk__publication *frame_packed(struct wsk_topics *topics,
                                             wsk_opcode opcode,
                                             const uint8_t *data, size_t len,
                                             uint8_t bits)
{
    wsk_ws_deflate how = {.level = (uint8_t)atomic_load(&topics->level),
                          .server_bits = bits};
    struct wsk__deflater none = {0};
    struct wsk__publication *p = NULL;
    uint8_t *block = wsk__alloc(wsk__deflate_room(&how, len));
    size_t size = 0;

    if (block != NULL)
        size = wsk__deflate(&none, &how, &topics->pool, data, len, block);
    if (size > 0 && size < len)
        p = frame((wsk_opcode)(opcode | WSK__RSV1), block, size);
    wsk__free(block);
    return p;
}

static struct wsk__publication *make(struct wsk_topics *topics,
                                     wsk_opcode opcode, const uint8_t *data,
                                     size_t len, unsigned flags, uint8_t forms)
{
    static const uint8_t BITS[WSK__PACKED] = {
        [WSK__PACKED_WIDE] = WIDEST, [WSK__PACKED_NARROW] = NARROWEST};
    struct wsk__publication *p = frame(opcode, data, len);

    if (p == NULL || (flags & WSK_SEND_PLAIN) != 0 || len == 0 ||
        len < atomic_load(&topics->threshold))
        return p;
    for (int i = 0; i < WSK__PACKED; i++)
        if (forms & (1u << i))
            p->packed[i] = frame_packed(topics, opcode, data, len, BITS[i]);
    return p;
}

/* Offer a topic, which is pinned, to its subscribers. */
static void deliver(struct wsk_topics *topics, struct wsk__topic *topic)
{
    struct wsk__subscriber *some[WSK__PASS_MAX];
    struct wsk__pass pass;
    size_t n;

    if (wsk__pass_begin(&topics->core, topic, &pass) > ALONE) {
        wsk__pump_ask(&topics->pump, topic);
        return;
    }
    while ((n = wsk__pass_next(&topics->core, &pass, some, WSK__PASS_MAX)) >
           0) {
        for (size_t i = 0; i < n; i++) {
            some[i]->ops->offer(some[i]);
            some[i]->ops->release(some[i]);
        }
    }
    wsk__pass_end(&topics->core, &pass);
}

static bool are_valid(const wsk_str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!wsk__topic_name_is_valid(names[i].p, names[i].len))
            return false;
    return true;
}

wsk_status wsk_topics_publish(wsk_topics *topics, const wsk_str *names,
                              size_t n, wsk_opcode opcode, const void *data,
                              size_t len, unsigned flags,
                              const wsk_conn *except)
{
    struct wsk__topic *few[FEW], **found = few;
    struct wsk__publication *p;
    size_t n_found = 0;
    wsk_status st = WSK_E_NOMEM;
    uint8_t forms;

    if ((opcode != WSK_TEXT && opcode != WSK_BINARY) || !are_valid(names, n) ||
        len > atomic_load(&topics->message_max))
        return WSK_E_ARG;
    if (opcode == WSK_TEXT && (flags & WSK_SEND_VALID) == 0 &&
        !wsk__utf8_valid(data, len))
        return WSK_E_ARG;
    if (wsk__topics_elsewhere(topics))
        return WSK_E_CLOSED;
    if (!wsk__topics_have_some(&topics->core, names, n, &forms))
        return WSK_OK;
    if (n > FEW)
        found = wsk__alloc(n * sizeof(struct wsk__topic *));
    p = make(topics, opcode, data, len, flags, forms);
    if (p != NULL && found != NULL) {
        p->except = except != NULL &&
                            except->ops->subscribe == wsk__served_subscribe
                        ? wsk__conn_of(except)
                        : NULL;
        st = wsk__topic_publish(&topics->core, names, n, p, found, &n_found);
    }
    wsk__publication_unref(p);
    for (size_t i = 0; i < n_found; i++)
        deliver(topics, found[i]);
    if (found != few)
        wsk__free(found);
    return st;
}

size_t wsk_topics_count(wsk_topics *topics, const char *topic, size_t len)
{
    return wsk__topics_elsewhere(topics)
               ? 0
               : wsk__topic_count(&topics->core, (wsk_str){topic, len});
}

wsk_status wsk_topics_disconnect(wsk_topics *topics, const char *topic,
                                 size_t len, uint16_t code, const char *reason,
                                 size_t reason_len)
{
    struct wsk__subscriber *some[WSK__PASS_MAX];
    struct wsk__topic *found;
    struct wsk__pass pass;
    size_t n;

    if (!wsk__topic_name_is_valid(topic, len) || !wsk__is_close_code(code) ||
        !wsk__utf8_valid((const uint8_t *)reason, reason_len))
        return WSK_E_ARG;
    if (wsk__topics_elsewhere(topics))
        return WSK_E_CLOSED;
    found = wsk__topic_pin(&topics->core, (wsk_str){topic, len});
    if (found == NULL)
        return WSK_OK;
    wsk__pass_begin(&topics->core, found, &pass);
    while ((n = wsk__pass_next(&topics->core, &pass, some, WSK__PASS_MAX)) >
           0) {
        for (size_t i = 0; i < n; i++) {
            some[i]->ops->close(some[i], code, (wsk_str){reason, reason_len});
            some[i]->ops->release(some[i]);
        }
    }
    wsk__topic_unpin(&topics->core, found);
    return WSK_OK;
}

void wsk_topics_stats(wsk_topics *topics, wsk_topic_stats *out)
{
    const struct wsk__topic_counts *counts = &topics->core.counts;

    *out = (wsk_topic_stats){
        .topics = atomic_load(&topics->core.n_topics),
        .published = atomic_load(&counts->published),
        .owed = atomic_load(&counts->owed),
        .passed = atomic_load(&counts->passed),
        .sent = atomic_load(&counts->sent),
        .dropped = atomic_load(&counts->dropped),
        .unread = atomic_load(&counts->unread),
    };
}
