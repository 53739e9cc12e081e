#include "net/broker/redis.h"

#include "base/broker_url.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "broker/session.h"
#include "net/broker/link.h"
#include "net/broker/sentinel.h"
#include "net/broker/tls.h"
#include "net/os/clock.h"
#include "net/os/machine.h"
#include "net/os/poller.h"
#include "net/os/process.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    SHOWN = 200,        /* bytes of a URL for people */
    PLACES = 8,         /* addresses of one name */
    FEED = 16384,       /* bytes that the parser gets at once */
    LINGER_MS = 2000,   /* until UNSUBSCRIBE is sent */
    FIRST_WAIT_MS = 50, /* before the second attempt to connect */
    LAST_WAIT_MS = 600, /* and half as much more: within a second */
    STEADY_MS = 1000,   /* up for so long, the next loss begins anew */
    FLUSH_MS = 2000,    /* limit of flush() */
    READS_MAX = 4096,   /* of a connection that is to be dropped */
    FEW = 8,            /* topics of one publication that need no memory */
};

struct wsk__redis {
    struct wsk__route route; /* first */
    atomic_uint refs;        /* the route's, and the thread's */
    struct wsk__broker_url url;
    char *given; /* the text of the URL */
    char prefix[WSK__SESSION_PREFIX_MAX + 1], shown[SHOWN];
    struct wsk__session_config cfg;
    bool fails_down;
    pthread_t thread;
    struct wsk__wake wake;

    pthread_mutex_t lock;
    pthread_cond_t moved;                     /* waiting threads look again */
    struct wsk__session session;              /* lock */
    bool started, stopping, ended, resolving; /* lock */
    bool asleep;      /* lock: the thread has to be woken */
    bool down;        /* lock: an attempt has failed since it was up */
    bool has_refused; /* lock: Redis has refused the first attempt */
    uint64_t stop_ms; /* lock: when stop() was called */
    unsigned waiting; /* lock: threads that wait for `moved` */
    uint64_t outages; /* lock: times that it was lost */
    size_t leaving;   /* lock: bytes in `sending` when the thread looked last */
    char why[WSK__SESSION_WHY_MAX]; /* lock: of the last failure */

    /* The thread's. */
    struct wsk__stream link[WSK__LINKS];
    struct wsk__buf sending[WSK__LINKS];
    struct wsk__buf
        gap;           /* names of a gap, each behind an octet of its length */
    unsigned attempts; /* since it was up for long */
    uint64_t up_ms, down_ms;
    bool was_up, told_down;
    bool orphaned; /* stop() was called by an event: none may follow */
    uint8_t octets[WSK__STREAM_ROOM];
};

static struct wsk__redis *of(struct wsk__route *route)
{
    return (struct wsk__redis *)(void *)route;
}

