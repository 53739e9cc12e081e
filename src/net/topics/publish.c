#include "net/topics/publish.h"

#include "base/close_code.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "net/topics/join.h"
#include "net/topics/topics.h"
#include "topic/publish.h"
#include "ws/deflate.h"
#include "ws/frame.h"
#include "wsocket.h"

#include <string.h>

enum {
    ALONE = 64, /* subscribers that the publishing thread passes over itself */
    FEW = 8,    /* topics of one publication that need no memory */
    NARROWEST = 8,
    WIDEST = 15, /* bits of a window */
};

/* ------------------------------------------------------------- frames --- */

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

static struct wsk__publication *
make(struct wsk_topics *topics, const struct wsk__bus_message *m, uint8_t forms)
{
    static const uint8_t BITS[WSK__PACKED] = {
        [WSK__PACKED_WIDE] = WIDEST, [WSK__PACKED_NARROW] = NARROWEST};
    struct wsk__publication *p = frame(m->opcode, m->data, m->len);

    if (p == NULL || m->plain || m->len == 0 ||
        m->len < atomic_load(&topics->threshold))
        return p;
    for (int i = 0; i < WSK__PACKED; i++)
        if (forms & (1u << i))
            p->packed[i] =
                frame_packed(topics, m->opcode, m->data, m->len, BITS[i]);
    return p;
}

/* ------------------------------------------------------ in this process --- */

/* Offer a topic, which is pinned, to its subscribers. */
static void deliver(struct wsk_topics *topics, struct wsk__topic *topic)
{
    struct wsk__pass pass;

    if (wsk__pass_begin(&topics->core, topic, &pass) > ALONE) {
        wsk__pump_ask(&topics->pump, topic);
        return;
    }
    while (wsk__pass_offer(&topics->core, &pass) > 0)
        ;
    wsk__pass_end(&topics->core, &pass);
}

static bool are_valid(const wsk_str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!wsk__topic_name_is_valid(names[i].p, names[i].len))
            return false;
    return true;
}

/* Give a publication to the subscribers of this process. */
static wsk_status spread(struct wsk_topics *topics,
                         const struct wsk__bus_message *m)
{
    struct wsk__topic *few[FEW], **found = few;
    struct wsk__publication *p;
    size_t n = m->n_topics, n_found = 0;
    wsk_status st = WSK_E_NOMEM;
    uint8_t forms;

    if (!wsk__topics_have_some(&topics->core, m->topics, n, &forms))
        return WSK_OK;
    if (n > FEW)
        found = wsk__alloc(n * sizeof(struct wsk__topic *));
    p = make(topics, m, forms);
    if (p != NULL && found != NULL) {
        if (m->except != 0 && m->node == topics->node)
            /* A number again becomes the address that it was made of. */
            p->except = (const void *)(uintptr_t)(m->except ^ topics->mask);
        st =
            wsk__topic_publish(&topics->core, m->topics, n, p, found, &n_found);
    }
    wsk__publication_unref(p);
    for (size_t i = 0; i < n_found; i++)
        deliver(topics, found[i]);
    if (found != few)
        wsk__free(found);
    return st;
}

/* Close the WebSockets of a topic in this process. */
static void shut(struct wsk_topics *topics, wsk_str topic, uint16_t code,
                 wsk_str reason)
{
    struct wsk__subscriber *some[WSK__PASS_MAX];
    struct wsk__topic *found = wsk__topic_pin(&topics->core, topic);
    struct wsk__pass pass;
    size_t n;

    if (found == NULL)
        return;
    wsk__pass_begin(&topics->core, found, &pass);
    while ((n = wsk__pass_next(&topics->core, &pass, some, WSK__PASS_MAX)) >
           0) {
        for (size_t i = 0; i < n; i++) {
            some[i]->ops->close(some[i], code, reason);
            some[i]->ops->release(some[i]);
        }
    }
    wsk__topic_unpin(&topics->core, found);
}

static bool is_message(const struct wsk__bus_message *m)
{
    return (m->opcode == WSK_TEXT || m->opcode == WSK_BINARY) &&
           are_valid(m->topics, m->n_topics);
}

static bool is_disconnect(wsk_str topic, uint16_t code, wsk_str reason)
{
    return wsk__topic_name_is_valid(topic.p, topic.len) &&
           wsk__is_close_code(code) &&
           wsk__utf8_valid((const uint8_t *)reason.p, reason.len);
}

