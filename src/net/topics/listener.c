#include "base/mem.h"
#include "net/dispatch/calls.h"
#include "net/dispatch/thread.h"
#include "net/os/clock.h"
#include "net/topics/join.h"
#include "net/topics/topics.h"
#include "topic/pull.h"
#include "ws/frame.h"
#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct wsk_listener {
    struct wsk__subscriber s; /* first */
    atomic_uint refs;
    struct wsk_topics *topics; /* a reference */
    pthread_mutex_t lock;
    pthread_cond_t came;
    bool lapsed; /* messages are gone, and the program was not told */
    bool closed;
};

static struct wsk_listener *listener_of(struct wsk__subscriber *s)
{
    return WSK__OWNER(s, struct wsk_listener, s);
}

static void hold(struct wsk__subscriber *s)
{
    atomic_fetch_add(&listener_of(s)->refs, 1);
}

static void release(struct wsk__subscriber *s)
{
    struct wsk_listener *listener = listener_of(s);

    if (atomic_fetch_sub(&listener->refs, 1) != 1)
        return;
    pthread_cond_destroy(&listener->came);
    pthread_mutex_destroy(&listener->lock);
    wsk_topics_unref(listener->topics);
    wsk__free(listener);
}

/* Collect at most `max`; a lag is noted, and overcome. */
static void pull_locked(struct wsk_listener *listener, struct wsk__pull *pull,
                        size_t max)
{
    struct wsk__topics *t = &listener->topics->core;

    if (wsk__pull(t, &listener->s, pull, max))
        return;
    listener->lapsed = true;
    wsk__topic_set_policy(t, &listener->s, WSK__TOPIC_DROP);
    wsk__pull(t, &listener->s, pull, max);
    wsk__topic_set_policy(t, &listener->s, WSK__TOPIC_CLOSE);
}

/* Look for a lag, and wake the thread that waits. */
static void offer(struct wsk__subscriber *s)
{
    struct wsk_listener *listener = listener_of(s);
    struct wsk__pull pull;

    pthread_mutex_lock(&listener->lock);
    if (!listener->closed) {
        pull_locked(listener, &pull, 0);
        wsk__pulled(&listener->topics->core, s, &pull, 0);
        pthread_cond_broadcast(&listener->came);
    }
    pthread_mutex_unlock(&listener->lock);
}

/* A listener outlives wsk_topics_disconnect(), which is about clients. */
static void stay(struct wsk__subscriber *s, uint16_t code, wsk_str reason)
{
    (void)s;
    (void)code;
    (void)reason;
}

static const struct wsk__subscriber_ops LISTENER = {
    .hold = hold, .offer = offer, .close = stay, .release = release};

static struct wsk_listener *listener_new(struct wsk_topics *topics)
{
    struct wsk_listener *listener = wsk__calloc(sizeof(*listener));

    if (listener == NULL)
        return NULL;
    listener->s.ops = &LISTENER;
    listener->s.owner = listener;
    listener->topics = wsk_topics_ref(topics);
    atomic_init(&listener->refs, 1);
    pthread_mutex_init(&listener->lock, NULL);
    wsk__cond_init(&listener->came);
    return listener;
}

/* Return true if others have a broker, by which alone their publications come.
 */
static bool lacks_broker(const struct wsk_topics *topics)
{
    struct wsk__route *route = wsk__topics_route(topics);

    return route != NULL && route->ops->peers_have_broker != NULL &&
           route->ops->peers_have_broker(route);
}