static void unref(struct wsk__redis *r)
{
    if (atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    wsk__session_clear(&r->session);
    for (int i = 0; i < WSK__LINKS; i++) {
        wsk__broker_close(&r->link[i]);
        wsk__buf_free(&r->sending[i]);
    }
    wsk__buf_free(&r->gap);
    wsk__wake_close(&r->wake);
    pthread_cond_destroy(&r->moved);
    pthread_mutex_destroy(&r->lock);
    wsk__free(r->given);
    wsk__free(r);
}

/* ------------------------------------------------------------ the lock --- */

static void tell_moved_locked(struct wsk__redis *r)
{
    if (r->waiting > 0)
        pthread_cond_broadcast(&r->moved);
}

/* Wait until `moved`, or a moment. False: the time is up. */
static bool wait_locked(struct wsk__redis *r, const struct timespec *until)
{
    int failed;

    r->waiting++;
    failed = pthread_cond_timedwait(&r->moved, &r->lock, until);
    r->waiting--;
    return failed == 0;
}

/* Return true if the thread has to be woken, behind the lock. */
static bool must_wake_locked(struct wsk__redis *r)
{
    bool asleep = r->asleep;

    r->asleep = false;
    return asleep;
}

static void unlock_and_wake(struct wsk__redis *r)
{
    bool wakes = must_wake_locked(r);

    pthread_mutex_unlock(&r->lock);
    if (wakes)
        wsk__wake(&r->wake);
}

static bool is_stopping(struct wsk__redis *r)
{
    bool stopping;

    pthread_mutex_lock(&r->lock);
    stopping = r->stopping;
    pthread_mutex_unlock(&r->lock);
    return stopping;
}

/* --------------------------------------------------- events of a session ---
 */

static void say(struct wsk__redis *r, wsk_log_level level, const char *text)
{
    if (!r->orphaned)
        r->route.events->log(r->route.user, level, text);
}

/* Give a message to the subscribers of this process. */
static void deliver(struct wsk__redis *r, const struct wsk__session_event *ev)
{
    const struct wsk__envelope *e = &ev->envelope;
    const uint8_t *data = (const uint8_t *)e->message.p;
    bool is_binary = e->kind == WSK__ENVELOPE_NONE
                         ? !wsk__utf8_valid(data, e->message.len)
                         : (e->flags & WSK__ENVELOPE_BINARY) != 0;
    wsk_str few[FEW], *names = few, rest = e->names;
    struct wsk__bus_message m = {
        .opcode = is_binary ? WSK_BINARY : WSK_TEXT,
        .plain = (e->flags & WSK__ENVELOPE_PLAIN) != 0,
        .data = data,
        .len = e->message.len,
        .node = e->origin,
        .except = e->except,
    };

    if (e->n_names > FEW)
        names = wsk__alloc(e->n_names * sizeof(*names));
    if (names == NULL) {
        names = few; /* at least those of the channel */
        rest.len = 0;
    }
    while (wsk__envelope_next_name(&rest, &names[m.n_topics]))
        m.n_topics++;
    if (m.n_topics == 0)
        names[m.n_topics++] = ev->topic;
    m.topics = names;
    if (r->route.events->message(r->route.user, &m) == WSK_E_NOMEM)
        say(r, WSK_LOG_ERROR, "broker: out of memory, a message is lost");
    if (names != few)
        wsk__free(names);
}

static void take_message(struct wsk__redis *r,
                         const struct wsk__session_event *ev)
{
    wsk_str message = ev->envelope.message;

    if (r->orphaned)
        return;
    if (ev->envelope.kind != WSK__ENVELOPE_DISCONNECT)
        deliver(r, ev);
    else if (ev->envelope.origin != r->cfg.node)
        r->route.events->disconnect(
            r->route.user, ev->topic, (uint16_t)wsk__octets_read(message.p, 2),
            (wsk_str){message.p + 2, message.len - 2}, false);
}

static void tell_takes(struct wsk__redis *r, bool takes)
{
    if (!r->orphaned && r->route.events->takes != NULL)
        r->route.events->takes(r->route.user, takes);
}

static void tell_up(struct wsk__redis *r, uint64_t now_ms)
{
    char text[WSK__REDIS_WHY];
    uint64_t away = now_ms - r->down_ms;

    if (r->was_up || r->told_down)
        snprintf(text, sizeof text, "broker: up again, after %llu.%llu s",
                 (unsigned long long)(away / 1000),
                 (unsigned long long)(away % 1000 / 100));
    else
        snprintf(text, sizeof text, "broker: connected to %s", r->shown);
    say(r, WSK_LOG_INFO, text);
    tell_takes(r, true);
    r->was_up = true;
    r->told_down = false;
    r->up_ms = now_ms;
}

static void tell_down(struct wsk__redis *r, const char *why)
{
    char text[1024];

    if (r->told_down)
        return;
    r->told_down = true;
    snprintf(text, sizeof text, "broker: %s is down: %s; %s until it is back",
             r->shown, why,
             r->fails_down
                 ? "publications reach nobody"
                 : "publications reach the subscribers of this process only");
    say(r, WSK_LOG_WARNING, text);
}

static void note_gap(struct wsk__redis *r, wsk_str topic)
{
    uint8_t len = (uint8_t)topic.len;

    if (wsk__buf_put(&r->gap, &len, 1))
        wsk__buf_put(&r->gap, topic.p, topic.len);
}

/* Tell the gap that was noted, of all topics where memory is out. */
static void tell_gap(struct wsk__redis *r)
{
    wsk_str *names, name, rest = {NULL, wsk__buf_len(&r->gap)};
    size_t n = 0;

    if (rest.len == 0)
        return;
    rest.p = (const char *)wsk__buf_data(&r->gap);
    names = wsk__alloc(rest.len / 2 * sizeof(*names));
    while (names != NULL && wsk__envelope_next_name(&rest, &name))
        names[n++] = name;
    if (!r->orphaned)
        r->route.events->gap(r->route.user, names, n);
    wsk__free(names);
    wsk__buf_ack(&r->gap, wsk__buf_len(&r->gap));
}

/* Get the next event. */
static enum wsk__session_what next_event(struct wsk__redis *r, uint64_t now_ms,
                                         struct wsk__session_event *ev)
{
    pthread_mutex_lock(&r->lock);
    wsk__session_next(&r->session, now_ms, ev);
    if (ev->what == WSK__SESSION_GAP)
        note_gap(r, ev->topic); /* the name lives while the lock is held */
    if (ev->what == WSK__SESSION_IS_UP)
        r->down = false;
    if (ev->what == WSK__SESSION_CONFIRMED || ev->what == WSK__SESSION_IS_UP ||
        ev->what == WSK__SESSION_NOTHING) /* all answers were taken */
        tell_moved_locked(r);
    pthread_mutex_unlock(&r->lock);
    return ev->what;
}

/* Tell what there is to be told. False: the session has failed. */
static bool take_events(struct wsk__redis *r, uint64_t now_ms)
{
    struct wsk__session_event ev;

    for (;;) {
        switch (next_event(r, now_ms, &ev)) {
        case WSK__SESSION_NOTHING:
            tell_gap(r);
            return true;
        case WSK__SESSION_CONFIRMED:
        case WSK__SESSION_GAP:
            break;
        case WSK__SESSION_MESSAGE:
            tell_gap(r);
            take_message(r, &ev);
            break;
        case WSK__SESSION_IS_UP:
            tell_up(r, now_ms);
            break;
        case WSK__SESSION_FAILED:
            return false;
        }
    }
}

/* -------------------------------------------------------- connections --- */

static void fail_session(struct wsk__redis *r, const char *why)
{
    pthread_mutex_lock(&r->lock);
    wsk__session_fail(&r->session, why);
    pthread_mutex_unlock(&r->lock);
}

/* Read what has come on a connection, and tell it. Returns false at its end, or
 * once nothing more has come. */
static bool read_link(struct wsk__redis *r, enum wsk__link_kind kind)
{
    ssize_t n = wsk__stream_recv(&r->link[kind], r->octets, sizeof r->octets);
    uint64_t now_ms = wsk__now_ms();
    bool fed = true;

    if (n < 0 && wsk__stream_is_full())
        return false;
    if (n <= 0 || r->session.phase == WSK__SESSION_DOWN) {
        fail_session(r, n == 0 ? "Redis has closed the connection"
                               : "the connection has broken");
        return false;
    }
    for (size_t at = 0, some; at < (size_t)n && fed; at += some) {
        some = (size_t)n - at < FEED ? (size_t)n - at : FEED;
        pthread_mutex_lock(&r->lock);
        fed =
            wsk__session_feed(&r->session, kind, r->octets + at, some, now_ms);
        pthread_mutex_unlock(&r->lock);
        if (!fed)
            fail_session(r, "out of memory");
        take_events(r, now_ms);
    }
    return true;
}

static void send_link(struct wsk__redis *r, enum wsk__link_kind kind)
{
    struct wsk__buf *out = &r->sending[kind];

    while (wsk__buf_len(out) > 0) {
        ssize_t n = wsk__stream_send(&r->link[kind], wsk__buf_data(out),
                                     wsk__buf_len(out), false);

        if (n <= 0) {
            if (!wsk__stream_is_full())
                fail_session(r, "the connection has broken");
            return;
        }
        wsk__buf_ack(out, (size_t)n);
    }
}

/* Take what is to be sent. */
static void take_out_locked(struct wsk__redis *r)
{
    r->leaving = 0;
    for (int i = 0; i < WSK__LINKS; i++) {
        struct wsk__buf *out = &r->session.link[i].out;

        if (wsk__buf_len(&r->sending[i]) == 0 && wsk__buf_len(out) > 0) {
            struct wsk__buf empty = r->sending[i];

            empty.cap = out->cap;
            r->sending[i] = *out;
            *out = empty;
            tell_moved_locked(r);
        }
        r->leaving += wsk__buf_len(&r->sending[i]);
    }
}

static void sleep_until(struct wsk__redis *r, uint64_t due_ms, uint64_t now_ms)
{
    struct wsk__dial_wait waits[3] = {
        {r->wake.fds[0], WSK__READ, 0},
    };
    uint64_t ms = due_ms > now_ms ? due_ms - now_ms : 0;

    for (int i = 0; i < WSK__LINKS; i++)
        waits[1 + i] = (struct wsk__dial_wait){
            r->link[i].fd,
            WSK__READ |
                (wsk__buf_len(&r->sending[i]) > 0 ? (unsigned)WSK__WRITE : 0u),
            0};
    wsk__dial_wait(waits, 3, ms < 60000 ? (int)ms : 60000);
    if (waits[0].got != 0)
        wsk__wake_clear(&r->wake);
    for (int i = 0; i < WSK__LINKS; i++)
        if (waits[1 + i].got & WSK__READ)
            read_link(r, (enum wsk__link_kind)i);
}

/* Return true if Redis has answered all that was published, or will not. */
static bool has_said_all_locked(struct wsk__redis *r, uint64_t now_ms)
{
    const struct wsk__buf *owed = &r->session.link[WSK__LINK_PUBLISH].owed;

    return r->session.phase != WSK__SESSION_UP || wsk__buf_len(owed) == 0 ||
           now_ms >= r->stop_ms + r->cfg.timeout_ms;
}

/* Speak with Redis until something fails, or the end. */
static void speak(struct wsk__redis *r)
{
    for (;;) {
        uint64_t now_ms = wsk__now_ms(), due_ms;
        bool ends;

        pthread_mutex_lock(&r->lock);
        wsk__session_tick(&r->session, now_ms);
        pthread_mutex_unlock(&r->lock);
        if (!take_events(r, now_ms))
            return;
        pthread_mutex_lock(&r->lock);
        take_out_locked(r);
        due_ms = wsk__session_due(&r->session);
        if (r->stopping)
            due_ms = now_ms + FIRST_WAIT_MS;
        r->asleep = true;
        ends = r->stopping && has_said_all_locked(r, now_ms);
        pthread_mutex_unlock(&r->lock);
        for (int i = 0; i < WSK__LINKS; i++)
            send_link(r, (enum wsk__link_kind)i);
        if (ends)
            return;
        sleep_until(r, due_ms, now_ms);
    }
}

/* Look up a name, which may take long: stop() does not wait for that. */
static size_t resolve(struct wsk__redis *r, const char *host, unsigned port,
                      struct wsk__dial_place *places, char why[WSK__LINK_WHY])
{
    const char *reason = "";
    size_t n;

    pthread_mutex_lock(&r->lock);
    r->resolving = true;
    tell_moved_locked(r);
    pthread_mutex_unlock(&r->lock);
    n = wsk__dial_resolve(host, port, places, PLACES, &reason);
    pthread_mutex_lock(&r->lock);
    r->resolving = false;
    pthread_mutex_unlock(&r->lock);
    if (n == 0)
        snprintf(why, WSK__LINK_WHY, "%s: %s", host, reason);
    return n;
}

/* Ask the Sentinels in turn. */
static bool find_master(struct wsk__redis *r,
                        const struct wsk__broker_opening *how, char master[256],
                        unsigned *port, char why[WSK__LINK_WHY])
{
    const char *at = r->url.hosts;
    struct wsk__dial_place places[PLACES];
    struct wsk__broker_opening there = *how;
    char host[256];

    there.host = host;
    while (!is_stopping(r) && wsk__broker_url_host(&r->url, &at, host, port)) {
        size_t n = resolve(r, host, *port, places, why);

        if (n > 0 &&
            wsk__sentinel_ask(&r->url, places, n, &there, master, port, why))
            return true;
    }
    return false;
}

/* Find the places where Redis may be. */
static size_t find_places(struct wsk__redis *r,
                          const struct wsk__broker_opening *how,
                          struct wsk__dial_place *places, char host[256],
                          char why[WSK__LINK_WHY])
{
    const char *at = r->url.hosts;
    unsigned port;

    switch (r->url.kind) {
    case WSK__BROKER_UNIX:
        if (wsk__dial_unix(r->url.hosts, places))
            return 1;
        snprintf(why, WSK__LINK_WHY, "the path of the socket is too long");
        return 0;
    case WSK__BROKER_SENTINEL:
        if (!find_master(r, how, host, &port, why))
            return 0;
        break;
    case WSK__BROKER_REDIS:
        if (!wsk__broker_url_host(&r->url, &at, host, &port))
            return 0;
        break;
    }
    return resolve(r, host, port, places, why);
}

/* Open both connections, to one address. */
static bool open_links(struct wsk__redis *r, char why[WSK__LINK_WHY])
{
    struct wsk__dial_place places[PLACES];
    char host[256] = "";
    struct wsk__broker_opening how = {.wake = &r->wake,
                                      .timeout_ms = r->cfg.timeout_ms,
                                      .silence_ms = 2 * r->cfg.probe_ms,
                                      .url = &r->url,
                                      .host = host};
    size_t n = find_places(r, &how, places, host, why);

    for (size_t i = 0; i < n && !is_stopping(r); i++) {
        if (!wsk__broker_open(&r->link[WSK__LINK_SUBSCRIBE], &places[i], &how,
                              why))
            continue;
        if (wsk__broker_open(&r->link[WSK__LINK_PUBLISH], &places[i], &how,
                             why))
            return true;
        wsk__broker_close(&r->link[WSK__LINK_SUBSCRIBE]);
    }
    return false;
}

/* ----------------------------------------------------------- the thread --- */

/* Both connections are at their end: nothing of them comes any more, so what
 * is said in this process from now on overtakes nothing. */
static void drop_links(struct wsk__redis *r)
{
    for (int i = 0; i < READS_MAX && read_link(r, WSK__LINK_SUBSCRIBE); i++)
        continue;
    for (int i = 0; i < WSK__LINKS; i++) {
        wsk__broker_close(&r->link[i]);
        wsk__buf_free(&r->sending[i]);
    }
}

/* Be down, for a reason. `denied`: Redis refuses us. */
static void be_down(struct wsk__redis *r, const char *why, bool denied)
{
    pthread_mutex_lock(&r->lock);
    r->has_refused |= denied && !r->was_up;
    snprintf(r->why, sizeof r->why, "%s", why);
    r->down = true;
    r->outages += r->session.phase == WSK__SESSION_UP;
    if (r->session.phase != WSK__SESSION_DOWN)
        wsk__session_lost(&r->session);
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->lock);
}