/* ------------------------------------------------- from other processes --- */

/* Give a publication of a process without a broker to ours, by which it comes
 * back to the subscribers here. */
static wsk_status pass_on(struct wsk_topics *topics,
                          const struct wsk__bus_message *m)
{
    struct wsk__route *broker = atomic_load(&topics->broker);
    struct wsk__bus_message ours = *m;
    wsk_status st;

    ours.node = topics->node;
    ours.relay = false;
    if (m->len > atomic_load(&topics->message_max)) {
        topics->events->log(topics, WSK_LOG_WARNING,
                            "topics: a program of this host has published more "
                            "than topic_message_max: it is dropped");
        wsk__count(&topics->failed, 1);
        return WSK_OK; /* no gap: that program is at fault */
    } else if (broker == NULL) {
        st = spread(topics, m);
    } else {
        st = broker->ops->publish(broker, &ours);
    }
    wsk__count(&topics->failed, st != WSK_OK);
    return st;
}

wsk_status wsk__topics_message_came(struct wsk_topics *topics,
                                    const struct wsk__bus_message *m)
{
    if (!is_message(m) ||
        (m->opcode == WSK_TEXT && !wsk__utf8_valid(m->data, m->len)))
        return WSK_E_ARG;
    wsk__count(&topics->others, m->node != topics->node);
    return m->relay ? pass_on(topics, m) : spread(topics, m);
}

wsk_status wsk__topics_disconnect_came(struct wsk_topics *topics, wsk_str topic,
                                       uint16_t code, wsk_str reason,
                                       bool relay)
{
    struct wsk__route *broker = atomic_load(&topics->broker);

    if (!is_disconnect(topic, code, reason))
        return WSK_E_ARG;
    if (relay && broker != NULL && broker->ops->disconnect != NULL)
        (void)broker->ops->disconnect(broker, topic, code, reason);
    shut(topics, topic, code, reason);
    return WSK_OK;
}

/* -------------------------------------------------------- from programs --- */

wsk_status wsk_topics_publish(wsk_topics *topics, const wsk_str *names,
                              size_t n, wsk_opcode opcode, const void *data,
                              size_t len, unsigned flags,
                              const wsk_conn *except)
{
    const struct wsk__bus_message m = {
        .topics = names,
        .n_topics = n,
        .opcode = opcode,
        .plain = (flags & WSK_SEND_PLAIN) != 0,
        .data = data,
        .len = len,
        .node = topics->node,
        .except = except != NULL ? (uintptr_t)except ^ topics->mask : 0,
    };
    struct wsk__route *route;
    wsk_status st = WSK_OK, here = WSK_OK;

    if (!is_message(&m) || len > atomic_load(&topics->message_max))
        return WSK_E_ARG;
    if (opcode == WSK_TEXT && (flags & WSK_SEND_VALID) == 0 &&
        !wsk__utf8_valid(data, len))
        return WSK_E_ARG;
    if (wsk__topics_elsewhere(topics))
        return WSK_E_CLOSED;
    if (n == 0)
        return WSK_OK;
    wsk__topics_join(topics, false);
    route = wsk__topics_route(topics);
    if (route != NULL)
        st = route->ops->publish(route, &m);
    if (route == NULL || !route->ops->returns)
        here = spread(topics, &m);
    if (here != WSK_OK)
        st = here;
    wsk__count(st == WSK_OK ? &topics->own : &topics->failed, 1);
    return st;
}

wsk_status wsk_topics_disconnect(wsk_topics *topics, const char *topic,
                                 size_t len, uint16_t code, const char *reason,
                                 size_t reason_len)
{
    const wsk_str name = {topic, len}, why = {reason, reason_len};
    struct wsk__route *routes[2];
    wsk_status st = WSK_OK;

    if (!is_disconnect(name, code, why))
        return WSK_E_ARG;
    if (wsk__topics_elsewhere(topics))
        return WSK_E_CLOSED;
    wsk__topics_join(topics, false);
    routes[0] = atomic_load(&topics->broker);
    routes[1] = atomic_load(&topics->bus);
    for (size_t i = 0; i < 2; i++)
        if (routes[i] != NULL && routes[i]->ops->disconnect != NULL &&
            routes[i]->ops->disconnect(routes[i], name, code, why) != WSK_OK)
            st = WSK_E_AGAIN;
    shut(topics, name, code, why);
    return st;
}
