#include "net/topics/topics.h"

#include "base/mem.h"
#include "net/os/machine.h"
#include "net/topics/join.h"
#include "net/topics/publish.h"
#include "ws/deflate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOGS_SHARE = 4, /* of memory_limit, logs may have one part in so many */
};

/* -------------------------------------------------------------- events --- */

/* Take a reference for an event of a route: to release a subscriber may give
 * back the last of the others. False: there is none, and no subscriber. */
static bool hold(struct wsk_topics *topics)
{
    unsigned refs = atomic_load(&topics->refs);

    while (refs > 0)
        if (atomic_compare_exchange_weak(&topics->refs, &refs, refs + 1))
            return true;
    return false;
}

static wsk_status message_came(void *user, const struct wsk__bus_message *m)
{
    wsk_status st = WSK_OK;

    if (hold(user)) {
        st = wsk__topics_message_came(user, m);
        wsk_topics_unref(user);
    }
    return st;
}

static wsk_status disconnect_came(void *user, wsk_str topic, uint16_t code,
                                  wsk_str reason, bool relay)
{
    wsk_status st = WSK_OK;

    if (hold(user)) {
        st = wsk__topics_disconnect_came(user, topic, code, reason, relay);
        wsk_topics_unref(user);
    }
    return st;
}

static void gap_came(void *user, const wsk_str *names, size_t n)
{
    struct wsk_topics *topics = user;

    wsk__count(&topics->gaps, 1);
    pthread_mutex_lock(&topics->ears_lock);
    if (topics->on_gap != NULL)
        topics->on_gap(topics, names, n, topics->gap_user);
    pthread_mutex_unlock(&topics->ears_lock);
}

static void takes_came(void *user, bool takes)
{
    struct wsk_topics *topics = user;

    atomic_store(&topics->broker_takes, takes);
    wsk__topics_tell_broker(topics);
}

static void line_came(void *user, wsk_log_level level, const char *text)
{
    struct wsk_topics *topics = user;

    pthread_mutex_lock(&topics->ears_lock);
    if (topics->logs != NULL)
        wsk__logf(topics->logs, level, "%s", text);
    pthread_mutex_unlock(&topics->ears_lock);
}

static const struct wsk__route_events EVENTS = {
    .message = message_came,
    .disconnect = disconnect_came,
    .gap = gap_came,
    .takes = takes_came,
    .log = line_came,
};

/* ---------------------------------------------------------------- life --- */

static void release(struct wsk__topics *core)
{
    wsk_topics_unref(wsk__topics_of(core));
}

bool wsk_topic_is_valid(const char *name, size_t len)
{
    return wsk__topic_name_is_valid(name, len);
}

/* Name this process to others. */
static void name_node(struct wsk_topics *topics)
{
    wsk__random((uint8_t *)&topics->node, sizeof(topics->node));
    wsk__random((uint8_t *)&topics->mask, sizeof(topics->mask));
    topics->node |= 1; /* 0 is no name */
}