/* Let only stop() wake the thread, which looks at `stopping` next. */
static void stay_awake(struct wsk__redis *r)
{
    pthread_mutex_lock(&r->lock);
    r->asleep = false;
    pthread_mutex_unlock(&r->lock);
    wsk__wake_clear(&r->wake);
}

/* Connect, and speak until that fails. */
static void attempt(struct wsk__redis *r)
{
    char why[WSK__SESSION_WHY_MAX] = "it cannot be reached";
    bool begun = false, denied = false;

    stay_awake(r);
    if (open_links(r, why)) {
        pthread_mutex_lock(&r->lock);
        begun = wsk__session_begin(&r->session, wsk__now_ms());
        pthread_mutex_unlock(&r->lock);
        if (begun)
            speak(r);
        pthread_mutex_lock(&r->lock);
        if (r->session.failed) {
            memcpy(why, r->session.why, sizeof why);
            denied = r->session.denied;
        }
        pthread_mutex_unlock(&r->lock);
        drop_links(r);
    }
    if (is_stopping(r))
        return;
    if (r->session.phase == WSK__SESSION_UP) {
        r->down_ms = wsk__now_ms();
        tell_takes(r, false);
        if (r->down_ms - r->up_ms >= STEADY_MS)
            r->attempts = 0;
    }
    tell_down(r, why);
    be_down(r, why, denied);
}