wsk_status wsk_topics_listen(wsk_topics *topics, const wsk_str *names, size_t n,
                             wsk_listener **out)
{
    struct wsk_listener *listener;
    wsk_status st = WSK_OK;

    *out = NULL;
    for (size_t i = 0; i < n; i++)
        if (!wsk__topic_name_is_valid(names[i].p, names[i].len))
            return WSK_E_ARG;
    if (wsk__topics_elsewhere(topics))
        return WSK_E_CLOSED;
    listener = listener_new(topics);
    if (listener == NULL)
        return WSK_E_NOMEM;
    wsk__topics_join(topics, true);
    pthread_mutex_lock(&listener->lock);
    for (size_t i = 0; i < n && st == WSK_OK; i++) {
        struct wsk__subscribing how = {
            .policy = WSK__TOPIC_CLOSE,
            .backlog = (uint32_t)atomic_load(&topics->backlog),
            .max = UINT32_MAX};

        st = wsk__topic_subscribe(&topics->core, &listener->s, names[i], &how);
    }
    pthread_mutex_unlock(&listener->lock);
    for (size_t i = 0; i < n && st == WSK_OK; i++)
        wsk__topics_confirm(topics, names[i]);
    if (st == WSK_OK && lacks_broker(topics))
        st = WSK_E_AGAIN;
    if (st == WSK_OK)
        *out = listener;
    else
        wsk_listener_free(listener);
    return st;
}

static wsk_status copy(const struct wsk__publication *p, wsk_message *msg)
{
    size_t len = wsk__frame_payload(p->octets, p->len);

    msg->block = wsk__memdup(p->octets + p->len - len, len);
    if (msg->block == NULL)
        return WSK_E_NOMEM;
    msg->data = msg->block;
    msg->len = len;
    msg->opcode = (wsk_opcode)(p->octets[0] & 0xf);
    return WSK_OK;
}

/* Take the next message; WSK_E_TIMEOUT: there is none yet. */
static wsk_status take_locked(struct wsk_listener *listener, wsk_message *msg)
{
    struct wsk__topics *t = &listener->topics->core;
    struct wsk__pull pull;
    wsk_status st = WSK_E_TIMEOUT;

    if (listener->closed)
        return WSK_E_CLOSED;
    if (!listener->lapsed && wsk__pull_is_due(t, &listener->s)) {
        pull_locked(listener, &pull, 1);
        if (!listener->lapsed && pull.n > 0)
            st = copy(pull.some[0], msg);
        wsk__pulled(t, &listener->s, &pull,
                    st == WSK_OK || pull.n == 0 ? pull.n : 0);
    }
    if (listener->lapsed)
        st = WSK_E_AGAIN;
    listener->lapsed = false;
    return st;
}

static wsk_status wait_locked(struct wsk_listener *listener, int timeout_ms,
                              wsk_message *msg)
{
    struct timespec until =
        wsk__wait_until(timeout_ms < 0 ? 0 : (unsigned)timeout_ms);
    wsk_status st;
    bool late = false;

    while ((st = take_locked(listener, msg)) == WSK_E_TIMEOUT && !late) {
        if (timeout_ms < 0)
            pthread_cond_wait(&listener->came, &listener->lock);
        else
            late = pthread_cond_timedwait(&listener->came, &listener->lock,
                                          &until) != 0;
    }
    return st;
}

wsk_status wsk_listener_next(wsk_listener *listener, int timeout_ms,
                             wsk_message *msg)
{
    struct wsk__thread *th = wsk__self;
    wsk_status st;

    *msg = (wsk_message){.opcode = WSK_BINARY};
    if (wsk__topics_elsewhere(listener->topics))
        return WSK_E_CLOSED;
    pthread_mutex_lock(&listener->lock);
    st = take_locked(listener, msg);
    pthread_mutex_unlock(&listener->lock);
    if (st != WSK_E_TIMEOUT || timeout_ms == 0)
        return st;
    if (th != NULL && !th->in_call)
        th = NULL;
    if (th != NULL)
        wsk__call_park(th);
    pthread_mutex_lock(&listener->lock);
    st = wait_locked(listener, timeout_ms, msg);
    pthread_mutex_unlock(&listener->lock);
    if (th != NULL)
        wsk__call_unpark(th);
    return st;
}

void wsk_listener_close(wsk_listener *listener)
{
    if (wsk__topics_elsewhere(listener->topics))
        return;
    pthread_mutex_lock(&listener->lock);
    listener->closed = true;
    wsk__topic_leave(&listener->topics->core, &listener->s);
    pthread_cond_broadcast(&listener->came);
    pthread_mutex_unlock(&listener->lock);
}

void wsk_listener_free(wsk_listener *listener)
{
    if (listener == NULL || wsk__topics_elsewhere(listener->topics))
        return;
    wsk_listener_close(listener);
    release(&listener->s);
}
