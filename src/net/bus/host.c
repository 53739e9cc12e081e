#include "net/bus/host.h"

#include "base/mem.h"
#include "net/bus/member.h"
#include "net/bus/send.h"
#include "net/local/local.h"
#include "net/os/clock.h"
#include "net/os/machine.h"
#include "net/os/poller.h"
#include "net/os/process.h"
#include "net/os/wake.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    JOIN_MS = 2000, /* for which a peer may take to answer the first hello */
    LOOK_MS = 5000, /* between looks at the folder */
    WAIT_MOST_MS = 5000, /* between tries to reach a peer */
    LINGER_MS = 2000,    /* for which a stop waits for slow peers */
    QUIET_MS = 20,       /* in which nothing comes, before a relay ends */
    SETTLE_MS = 1000, /* without a change until the number of peers is told */
    EVENTS = 16,
    INCOMING_MOST = 4096,
};

/* ---------------------------------------------------------------- forks ---
 */

/* A forked child closes its copies of all descriptors: a peer must see the end
 * of this process, not that of its last child. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct wsk__host *all;

static void before_fork(void)
{
    pthread_mutex_lock(&all_lock);
    for (struct wsk__host *host = all; host != NULL; host = host->next)
        pthread_mutex_lock(&host->lock);
}

static void after_fork(void)
{
    for (struct wsk__host *host = all; host != NULL; host = host->next)
        pthread_mutex_unlock(&host->lock);
    pthread_mutex_unlock(&all_lock);
}

static void close_links(const struct wsk__link *link)
{
    for (; link != NULL; link = link->next)
        if (link->fd >= 0)
            close(link->fd);
}

static void in_child(void)
{
    for (struct wsk__host *host = all; host != NULL; host = host->next) {
        close_links(host->outgoing);
        close_links(host->incoming);
        if (host->listener >= 0) {
            close(host->listener);
            close(host->holds);
        }
        wsk__wake_close(&host->wake);
    }
    after_fork();
    all = NULL;
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork, in_child);
}

static void list_host(struct wsk__host *host)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&all_lock);
    host->next = all;
    all = host;
    pthread_mutex_unlock(&all_lock);
}

static void unlist_host(struct wsk__host *host)
{
    struct wsk__host **at = &all;

    pthread_mutex_lock(&all_lock);
    while (*at != NULL && *at != host)
        at = &(*at)->next;
    if (*at != NULL)
        *at = host->next;
    pthread_mutex_unlock(&all_lock);
}

/* ------------------------------------------------------- files, life --- */

/* Listen in the folder under a new name. */
static bool open_member(struct wsk__host *host, char error[WSK__FOLDER_ERROR])
{
    char draft[WSK__LOCAL_PATH], path[WSK__LOCAL_PATH], name[WSK__MEMBER_NAME];
    uint64_t number;
    int fd, holds;

    holds = wsk__folder_hold(host->folder, error);
    if (holds < 0)
        return false;
    wsk__random((uint8_t *)&number, sizeof(number));
    wsk__member_name(name, number);
    wsk__member_path(path, host->folder, "", name, ".bits");
    if (wsk__interest_publish(&host->interest, path)) {
        wsk__member_path(draft, host->folder, ".", name, "");
        wsk__member_path(path, host->folder, "", name, "");
        fd = wsk__local_listen(draft, path);
        if (fd >= 0 && wsk__poller_add(host->poller, fd, host, true)) {
            pthread_mutex_lock(&host->lock);
            memcpy(host->name, name, sizeof(name));
            host->listener = fd;
            host->holds = holds;
            pthread_mutex_unlock(&host->lock);
            return true;
        }
        if (fd >= 0)
            close(fd);
    }
    snprintf(error, WSK__FOLDER_ERROR, "bus: %s: %s", host->folder,
             strerror(errno));
    wsk__member_remove(host->folder, name);
    close(holds);
    return false;
}