/* Wait before the next attempt: not at all, 50 ms, 100 ms ... 600 ms, each
 * longer or shorter by up to a half. */
static void back_off(struct wsk__redis *r)
{
    unsigned ms = FIRST_WAIT_MS;
    struct timespec until;
    uint16_t dice = 0;

    if (r->attempts++ == 0)
        return;
    for (unsigned i = 2; i < r->attempts && ms < LAST_WAIT_MS; i++)
        ms *= 2;
    ms = ms < LAST_WAIT_MS ? ms : LAST_WAIT_MS;
    wsk__random((uint8_t *)&dice, sizeof dice);
    until = wsk__wait_until(ms / 2 + ms * dice / UINT16_MAX);
    pthread_mutex_lock(&r->lock);
    while (!r->stopping && wait_locked(r, &until))
        continue;
    pthread_mutex_unlock(&r->lock);
}

static void *work(void *arg)
{
    struct wsk__redis *r = arg;

    r->down_ms = wsk__now_ms();
    while (!is_stopping(r)) {
        attempt(r);
        back_off(r);
    }
    if (r->url.tls)
        wsk__tls_leave_thread();
    pthread_mutex_lock(&r->lock);
    r->ended = true;
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->lock);
    unref(r);
    return NULL;
}

/* --------------------------------------------------------- of the route --- */

