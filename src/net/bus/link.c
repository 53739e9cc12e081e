#include "net/bus/link.h"

#include "base/mem.h"
#include "net/local/local.h"

#include <string.h>
#include <unistd.h>

enum {
    READ = 64 << 10, /* octets of one read */
};

struct wsk__link *wsk__link_new(bool outgoing, const char *name)
{
    struct wsk__link *link = wsk__calloc(sizeof(*link));

    if (link == NULL)
        return NULL;
    link->fd = -1;
    link->outgoing = outgoing;
    link->waits_ms = WSK__LINK_FIRST_WAIT_MS;
    memcpy(link->name, name, strlen(name) + 1);
    wsk__buf_init(&link->in,
                  (size_t)WSK__WIRE_HEAD + WSK__WIRE_BODY_MAX + READ);
    wsk__buf_init(&link->out, WSK__BUF_CAP_MAX);
    return link;
}

void wsk__link_close(struct wsk__link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
    link->cut = link->greeted = link->wants = link->owes_ready = false;
    wsk__interest_unmap(link->bits);
    link->bits = NULL;
    wsk__buf_free(&link->in);
    wsk__buf_free(&link->out);
}

void wsk__link_free(struct wsk__link *link)
{
    wsk__link_close(link);
    wsk__free(link);
}

static bool say_hello(struct wsk__link *link, const char *own_name)
{
    uint8_t head[WSK__WIRE_HEAD];
    const struct wsk__wire hello = {.kind = WSK__WIRE_HELLO,
                                    .flags = link->gap ? WSK__WIRE_GAP : 0,
                                    .body = (uint32_t)strlen(own_name)};
    const wsk_str pieces[] = {{(char *)head, sizeof(head)},
                              {own_name, strlen(own_name)}};

    wsk__wire_write(head, &hello);
    return wsk__link_send(link, pieces, 2);
}

bool wsk__link_open(struct wsk__link *link, const char *folder,
                    const char *own_name)
{
    char path[WSK__LOCAL_PATH];

    wsk__member_path(path, folder, "", link->name, "");
    link->fd = wsk__local_connect(path);
    if (link->fd < 0)
        return false;
    wsk__member_path(path, folder, "", link->name, ".bits");
    link->bits = wsk__interest_map(path);
    if (link->bits == NULL || !say_hello(link, own_name)) {
        wsk__link_close(link);
        return false;
    }
    link->gap = false;
    return true;
}

/* Return true if the queue has no room for a message. One alone may be longer
 * than the queue. */
static bool is_full(const struct wsk__link *link, const wsk_str *pieces,
                    size_t n)
{
    size_t len = wsk__buf_len(&link->out);

    if (len == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        len += pieces[i].len;
    return len > WSK__LINK_QUEUE;
}

/* Queue what lies behind the first `skip` octets, which are 0 if others wait.
 */
static bool queue(struct wsk__link *link, const wsk_str *pieces, size_t n,
                  size_t skip)
{
    if (is_full(link, pieces, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t gone = skip < pieces[i].len ? skip : pieces[i].len;

        if (!wsk__buf_put(&link->out, pieces[i].p + gone, pieces[i].len - gone))
            return false;
        skip -= gone;
    }
    return true;
}

static bool shows(const struct wsk__link *link, uint32_t bit)
{
    return link->bits != NULL && wsk__interest_has(link->bits, bit);
}

bool wsk__link_has_broker(const struct wsk__link *link)
{
    return shows(link, WSK__INTEREST_BROKER);
}

bool wsk__link_send(struct wsk__link *link, const wsk_str *pieces, size_t n)
{
    ssize_t sent = 0;
    size_t len = 0;

    if (link->fd < 0 || link->cut) {
        link->gap = true;
        link->refused = true;
        return false;
    }
    for (size_t i = 0; i < n; i++)
        len += pieces[i].len;
    if (wsk__buf_len(&link->out) == 0)
        sent = wsk__local_sendv(link->fd, pieces, n);
    if (sent < 0)
        link->cut = !wsk__local_is_full();
    if (!link->cut && (size_t)(sent < 0 ? 0 : sent) < len)
        link->cut = !queue(link, pieces, n, sent < 0 ? 0 : (size_t)sent);
    link->gap |= link->cut;
    link->refused |= link->cut;
    return !link->cut;
}

static struct wsk__link *oldest_relay(struct wsk__link *list)
{
    struct wsk__link *found = NULL;

    for (; list != NULL; list = list->next) /* new ones come first */
        if (list->fd >= 0 && !list->refused &&
            shows(list, WSK__INTEREST_RELAY) &&
            (found == NULL || list->greeted || !found->greeted))
            found = list;
    return found;
}

/* Send, but never cut a link whose queue is full: what waits there was said to
 * be on its way. */
static bool relay_by(struct wsk__link *link, const wsk_str pieces[2])
{
    link->refused = is_full(link, pieces, 2);
    return !link->refused && wsk__link_send(link, pieces, 2);
}

struct wsk__link *wsk__link_relay(struct wsk__link *list, struct wsk__wire head,
                                  const wsk_str pieces[2])
{
    struct wsk__link *relay;

    head.flags |= WSK__WIRE_RELAY;
    wsk__wire_write((uint8_t *)(uintptr_t)pieces[0].p, &head);
    do
        relay = oldest_relay(list);
    while (relay != NULL && !relay_by(relay, pieces));
    return relay;
}

bool wsk__link_flush(struct wsk__link *link)
{
    size_t len;

    while ((len = wsk__buf_len(&link->out)) > 0) {
        const wsk_str rest = {(const char *)wsk__buf_data(&link->out), len};
        ssize_t n = wsk__local_sendv(link->fd, &rest, 1);

        if (n < 0)
            return wsk__local_is_full();
        wsk__buf_ack(&link->out, (size_t)n);
        if ((size_t)n < len)
            return true;
    }
    wsk__buf_free(&link->out);
    link->refused &= !link->greeted;
    return true;
}

enum wsk__link_read wsk__link_read(struct wsk__link *link)
{
    uint8_t *room = wsk__buf_room(&link->in, READ);
    ssize_t n;

    if (room == NULL)
        return WSK__LINK_GONE;
    n = wsk__local_recv(link->fd, room, READ);
    if (n > 0) {
        wsk__buf_grow_tail(&link->in, (size_t)n);
        return WSK__LINK_READ;
    }
    return n < 0 && wsk__local_is_full() ? WSK__LINK_EMPTY : WSK__LINK_GONE;
}