static void close_member(struct wsk__host *host)
{
    if (host->listener < 0)
        return;
    wsk__poller_remove(host->poller, host->listener);
    wsk__member_remove(host->folder, host->name);
    pthread_mutex_lock(&host->lock);
    close(host->listener);
    close(host->holds);
    host->listener = -1;
    pthread_mutex_unlock(&host->lock);
}

static void free_list(struct wsk__link *link)
{
    while (link != NULL) {
        struct wsk__link *next = link->next;

        wsk__link_free(link);
        link = next;
    }
}

static void host_unref(struct wsk__host *host)
{
    if (atomic_fetch_sub(&host->refs, 1) != 1)
        return;
    unlist_host(host);
    close_member(host);
    free_list(host->outgoing);
    free_list(host->incoming);
    free_list(host->doomed);
    if (host->made)
        rmdir(host->folder);
    wsk__interest_clear(&host->interest);
    wsk__poller_free(host->poller);
    wsk__wake_close(&host->wake);
    pthread_cond_destroy(&host->joined);
    pthread_mutex_destroy(&host->lock);
    wsk__free(host);
}

/* ---------------------------------------------------------------- links --- */

static void tell(struct wsk__host *host, wsk_log_level level, const char *text)
{
    host->route.events->log(host->route.user, level, text);
}

static size_t count_linked(struct wsk__host *host)
{
    size_t n = 0;

    pthread_mutex_lock(&host->lock);
    for (const struct wsk__link *link = host->outgoing; link != NULL;
         link = link->next)
        n += link->fd >= 0;
    pthread_mutex_unlock(&host->lock);
    return n;
}

static void note_peers(struct wsk__host *host)
{
    size_t n = count_linked(host);

    if (n != host->n_peers)
        host->changed_ms = wsk__now_ms();
    host->n_peers = n;
}

static void no_longer_awaited_locked(struct wsk__host *host,
                                     struct wsk__link *link)
{
    host->n_awaited -= link->awaited;
    link->awaited = false;
    if (host->n_awaited == 0)
        pthread_cond_broadcast(&host->joined);
}

static void unlink_locked(struct wsk__link **list, struct wsk__link *link)
{
    while (*list != link)
        list = &(*list)->next;
    *list = link->next;
}

/* Forget a link; events of this batch may still name it. */
static void doom(struct wsk__host *host, struct wsk__link *link)
{
    if (link->fd >= 0)
        wsk__poller_remove(host->poller, link->fd);
    pthread_mutex_lock(&host->lock);
    unlink_locked(link->outgoing ? &host->outgoing : &host->incoming, link);
    no_longer_awaited_locked(host, link);
    wsk__link_close(link);
    pthread_mutex_unlock(&host->lock);
    host->n_incoming -= !link->outgoing;
    link->doomed = true;
    link->next = host->doomed;
    host->doomed = link;
}

/* Let the next try to reach a peer wait longer than the one before. */
static void try_later(struct wsk__link *link)
{
    link->retry_ms = wsk__now_ms() + link->waits_ms;
    link->waits_ms *= 2;
    if (link->waits_ms > WAIT_MOST_MS)
        link->waits_ms = WAIT_MOST_MS;
}

/* Close a link to a peer that may live, and try again: at once if it has
 * answered before. */
static void part(struct wsk__host *host, struct wsk__link *link)
{
    if (link->fd >= 0)
        wsk__poller_remove(host->poller, link->fd);
    if (link->greeted)
        link->retry_ms = 0;
    else
        try_later(link);
    pthread_mutex_lock(&host->lock);
    wsk__link_close(link);
    link->gap = true;
    pthread_mutex_unlock(&host->lock);
    host->due = true;
}