static void start(struct wsk__route *route)
{
    struct wsk__redis *r = of(route);
    int failed;

    atomic_fetch_add(&r->refs, 1);
    pthread_mutex_lock(&r->lock);
    failed = wsk__thread_make(&r->thread, work, r);
    r->started = failed == 0;
    r->ended = r->down = failed != 0;
    pthread_mutex_unlock(&r->lock);
    if (failed) {
        unref(r);
        say(r, WSK_LOG_ERROR, "broker: no thread can be made");
    } else {
        pthread_detach(r->thread);
    }
}

/* Wait while the session is failing, whose end is being read. */
static wsk_status hand_over(struct wsk__redis *r, const wsk_str *topics,
                            size_t n, const struct wsk__envelope *e)
{
    struct timespec until = wsk__wait_until(r->cfg.timeout_ms);
    wsk_status st;

    pthread_mutex_lock(&r->lock);
    for (;;) {
        st = r->session.failed ? WSK_E_AGAIN
                               : wsk__session_publish(&r->session, topics, n, e,
                                                      wsk__now_ms());
        if (st != WSK_E_AGAIN || r->stopping || !wait_locked(r, &until))
            break;
    }
    unlock_and_wake(r);
    return st;
}

static wsk_status publish(struct wsk__route *route,
                          const struct wsk__bus_message *m)
{
    struct wsk__redis *r = of(route);
    struct wsk__envelope e = {
        .kind = WSK__ENVELOPE_MESSAGE,
        .flags =
            (uint8_t)((m->opcode == WSK_BINARY ? WSK__ENVELOPE_BINARY : 0) |
                      (m->plain ? WSK__ENVELOPE_PLAIN : 0)),
        .origin = m->node,
        .except = m->except,
        .message = {(const char *)m->data, m->len},
    };
    wsk_status st = hand_over(r, m->topics, m->n_topics, &e);

    if (st != WSK_E_CLOSED)
        return st;
    if (!r->fails_down)
        route->events->message(route->user, m);
    return WSK_E_AGAIN;
}