wsk_topics *wsk_topics_new(void)
{
    struct wsk_topics *topics = wsk__calloc(sizeof(*topics));
    uint64_t key[2];

    if (topics == NULL)
        return NULL;
    wsk__watch_forks();
    wsk__random((uint8_t *)key, sizeof(key));
    name_node(topics);
    wsk__topics_init(&topics->core, key);
    wsk__pump_init(&topics->pump);
    topics->events = &EVENTS;
    topics->pump.topics = &topics->core;
    topics->pump.refs = &topics->refs;
    topics->pump.release = release;
    pthread_mutex_init(&topics->join_lock, NULL);
    pthread_mutex_init(&topics->ears_lock, NULL);
    snprintf(topics->bus_option, sizeof(topics->bus_option), "off");
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

/* Those of another process stay as they are: their threads are there. */
static void stop_routes(struct wsk_topics *topics)
{
    struct wsk__route *routes[] = {atomic_load(&topics->broker),
                                   atomic_load(&topics->bus)};

    if (wsk__topics_elsewhere(topics))
        return;
    wsk__topics_watch(&topics->core, NULL);
    for (size_t i = 0; i < 2; i++)
        if (routes[i] != NULL)
            routes[i]->ops->stop(routes[i]);
}

void wsk_topics_unref(wsk_topics *topics)
{
    if (topics == NULL || atomic_fetch_sub(&topics->refs, 1) != 1)
        return;
    stop_routes(topics);
    wsk__pump_clear(&topics->pump);
    wsk__topics_clear(&topics->core);
    wsk__pool_clear(&topics->pool);
    pthread_mutex_destroy(&topics->join_lock);
    pthread_mutex_destroy(&topics->ears_lock);
    wsk__free(topics);
}

static uint32_t backlog_of(uint64_t bytes)
{
    return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

/* Use them in a forked child, which has no threads of the parent's routes. */
static void move_here(struct wsk_topics *topics)
{
    wsk__topics_watch(&topics->core, NULL);
    topics->folder[0] = '\0';
    atomic_store(&topics->bus, NULL);
    atomic_store(&topics->broker, NULL);
    atomic_store(&topics->broker_takes, false);
    name_node(topics);
    atomic_store(&topics->forks, atomic_load(&wsk__fork_count));
}

void wsk__topics_serve(struct wsk_topics *topics,
                       const struct wsk__serving *how)
{
    const wsk_server_config *cfg = how->cfg;

    if (wsk__topics_elsewhere(topics))
        move_here(topics);
    atomic_store(&topics->serves, true);
    atomic_store(&topics->message_max, cfg->topic_message_max);
    atomic_store(&topics->backlog, backlog_of(cfg->topic_backlog));
    if (cfg->memory_limit > 0)
        atomic_store(&topics->core.bytes_max,
                     (size_t)(cfg->memory_limit / LOGS_SHARE));
    atomic_store(&topics->level, how->level);
    atomic_store(&topics->threshold, how->threshold);
    pthread_mutex_lock(&topics->join_lock);
    snprintf(topics->bus_option, sizeof(topics->bus_option), "%s", cfg->bus);
    if (atomic_load(&topics->bus) == NULL)
        atomic_store(&topics->joined, false);
    pthread_mutex_unlock(&topics->join_lock);
    pthread_mutex_lock(&topics->ears_lock);
    topics->logs = how->logs;
    pthread_mutex_unlock(&topics->ears_lock);
    if (cfg->broker != NULL) /* programs of this host publish by it */
        wsk__topics_join(topics, true);
}

void wsk__topics_leave(struct wsk_topics *topics, const struct wsk__logs *logs)
{
    pthread_mutex_lock(&topics->ears_lock);
    if (topics->logs == logs)
        topics->logs = NULL;
    pthread_mutex_unlock(&topics->ears_lock);
}

void wsk_topics_on_gap(wsk_topics *topics, wsk_gap *on_gap, void *user)
{
    pthread_mutex_lock(&topics->ears_lock);
    topics->on_gap = on_gap;
    topics->gap_user = user;
    pthread_mutex_unlock(&topics->ears_lock);
}

/* ------------------------------------------------------------- numbers --- */

bool wsk_topics_may_wait(const wsk_topics *topics)
{
    return atomic_load(&topics->broker) != NULL;
}

size_t wsk_topics_count(wsk_topics *topics, const char *topic, size_t len)
{
    return wsk__topics_elsewhere(topics)
               ? 0
               : wsk__topic_count(&topics->core, (wsk_str){topic, len});
}

wsk_status wsk_topics_names(wsk_topics *topics, char **names, size_t *n)
{
    return wsk__topics_names(&topics->core, names, n);
}

static void look_at(const struct wsk_topics *topics,
                    const _Atomic(struct wsk__route *) *at,
                    struct wsk__route_state *out)
{
    struct wsk__route *route = atomic_load(at);

    if (route != NULL && !wsk__topics_elsewhere(topics))
        route->ops->look(route, out);
}

void wsk_topics_stats(wsk_topics *topics, wsk_topic_stats *out)
{
    const struct wsk__topic_counts *counts = &topics->core.counts;
    struct wsk__route_state bus = {0}, broker = {0};
    bool has_broker = atomic_load(&topics->broker) != NULL;

    look_at(topics, &topics->bus, &bus);
    look_at(topics, &topics->broker, &broker);
    *out = (wsk_topic_stats){
        .topics = atomic_load(&topics->core.n_topics),
        .subscriptions = wsk__subs_count(&topics->core.subs),
        .bytes = atomic_load(&topics->core.bytes),
        .queued = atomic_load(&topics->core.n_queued),
        .published = atomic_load(&counts->published),
        .owed = atomic_load(&counts->owed),
        .passed = atomic_load(&counts->passed),
        .sent = atomic_load(&counts->sent),
        .dropped = atomic_load(&counts->dropped),
        .unread = atomic_load(&counts->unread),
        .own = atomic_load(&topics->own),
        .failed = atomic_load(&topics->failed),
        .others = atomic_load(&topics->others),
        .gaps = atomic_load(&topics->gaps),
        .bus_peers = bus.peers,
        .bus_bytes = bus.bytes,
        .broker_up = broker.up,
        .broker_down = has_broker && !broker.up,
        .broker_bytes = broker.bytes,
        .broker_outages = broker.outages,
    };
}

void wsk__topics_measure(struct wsk_topics *topics,
                         uint64_t counters[WSK__COUNTERS],
                         uint64_t gauges[WSK__GAUGES])
{
    wsk_topic_stats n;

    wsk_topics_stats(topics, &n);
    counters[WSK__N_TOPIC_PUBLICATIONS] = n.others;
    counters[WSK__N_TOPIC_PUBLICATIONS + 1] = n.own;
    counters[WSK__N_TOPIC_FAILURES] = n.failed;
    counters[WSK__N_TOPIC_OWED] = n.owed;
    counters[WSK__N_TOPIC_COPIES] = n.passed;
    counters[WSK__N_TOPIC_COPIES + 1] = n.dropped;
    counters[WSK__N_TOPIC_COPIES + 2] = n.unread;
    counters[WSK__N_TOPIC_SENT] = n.sent;
    counters[WSK__N_TOPIC_GAPS] = n.gaps;
    counters[WSK__N_BROKER_OUTAGES] = n.broker_outages;
    gauges[WSK__G_TOPICS] = n.topics;
    gauges[WSK__G_SUBSCRIPTIONS] = n.subscriptions;
    gauges[WSK__G_TOPIC_BYTES] = n.bytes;
    gauges[WSK__G_TOPIC_QUEUE] = n.queued;
    gauges[WSK__G_BUS_PEERS] = n.bus_peers;
    gauges[WSK__G_BUS_BYTES] = n.bus_bytes;
    gauges[WSK__G_BROKER] = n.broker_up;
    gauges[WSK__G_BROKER + 1] = n.broker_down;
    gauges[WSK__G_BROKER_BYTES] = n.broker_bytes;
}