/* Connect to the peer of a link that is cut. False: it has gone. */
static bool reach(struct wsk__host *host, struct wsk__link *link)
{
    bool good, gone = false;

    pthread_mutex_lock(&host->lock);
    good = wsk__link_open(link, host->folder, host->name);
    gone = !good && (errno == ECONNREFUSED || errno == ENOENT);
    if (good && !wsk__poller_add(host->poller, link->fd, link, true)) {
        wsk__link_close(link);
        good = false;
    }
    pthread_mutex_unlock(&host->lock);
    if (gone) {
        wsk__member_remove(host->folder, link->name);
        return false;
    }
    if (!good)
        try_later(link);
    return true;
}

static struct wsk__link *link_to(const struct wsk__host *host, const char *name)
{
    struct wsk__link *link = host->outgoing;

    while (link != NULL && strcmp(link->name, name) != 0)
        link = link->next;
    return link;
}

/* Link this process to a peer, unless it is. */
static void meet(struct wsk__host *host, const char *name, bool awaited,
                 bool gap)
{
    struct wsk__link *link = link_to(host, name);

    if (link != NULL)
        link->retry_ms = 0;
    if (link != NULL || strcmp(name, host->name) == 0)
        return;
    link = wsk__link_new(true, name);
    if (link == NULL)
        return;
    link->gap = gap;
    pthread_mutex_lock(&host->lock);
    link->next = host->outgoing;
    host->outgoing = link;
    link->awaited = awaited;
    host->n_awaited += awaited;
    pthread_mutex_unlock(&host->lock);
    if (!reach(host, link))
        doom(host, link);
}

static void found_first(void *user, const char *name)
{
    meet(user, name, true, false);
}

static void found_again(void *user, const char *name)
{
    meet(user, name, false, true);
}

/* ------------------------------------------------------ what comes in --- */

/* Take a hello. The answer follows once this process is linked to the peer, so
 * that its publications reach it; a peer that has gone already gets none, and
 * what it has sent counts. */
static bool greet(struct wsk__host *host, struct wsk__link *link,
                  const uint8_t *body, const struct wsk__wire *head)
{
    if (link->greeted || !wsk__member_is_valid((const char *)body, head->body))
        return false;
    memcpy(link->name, body, head->body);
    link->name[head->body] = '\0';
    link->greeted = true;
    link->owes_ready = true;
    meet(host, link->name, false, false);
    host->due = true;
    if (head->flags & WSK__WIRE_GAP)
        host->route.events->gap(host->route.user, NULL, 0);
    return true;
}

/* Take the answer to a hello. One that comes too late tells that some were
 * published which did not come. */
static bool be_greeted(struct wsk__host *host, struct wsk__link *link)
{
    bool late;

    if (link->greeted)
        return false;
    pthread_mutex_lock(&host->lock);
    link->greeted = true;
    link->refused = false;
    link->waits_ms = WSK__LINK_FIRST_WAIT_MS;
    late = link->awaited && wsk__now_ms() > host->join_until_ms;
    no_longer_awaited_locked(host, link);
    pthread_mutex_unlock(&host->lock);
    if (late)
        host->route.events->gap(host->route.user, NULL, 0);
    return true;
}

static bool take_message(struct wsk__host *host, const uint8_t *body,
                         const struct wsk__wire *head)
{
    wsk_str few[8], *names = few;
    bool good = false;

    if (head->number > 8)
        names = wsk__alloc(head->number * sizeof(wsk_str));
    if (names == NULL) {
        host->route.events->gap(host->route.user, NULL, 0);
        return true;
    }
    if (wsk__wire_names(body, head, names, head->number)) {
        const struct wsk__bus_message m = {
            .topics = names,
            .n_topics = head->number,
            .opcode = head->flags & WSK__WIRE_TEXT ? WSK_TEXT : WSK_BINARY,
            .plain = (head->flags & WSK__WIRE_PLAIN) != 0,
            .relay = (head->flags & WSK__WIRE_RELAY) != 0,
            .data = body + head->names,
            .len = head->body - head->names,
        };
        wsk_status st = host->route.events->message(host->route.user, &m);

        good = st != WSK_E_ARG;
        if (st == WSK_E_NOMEM)
            host->route.events->gap(host->route.user, NULL, 0);
    }
    if (names != few)
        wsk__free(names);
    return good;
}