static wsk_status disconnect(struct wsk__route *route, wsk_str topic,
                             uint16_t code, wsk_str reason)
{
    struct wsk__redis *r = of(route);
    uint8_t octets[2 + 123];
    struct wsk__envelope e = {
        .kind = WSK__ENVELOPE_DISCONNECT,
        .origin = r->cfg.node,
        .message = {(const char *)octets, 2 + reason.len}};
    wsk_status st;

    if (reason.len > sizeof octets - 2)
        return WSK_E_ARG;
    wsk__octets_write(octets, code, 2);
    if (reason.len > 0)
        memcpy(octets + 2, reason.p, reason.len);
    st = hand_over(r, &topic, 1, &e);
    return st == WSK_E_CLOSED ? WSK_E_AGAIN : st;
}

static void want(struct wsk__route *route, wsk_str topic)
{
    struct wsk__redis *r = of(route);

    pthread_mutex_lock(&r->lock);
    if (wsk__session_want(&r->session, topic) != WSK_OK)
        wsk__session_fail(&r->session, "out of memory");
    unlock_and_wake(r);
}

static void unwant(struct wsk__route *route, wsk_str topic)
{
    struct wsk__redis *r = of(route);

    pthread_mutex_lock(&r->lock);
    wsk__session_unwant(&r->session, topic, wsk__now_ms());
    pthread_mutex_unlock(&r->lock);
}

