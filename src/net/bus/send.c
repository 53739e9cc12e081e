#include "net/bus/send.h"

#include "base/mem.h"
#include "net/bus/member.h"

enum { FEW_OCTETS = 512 }; /* of names that need no memory */

static void send_locked(struct wsk__host *host, struct wsk__link *link,
                        const wsk_str *pieces, size_t n)
{
    bool waited = wsk__buf_len(&link->out) > 0, was_cut = link->cut;

    wsk__link_send(link, pieces, n);
    if ((!waited && wsk__buf_len(&link->out) > 0) || link->cut != was_cut)
        wsk__wake(&host->wake);
}

static bool is_wanted(const struct wsk__link *link, const uint32_t *bits,
                      size_t n)
{
    if (link->bits == NULL)
        return true; /* cut: a gap */
    for (size_t i = 0; i < n; i++)
        if (wsk__interest_has(link->bits, bits[i]))
            return true;
    return false;
}

/* Return true if a peer has a broker, or, to a program without a server, had
 * one: all of them may restart. A server that a reload leaves without a broker
 * forgets that of its predecessors. */
static bool have_broker_locked(struct wsk__host *host)
{
    const atomic_bool *serves = host->route.serves;
    const struct wsk__link *link = host->outgoing;

    while (link != NULL && !wsk__link_has_broker(link))
        link = link->next;
    host->has_met_broker |= link != NULL;
    return link != NULL ||
           (host->has_met_broker && (serves == NULL || !atomic_load(serves)));
}

bool wsk__host_peers_have_broker(struct wsk__route *route)
{
    struct wsk__host *host = wsk__host_of(route);
    bool have;

    pthread_mutex_lock(&host->lock);
    have = have_broker_locked(host);
    pthread_mutex_unlock(&host->lock);
    return have;
}

/* Have a peer that has a broker pass a message on, where this process has none.
 * AGAIN: none takes it. */
static wsk_status relay_locked(struct wsk__host *host, struct wsk__wire head,
                               const wsk_str pieces[2])
{
    const struct wsk__link *relay;
    bool waits = false;

    if (host->has_broker || !have_broker_locked(host))
        return WSK_OK;
    relay = wsk__link_relay(host->outgoing, head, pieces);
    for (const struct wsk__link *link = host->outgoing; link != NULL;
         link = link->next)
        waits |= link->cut || (link == relay && wsk__buf_len(&link->out) > 0);
    if (waits)
        wsk__wake(&host->wake);
    return relay == NULL ? WSK_E_AGAIN : WSK_OK;
}

/* Send to the peers that want one of the topics; those that have a broker get
 * it by that. */
static wsk_status send_to(struct wsk__host *host,
                          const struct wsk__bus_message *m,
                          const uint32_t *bits, uint8_t *block)
{
    size_t at = WSK__WIRE_HEAD;
    struct wsk__wire head = {.kind = WSK__WIRE_MESSAGE,
                             .number = (uint32_t)m->n_topics};
    wsk_str pieces[2];
    wsk_status st;

    for (size_t i = 0; i < m->n_topics; i++)
        at += wsk__wire_put_name(block + at, m->topics[i]);
    head.flags = (uint8_t)((m->opcode == WSK_TEXT ? WSK__WIRE_TEXT : 0) |
                           (m->plain ? WSK__WIRE_PLAIN : 0));
    head.names = (uint32_t)(at - WSK__WIRE_HEAD);
    head.body = (uint32_t)(head.names + m->len);
    wsk__wire_write(block, &head);
    pieces[0] = (wsk_str){(char *)block, at};
    pieces[1] = (wsk_str){(const char *)m->data, m->len};
    pthread_mutex_lock(&host->lock);
    for (struct wsk__link *link = host->outgoing; link != NULL;
         link = link->next)
        if (!wsk__link_has_broker(link) && is_wanted(link, bits, m->n_topics))
            send_locked(host, link, pieces, 2);
    st = relay_locked(host, head, pieces);
    pthread_mutex_unlock(&host->lock);
    return st;
}

wsk_status wsk__host_publish(struct wsk__route *route,
                             const struct wsk__bus_message *m)
{
    uint8_t few[WSK__WIRE_HEAD + FEW_OCTETS], *block = few;
    uint32_t one, *bits = &one;
    size_t size = WSK__WIRE_HEAD;
    wsk_status st = WSK_E_NOMEM;

    for (size_t i = 0; i < m->n_topics; i++)
        size += m->topics[i].len + 1;
    if (size > WSK__WIRE_BODY_MAX || m->len > WSK__WIRE_BODY_MAX - size)
        return WSK_E_NOMEM;
    if (size > sizeof(few))
        block = wsk__alloc(size);
    if (m->n_topics > 1)
        bits = wsk__alloc(m->n_topics * sizeof(bits[0]));
    if (block != NULL && bits != NULL) {
        for (size_t i = 0; i < m->n_topics; i++)
            bits[i] = wsk__interest_bit(m->topics[i]);
        st = send_to(wsk__host_of(route), m, bits, block);
    }
    if (block != few)
        wsk__free(block);
    if (bits != &one)
        wsk__free(bits);
    return st;
}

wsk_status wsk__host_disconnect(struct wsk__route *route, wsk_str topic,
                                uint16_t code, wsk_str reason)
{
    struct wsk__host *host = wsk__host_of(route);
    uint8_t block[WSK__WIRE_HEAD + 1 + UINT8_MAX];
    size_t names = wsk__wire_put_name(block + WSK__WIRE_HEAD, topic);
    const wsk_str pieces[] = {{(char *)block, WSK__WIRE_HEAD + names}, reason};
    struct wsk__wire head = {.kind = WSK__WIRE_DISCONNECT,
                             .body = (uint32_t)(names + reason.len),
                             .names = (uint32_t)names,
                             .number = code};
    wsk_status st;

    wsk__wire_write(block, &head);
    pthread_mutex_lock(&host->lock);
    for (struct wsk__link *link = host->outgoing; link != NULL;
         link = link->next)
        send_locked(host, link, pieces, 2);
    st = relay_locked(host, head, pieces);
    pthread_mutex_unlock(&host->lock);
    return st;
}