static bool take_disconnect(struct wsk__host *host, const uint8_t *body,
                            const struct wsk__wire *head)
{
    const wsk_str reason = {(const char *)body + head->names,
                            head->body - head->names};
    wsk_str name;

    return wsk__wire_names(body, head, &name, 1) &&
           host->route.events->disconnect(
               host->route.user, name, (uint16_t)head->number, reason,
               (head->flags & WSK__WIRE_RELAY) != 0) == WSK_OK;
}

/* Take one message. False: a peer does not send that. */
static bool take(struct wsk__host *host, struct wsk__link *link,
                 const uint8_t *body, const struct wsk__wire *head)
{
    if (link->outgoing)
        return head->kind == WSK__WIRE_READY && be_greeted(host, link);
    if (head->kind == WSK__WIRE_HELLO)
        return greet(host, link, body, head);
    if (!link->greeted)
        return false;
    if (head->kind == WSK__WIRE_MESSAGE)
        return take_message(host, body, head);
    return head->kind == WSK__WIRE_DISCONNECT &&
           take_disconnect(host, body, head);
}

static void complain(struct wsk__host *host, const struct wsk__link *link,
                     const char *what)
{
    char text[160];

    if (host->has_complained)
        return;
    host->has_complained = true;
    snprintf(text, sizeof(text),
             "bus: process %u sends what %s; such connections are closed",
             wsk__local_peer(link->fd), what);
    tell(host, WSK_LOG_WARNING, text);
}

/* Take all messages that are whole. False: the link is to be closed. */
static bool parse(struct wsk__host *host, struct wsk__link *link)
{
    struct wsk__wire head;

    for (;;) {
        const uint8_t *data = wsk__buf_data(&link->in);

        switch (wsk__wire_read(data, wsk__buf_len(&link->in), &head)) {
        case WSK__WIRE_MORE:
            if (wsk__buf_len(&link->in) == 0)
                wsk__buf_free(&link->in);
            return true;
        case WSK__WIRE_OTHER_VERSION:
            complain(host, link, "another version of wsocket does");
            return false;
        case WSK__WIRE_GOOD:
            if (atomic_load(&host->stops))
                return true; /* of a message taken before */
            if (take(host, link, data + WSK__WIRE_HEAD, &head)) {
                wsk__buf_ack(&link->in, WSK__WIRE_HEAD + head.body);
                break;
            }
            /* fallthrough */
        case WSK__WIRE_BAD:
            complain(host, link, "is no message");
            return false;
        }
    }
}

static void read_link(struct wsk__host *host, struct wsk__link *link)
{
    enum wsk__link_read got = wsk__link_read(link);

    if (got == WSK__LINK_READ && !parse(host, link))
        got = WSK__LINK_GONE;
    if (got != WSK__LINK_GONE)
        return;
    if (link->outgoing)
        part(host, link);
    else
        doom(host, link);
}

static void accept_link(struct wsk__host *host)
{
    int fd = wsk__local_accept(host->listener);
    struct wsk__link *link;

    if (fd < 0)
        return;
    link = host->n_incoming < INCOMING_MOST ? wsk__link_new(false, "") : NULL;
    if (link == NULL || !wsk__poller_add(host->poller, fd, link, true)) {
        wsk__free(link);
        close(fd);
        return;
    }
    pthread_mutex_lock(&host->lock);
    link->fd = fd;
    link->next = host->incoming;
    host->incoming = link;
    pthread_mutex_unlock(&host->lock);
    host->n_incoming++;
}

/* --------------------------------------------------------------- thread --- */

/* Send what waits for a peer, and let the poller tell of room for the rest.
 * False: it has gone, or a sender has given it up. */