static void confirm(struct wsk__route *route, wsk_str topic)
{
    struct wsk__redis *r = of(route);
    const struct wsk__wanted *in = &r->session.interest;
    struct timespec until = wsk__wait_until(r->cfg.timeout_ms);

    pthread_mutex_lock(&r->lock);
    while (!r->stopping && !r->down && wsk__wanted_is_wanted(in, topic) &&
           !wsk__wanted_is_confirmed(in, topic) && wait_locked(r, &until))
        continue;
    if (!wsk__wanted_is_confirmed(in, topic))
        wsk__wanted_doubt(&r->session.interest, topic, UINT64_MAX);
    pthread_mutex_unlock(&r->lock);
}

static void flush(struct wsk__route *route)
{
    struct wsk__redis *r = of(route);
    const struct wsk__buf *owed = &r->session.link[WSK__LINK_PUBLISH].owed;
    struct timespec until = wsk__wait_until(FLUSH_MS);

    pthread_mutex_lock(&r->lock);
    while (r->session.phase == WSK__SESSION_UP && wsk__buf_len(owed) > 0 &&
           wait_locked(r, &until))
        continue;
    pthread_mutex_unlock(&r->lock);
}

static void look(struct wsk__route *route, struct wsk__route_state *out)
{
    struct wsk__redis *r = of(route);

    pthread_mutex_lock(&r->lock);
    out->up = r->session.phase == WSK__SESSION_UP;
    out->outages = r->outages;
    out->bytes = r->leaving;
    for (int i = 0; i < WSK__LINKS; i++)
        out->bytes += wsk__buf_len(&r->session.link[i].out);
    pthread_mutex_unlock(&r->lock);
}

static void stop(struct wsk__route *route)
{
    struct wsk__redis *r = of(route);
    struct timespec until;
    bool is_ours;

    pthread_mutex_lock(&r->lock);
    is_ours = r->started && pthread_equal(pthread_self(), r->thread);
    if (is_ours)
        r->orphaned = true;
    r->stopping = true;
    r->stop_ms = wsk__now_ms();
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->lock);
    wsk__wake(&r->wake);
    pthread_mutex_lock(&r->lock);
    while (r->started && !r->ended && !r->resolving && !is_ours) {
        until = wsk__wait_until(1000);
        wait_locked(r, &until);
    }
    pthread_mutex_unlock(&r->lock);
    unref(r);
}

static const struct wsk__route_ops REDIS = {
    .returns = true,
    .start = start,
    .publish = publish,
    .disconnect = disconnect,
    .want = want,
    .unwant = unwant,
    .confirm = confirm,
    .flush = flush,
    .look = look,
    .stop = stop,
};