static bool serve_locked(struct wsk__host *host, struct wsk__link *link)
{
    bool wants;

    if (link->fd < 0)
        return true;
    if (link->cut || !wsk__link_flush(link))
        return false;
    wants = wsk__buf_len(&link->out) > 0;
    if (!wants)
        pthread_cond_broadcast(&host->joined);
    if (wants != link->wants)
        wsk__poller_want(host->poller, link->fd, link,
                         WSK__READ | (link->wants ? WSK__WRITE : 0u),
                         WSK__READ | (wants ? WSK__WRITE : 0u), true);
    link->wants = wants;
    return true;
}

/* Answer a hello if this process is linked to the peer. */
static void answer_locked(struct wsk__host *host, struct wsk__link *link)
{
    const struct wsk__link *back = link_to(host, link->name);
    uint8_t ready[WSK__WIRE_HEAD];
    const wsk_str piece = {(char *)ready, sizeof(ready)};

    if (back == NULL || back->fd < 0)
        return;
    wsk__wire_write(ready, &(struct wsk__wire){.kind = WSK__WIRE_READY});
    link->owes_ready = !wsk__link_send(link, &piece, 1);
}

/* Bring all links up to date. A peer that takes no answer may have sent more
 * before it went: its link ends where its octets do. */
static void serve_links(struct wsk__host *host)
{
    struct wsk__link *next;
    bool good;

    for (struct wsk__link *link = host->outgoing; link != NULL; link = next) {
        next = link->next;
        pthread_mutex_lock(&host->lock);
        good = serve_locked(host, link);
        pthread_mutex_unlock(&host->lock);
        if (!good)
            part(host, link);
        if (link->fd < 0 && wsk__now_ms() >= link->retry_ms &&
            !reach(host, link))
            doom(host, link);
    }
    for (struct wsk__link *link = host->incoming; link != NULL; link = next) {
        next = link->next;
        pthread_mutex_lock(&host->lock);
        if (link->owes_ready && !link->cut)
            answer_locked(host, link);
        serve_locked(host, link);
        pthread_mutex_unlock(&host->lock);
    }
}

/* Begin anew where the folder has lost this process's socket, for later peers
 * could not reach it. */
static void rejoin(struct wsk__host *host)
{
    char path[WSK__LOCAL_PATH], error[WSK__FOLDER_ERROR];
    bool left;

    wsk__member_path(path, host->folder, "", host->name, "");
    pthread_mutex_lock(&host->lock);
    left = host->left;
    pthread_mutex_unlock(&host->lock);
    if (left || (host->listener >= 0 && access(path, F_OK) == 0))
        return;
    if (host->listener >= 0)
        tell(host, WSK_LOG_WARNING,
             "bus: the folder was removed; it is made anew");
    close_member(host);
    while (host->outgoing != NULL)
        doom(host, host->outgoing);
    while (host->incoming != NULL)
        doom(host, host->incoming);
    if (!open_member(host, error)) {
        if (!host->has_complained)
            tell(host, WSK_LOG_ERROR, error);
        host->has_complained = true;
        return;
    }
    wsk__folder_scan(host->folder, found_again, host);
    host->route.events->gap(host->route.user, NULL, 0);
}

/* Do what is due, and return for how many milliseconds nothing is. */
static int keep_time(struct wsk__host *host)
{
    uint64_t now = wsk__now_ms(), until;
    char text[64];

    if (now >= host->look_ms) {
        rejoin(host);
        host->look_ms = now + LOOK_MS;
    }
    note_peers(host);
    until = host->look_ms;
    if (!host->has_told && host->n_peers > 0) {
        if (now >= host->changed_ms + SETTLE_MS) {
            snprintf(text, sizeof(text), "bus: %zu peer%s", host->n_peers,
                     host->n_peers == 1 ? "" : "s");
            tell(host, WSK_LOG_INFO, text);
            host->has_told = true;
        } else if (host->changed_ms + SETTLE_MS < until) {
            until = host->changed_ms + SETTLE_MS;
        }
    }
    for (struct wsk__link *link = host->outgoing; link != NULL;
         link = link->next)
        if (link->fd < 0 && link->retry_ms < until)
            until = link->retry_ms;
    host->due |= until <= now;
    return until > now ? (int)(until - now) : 0;
}