bool wsk__redis_is_at(struct wsk__route *route,
                      const struct wsk__redis_config *cfg)
{
    const struct wsk__redis *r = of(route);

    return strcmp(r->given, cfg->url) == 0 &&
           strcmp(r->prefix, cfg->prefix) == 0;
}

bool wsk__redis_await(struct wsk__route *route, char why[WSK__REDIS_WHY])
{
    struct wsk__redis *r = of(route);
    struct timespec until = wsk__wait_until(r->cfg.timeout_ms);
    bool refused;

    pthread_mutex_lock(&r->lock);
    while (r->session.phase != WSK__SESSION_UP && !r->down &&
           wait_locked(r, &until))
        continue;
    refused = r->has_refused;
    if (refused)
        snprintf(why, WSK__REDIS_WHY, "%s: %s", r->shown, r->why);
    pthread_mutex_unlock(&r->lock);
    return !refused;
}

/* Read what is fixed of the configuration. False with a sentence. */
static bool configure(struct wsk__redis *r, const struct wsk__redis_config *cfg,
                      char why[WSK__REDIS_WHY])
{
    const char *fault = wsk__broker_url_read(&r->url, cfg->url);
    struct wsk__tls_fault of_tls;
    struct wsk__tls *trial; /* of the files */

    if (fault == NULL && strlen(cfg->prefix) > WSK__SESSION_PREFIX_MAX)
        fault = "broker_prefix has more than 200 octets";
    if (fault == NULL && r->url.tls) {
        trial = wsk__broker_tls_new(&r->url, "localhost", &of_tls);
        fault = trial == NULL ? of_tls.text : NULL;
        wsk__tls_free(trial);
    }
    if (fault != NULL) {
        snprintf(why, WSK__REDIS_WHY, "broker: %s", fault);
        return false;
    }
    memcpy(r->prefix, cfg->prefix, strlen(cfg->prefix));
    wsk__broker_url_show(&r->url, r->shown, sizeof r->shown);
    r->cfg = (struct wsk__session_config){
        .user = {r->url.user, strlen(r->url.user)},
        .password = {r->url.password, strlen(r->url.password)},
        .prefix = {r->prefix, strlen(r->prefix)},
        .message_max = cfg->message_max,
        .probe_ms = cfg->probe_ms,
        .timeout_ms = cfg->timeout_ms,
        .linger_ms = LINGER_MS,
        .master = r->url.kind == WSK__BROKER_SENTINEL,
    };
    wsk__random((uint8_t *)&r->cfg.node, sizeof r->cfg.node);
    wsk__random((uint8_t *)r->cfg.key, sizeof r->cfg.key);
    r->fails_down = cfg->fails_down;
    return true;
}

struct wsk__route *wsk__redis_new(const struct wsk__redis_config *cfg,
                                  char why[WSK__REDIS_WHY])
{
    struct wsk__redis *r;

    if (!wsk__resp_is_there()) {
        snprintf(why, WSK__REDIS_WHY,
                 "this build has no Redis (build with -Dredis=enabled and "
                 "hiredis)");
        return NULL;
    }
    r = wsk__calloc(sizeof(*r));
    snprintf(why, WSK__REDIS_WHY, "broker: out of memory or descriptors");
    if (r == NULL)
        return NULL;
    r->given = wsk__memdup(cfg->url, strlen(cfg->url) + 1);
    if (r->given == NULL || !configure(r, cfg, why) ||
        !wsk__wake_open(&r->wake)) {
        wsk__free(r->given);
        wsk__free(r);
        return NULL;
    }
    r->route.ops = &REDIS;
    atomic_init(&r->refs, 1);
    pthread_mutex_init(&r->lock, NULL);
    wsk__cond_init(&r->moved);
    for (int i = 0; i < WSK__LINKS; i++)
        r->link[i] = (struct wsk__stream){.fd = -1};
    wsk__buf_init(&r->gap, WSK__BUF_CAP_MAX);
    wsk__session_init(&r->session, &r->cfg);
    return &r->route;
}