static void handle(struct wsk__host *host, const struct wsk__poll_event *event)
{
    host->due |= event->data == &host->wake || (event->what & WSK__WRITE) != 0;
    if (event->data == &host->wake)
        wsk__wake_clear(&host->wake);
    else if (event->data == host)
        accept_link(host);
    else if (!((struct wsk__link *)event->data)->doomed &&
             ((struct wsk__link *)event->data)->fd >= 0)
        read_link(host, event->data);
}

/* Tell wsk__host_retire() that nothing has come for QUIET_MS. */
static void settle(struct wsk__host *host)
{
    pthread_mutex_lock(&host->lock);
    atomic_store(&host->settles, false);
    pthread_cond_broadcast(&host->joined);
    pthread_mutex_unlock(&host->lock);
}

static void *work(void *arg)
{
    struct wsk__poll_event events[EVENTS];
    struct wsk__host *host = arg;

    while (!atomic_load(&host->stops)) {
        int wait_ms = keep_time(host);
        bool settles = atomic_load(&host->settles);
        size_t n = wsk__poller_wait(host->poller, events, EVENTS,
                                    settles ? QUIET_MS : wait_ms);

        if (settles && n == 0)
            settle(host);
        for (size_t i = 0; i < n && !atomic_load(&host->stops); i++)
            handle(host, &events[i]);
        if (host->due && !atomic_load(&host->stops)) {
            host->due = false;
            serve_links(host);
        }
        free_list(host->doomed);
        host->doomed = NULL;
    }
    host_unref(host);
    return NULL;
}

/* ----------------------------------------------------------------- route ---
 */

static void start(struct wsk__route *route)
{
    struct wsk__host *host = wsk__host_of(route);

    host->join_until_ms = wsk__now_ms() + JOIN_MS;
    host->look_ms = wsk__now_ms() + LOOK_MS;
    host->changed_ms = wsk__now_ms();
    wsk__folder_scan(host->folder, found_first, host);
    atomic_fetch_add(&host->refs, 1);
    host->runs = wsk__thread_make(&host->thread, work, host) == 0;
    if (host->runs)
        return;
    atomic_fetch_sub(&host->refs, 1);
    tell(host, WSK_LOG_ERROR, "bus: no thread can be made");
    close_member(host);
}

static void want(struct wsk__route *route, wsk_str topic)
{
    wsk__interest_add(&wsk__host_of(route)->interest, topic);
}

static void unwant(struct wsk__route *route, wsk_str topic)
{
    wsk__interest_remove(&wsk__host_of(route)->interest, topic);
}

/* The bit is set, so the peers see it that are linked. */
static void confirm(struct wsk__route *route, wsk_str topic)
{
    struct wsk__host *host = wsk__host_of(route);
    struct timespec until = wsk__wait_until(JOIN_MS);
    bool late = false;

    (void)topic;
    pthread_mutex_lock(&host->lock);
    while (host->n_awaited > 0 && !late && host->runs &&
           wsk__now_ms() <= host->join_until_ms)
        late = pthread_cond_timedwait(&host->joined, &host->lock, &until) != 0;
    pthread_mutex_unlock(&host->lock);
}

static void set_broker(struct wsk__route *route, bool takes)
{
    struct wsk__host *host = wsk__host_of(route);

    pthread_mutex_lock(&host->lock);
    host->has_broker = true;
    wsk__interest_set_broker(&host->interest, takes && !host->retired);
    pthread_mutex_unlock(&host->lock);
}

void wsk__host_retire(struct wsk__route *route)
{
    struct wsk__host *host = wsk__host_of(route);
    struct timespec until = wsk__wait_until(LINGER_MS);

    pthread_mutex_lock(&host->lock);
    host->retired = true;
    atomic_store(&host->settles, true);
    wsk__interest_set_broker(&host->interest, false);
    wsk__wake(&host->wake);
    while (host->runs && atomic_load(&host->settles) &&
           pthread_cond_timedwait(&host->joined, &host->lock, &until) == 0)
        continue;
    pthread_mutex_unlock(&host->lock);
}

/* Return how many bytes wait for peers that read. */
static size_t queued_locked(const struct wsk__host *host)
{
    size_t n = 0;

    for (const struct wsk__link *link = host->outgoing; link != NULL;
         link = link->next)
        if (link->fd >= 0 && !link->cut)
            n += wsk__buf_len(&link->out);
    return n;
}

/* Wait until all has left, for a peer that reads. */
static void linger(struct wsk__host *host)
{
    struct timespec until = wsk__wait_until(LINGER_MS);
    bool late = false;

    pthread_mutex_lock(&host->lock);
    while (host->runs && !late && queued_locked(host) > 0)
        late = pthread_cond_timedwait(&host->joined, &host->lock, &until) != 0;
    pthread_mutex_unlock(&host->lock);
}

void wsk__host_leave(struct wsk__route *route)
{
    struct wsk__host *host = wsk__host_of(route);

    linger(host);
    pthread_mutex_lock(&host->lock);
    host->left = true;
    wsk__member_remove(host->folder, host->name);
    pthread_mutex_unlock(&host->lock);
    if (host->made)
        rmdir(host->folder);
}

static void look(struct wsk__route *route, struct wsk__route_state *out)
{
    struct wsk__host *host = wsk__host_of(route);

    out->peers = count_linked(host);
    pthread_mutex_lock(&host->lock);
    out->bytes = queued_locked(host);
    pthread_mutex_unlock(&host->lock);
}

static void stop(struct wsk__route *route)
{
    struct wsk__host *host = wsk__host_of(route);

    if (!host->runs || !pthread_equal(host->thread, pthread_self()))
        linger(host);
    atomic_store(&host->stops, true);
    wsk__wake(&host->wake);
    if (host->runs && pthread_equal(host->thread, pthread_self()))
        pthread_detach(host->thread);
    else if (host->runs)
        pthread_join(host->thread, NULL);
    host_unref(host);
}

static const struct wsk__route_ops HOST = {
    .start = start,
    .publish = wsk__host_publish,
    .disconnect = wsk__host_disconnect,
    .set_broker = set_broker,
    .peers_have_broker = wsk__host_peers_have_broker,
    .want = want,
    .unwant = unwant,
    .confirm = confirm,
    .look = look,
    .stop = stop};

struct wsk__route *wsk__host_new(const char *folder, bool made,
                                 char error[WSK__FOLDER_ERROR])
{
    struct wsk__host *host = wsk__calloc(sizeof(*host));

    snprintf(error, WSK__FOLDER_ERROR, "bus: out of memory or descriptors");
    if (host == NULL || !wsk__interest_init(&host->interest)) {
        wsk__free(host);
        return NULL;
    }
    host->route.ops = &HOST;
    atomic_init(&host->refs, 1);
    snprintf(host->folder, sizeof(host->folder), "%s", folder);
    host->listener = -1;
    pthread_mutex_init(&host->lock, NULL);
    wsk__cond_init(&host->joined);
    list_host(host);
    host->poller = wsk__poller_new(false);
    host->wake = (struct wsk__wake){{-1, -1}};
    if (host->poller == NULL || !wsk__wake_open(&host->wake) ||
        !wsk__poller_add(host->poller, host->wake.fds[0], &host->wake, true) ||
        !open_member(host, error)) {
        host_unref(host);
        return NULL;
    }
    host->made = made;
    return &host->route;
}
