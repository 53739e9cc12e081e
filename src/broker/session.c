#include "broker/session.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    OUT_MAX = 16 << 20,        /* bytes that wait to be sent */
    OWED_MAX = 16 << 20,       /* bytes of notes of what Redis has to answer */
    ASKED_MAX = 10000,         /* commands for topics that wait for an answer */
    ASKED_OUT = 256 << 10,     /* bytes that wait, past which none are added */
    ENVELOPE_ROOM = 128 << 10, /* bytes of a reply that are no message */
    PATIENCE = 4, /* times the wait for a probe while other octets come */
    OUR_CHANNELS = 2,
    LOST_SLOTS = 256,
};

#define STR(literal) ((wsk_str){literal, sizeof(literal) - 1})

/* A note of what Redis owes an answer for; the names follow. */
struct owed {
    enum owed_kind {
        AUTH,
        ROLE,
        PROBE,
        NOTICE,
        NOTICE_OF_ALL,
        PUBLICATION
    } kind;
    uint32_t replies; /* still to come */
    uint32_t len;     /* bytes of names, each behind an octet of its length */
    uint64_t ms;      /* of the publication, or of the newest of a notice */
};

/* --------------------------------------------------------------- faults --- */

void wsk__session_fail(struct wsk__session *s, const char *why)
{
    if (s->failed)
        return;
    s->failed = true;
    snprintf(s->why, sizeof s->why, "%s", why);
}

static bool begins(wsk_str text, const char *with)
{
    return text.len >= strlen(with) && memcmp(text.p, with, strlen(with)) == 0;
}

/* Fail by an error of Redis, which answers `kind`. */
static void fail_reply(struct wsk__session *s, enum owed_kind kind,
                       wsk_str error)
{
    static const char *const REFUSALS[] = {"NOAUTH", "WRONGPASS", "NOPERM",
                                           "DENIED", "ERR unknown command"};
    char text[200];
    size_t n = error.len < sizeof text - 1 ? error.len : sizeof text - 1;

    if (s->failed)
        return;
    for (size_t i = 0; i < n; i++)
        text[i] = error.p[i] >= ' ' && error.p[i] < 0x7f ? error.p[i] : '?';
    text[n] = '\0';
    s->failed = true;
    for (size_t i = 0; i < sizeof REFUSALS / sizeof *REFUSALS; i++)
        s->denied |= begins(error, REFUSALS[i]);
    s->denied |= kind == AUTH && begins(error, "ERR") &&
                 !begins(error, "ERR max number of clients");
    if (begins(error, "NOPERM"))
        snprintf(s->why, sizeof s->why,
                 "Redis says: %s (the ACL of the user needs: &%.*s:* +@pubsub "
                 "+role +multi +exec)",
                 text, (int)s->cfg->prefix.len, s->cfg->prefix.p);
    else if (begins(error, "NOAUTH"))
        snprintf(s->why, sizeof s->why,
                 "Redis says: %s (give broker a password: "
                 "redis://:password@host)",
                 text);
    else
        snprintf(s->why, sizeof s->why, "Redis says: %s", text);
}

/* ------------------------------------------------------------- commands --- */

static wsk_str node_channel(const struct wsk__session *s,
                            char to[WSK__CHANNEL_MAX])
{
    int n = snprintf(to, WSK__CHANNEL_MAX, "%.*s:n:%016llx",
                     (int)s->cfg->prefix.len, s->cfg->prefix.p,
                     (unsigned long long)s->cfg->node);

    return (wsk_str){to, (size_t)n};
}

static wsk_str all_channel(const struct wsk__session *s,
                           char to[WSK__CHANNEL_MAX])
{
    wsk_str one = node_channel(s, to);

    return (wsk_str){to, one.len - 17};
}

static size_t write_channel(const struct wsk__session *s, wsk_str topic,
                            char *to)
{
    size_t n = s->cfg->prefix.len;

    memcpy(to, s->cfg->prefix.p, n);
    memcpy(to + n, ":t:", 3);
    memcpy(to + n + 3, topic.p, topic.len);
    return n + 3 + topic.len;
}

/* Return the topic of a channel; empty: it has none. */
static wsk_str topic_of(const struct wsk__session *s, wsk_str channel)
{
    size_t n = s->cfg->prefix.len + 3;

    if (channel.len <= n || channel.len > n + WSK__SESSION_TOPIC_MAX ||
        memcmp(channel.p, s->cfg->prefix.p, n - 3) != 0 ||
        memcmp(channel.p + n - 3, ":t:", 3) != 0)
        return (wsk_str){NULL, 0};
    return (wsk_str){channel.p + n, channel.len - n};
}

static bool note(struct wsk__session_link *link, struct owed owed,
                 const wsk_str *names, size_t n)
{
    uint8_t *to;

    for (size_t i = 0; i < n; i++)
        owed.len += 1 + (uint32_t)names[i].len;
    to = wsk__buf_room(&link->owed, sizeof owed + owed.len);
    if (to == NULL)
        return false;
    wsk__buf_grow_tail(&link->owed, sizeof owed + owed.len);
    memcpy(to, &owed, sizeof owed);
    to += sizeof owed;
    for (size_t i = 0; i < n; i++) {
        *to = (uint8_t)names[i].len;
        memcpy(to + 1, names[i].p, names[i].len);
        to += 1 + names[i].len;
    }
    return true;
}

/* Say something that fails only where memory is out. */
static void say(struct wsk__session *s, enum wsk__link_kind kind,
                const wsk_str *words, size_t n)
{
    if (!wsk__resp_write(&s->link[kind].out, words, n))
        wsk__session_fail(s, "out of memory");
}

/* AUTH and ROLE. */
static void greet(struct wsk__session *s, enum wsk__link_kind kind)
{
    wsk_str auth[] = {STR("AUTH"), s->cfg->user, s->cfg->password};
    wsk_str role[] = {STR("ROLE")};
    struct wsk__session_link *link = &s->link[kind];

    if (s->cfg->password.len > 0) {
        if (s->cfg->user.len > 0) {
            say(s, kind, auth, 3);
        } else {
            auth[1] = auth[2];
            say(s, kind, auth, 2);
        }
        if (!note(link, (struct owed){AUTH, 1, 0, 0}, NULL, 0))
            wsk__session_fail(s, "out of memory");
    }
    say(s, kind, role, 1);
    if (!note(link, (struct owed){ROLE, 1, 0, 0}, NULL, 0))
        wsk__session_fail(s, "out of memory");
}

/* Write an envelope into the scratch buffer. */
static bool wrap(struct wsk__session *s, const struct wsk__envelope *e,
                 const wsk_str *names, size_t n, wsk_str *out)
{
    size_t size = wsk__envelope_size(names, n, e->message.len);
    uint8_t *to;

    wsk__buf_ack(&s->scratch, wsk__buf_len(&s->scratch));
    to = wsk__buf_room(&s->scratch, size);
    if (to == NULL)
        return false;
    wsk__envelope_write(to, e, names, n);
    *out = (wsk_str){(const char *)to, size};
    return true;
}

static void send_probe(struct wsk__session *s, uint64_t now_ms)
{
    struct wsk__envelope e = {
        .kind = WSK__ENVELOPE_PROBE, .origin = s->cfg->node, .seq = ++s->seq};
    char channel[WSK__CHANNEL_MAX];
    wsk_str words[3] = {STR("PUBLISH"), node_channel(s, channel)};

    s->probe = e.seq;
    s->probed_ms = now_ms;
    s->probing = true;
    if (wrap(s, &e, NULL, 0, &words[2]) &&
        note(&s->link[WSK__LINK_PUBLISH], (struct owed){PROBE, 1, 0, 0}, NULL,
             0))
        say(s, WSK__LINK_PUBLISH, words, 3);
    else
        wsk__session_fail(s, "out of memory");
}

/* Tell all nodes of what Redis has not answered before. */
static void announce_lost(struct wsk__session *s, uint64_t now_ms)
{
    uint64_t age = now_ms - s->lost_ms;
    uint8_t octets[4];
    struct wsk__envelope e = {.kind = WSK__ENVELOPE_GAP,
                              .origin = s->cfg->node,
                              .seq = ++s->seq,
                              .message = {(const char *)octets, 4}};
    wsk_str names[1024], rest = {NULL, 0};
    char channel[WSK__CHANNEL_MAX];
    wsk_str words[3] = {STR("PUBLISH"), all_channel(s, channel)};
    size_t n = 0;

    if (wsk__buf_len(&s->lost) == 0 && !s->lost_all)
        return;
    wsk__octets_write(octets, age < UINT32_MAX ? age : UINT32_MAX, 4);
    if (!s->lost_all)
        rest = (wsk_str){(const char *)wsk__buf_data(&s->lost),
                         wsk__buf_len(&s->lost)};
    while (n < 1024 && wsk__envelope_next_name(&rest, &names[n]))
        n++;
    if (rest.len > 0)
        n = 0; /* all of them */
    if (wrap(s, &e, names, n, &words[2]) &&
        note(&s->link[WSK__LINK_PUBLISH],
             (struct owed){n > 0 ? NOTICE : NOTICE_OF_ALL, 1, 0, s->lost_ms},
             names, n))
        say(s, WSK__LINK_PUBLISH, words, 3);
    else
        wsk__session_fail(s, "out of memory");
    wsk__buf_free(&s->lost);
    s->lost_all = false;
}

/* SUBSCRIBE or UNSUBSCRIBE. */
static void send_topics(struct wsk__session *s, const char *command,
                        const wsk_str *topics, size_t n)
{
    wsk_str words[WSK__RESP_WORDS] = {{command, strlen(command)}};
    char *to;

    if (n == 0)
        return;
    wsk__buf_ack(&s->scratch, wsk__buf_len(&s->scratch));
    to = (char *)wsk__buf_room(&s->scratch, n * WSK__CHANNEL_MAX);
    if (to == NULL) {
        wsk__session_fail(s, "out of memory");
        return;
    }
    for (size_t i = 0; i < n; i++, to += WSK__CHANNEL_MAX)
        words[1 + i] = (wsk_str){to, write_channel(s, topics[i], to)};
    say(s, WSK__LINK_SUBSCRIBE, words, 1 + n);
}

static bool may_ask(const struct wsk__session *s)
{
    return !s->failed && s->joined == OUR_CHANNELS &&
           s->interest.outstanding < ASKED_MAX &&
           wsk__buf_len(&s->link[WSK__LINK_SUBSCRIBE].out) < ASKED_OUT;
}

static void ask(struct wsk__session *s)
{
    wsk_str topics[WSK__SESSION_BATCH];
    size_t n = 1;

    while (may_ask(s) && n > 0) {
        n = wsk__wanted_ask(&s->interest, topics, WSK__SESSION_BATCH);
        send_topics(s, "SUBSCRIBE", topics, n);
    }
}

static void end_some(struct wsk__session *s, uint64_t now_ms)
{
    wsk_str topics[WSK__SESSION_BATCH];
    size_t n = 1;

    while (may_ask(s) && n > 0) {
        n = wsk__wanted_end(&s->interest, now_ms, topics, WSK__SESSION_BATCH);
        send_topics(s, "UNSUBSCRIBE", topics, n);
    }
}

/* -------------------------------------------------------------- replies --- */

static void take_role(struct wsk__session *s, struct wsk__session_link *link,
                      const struct wsk__reply *reply)
{
    static const wsk_str MASTER = STR("master");
    wsk_str role = reply->items[0].text;

    link->greeted = true;
    if (reply->self.kind != WSK__REPLY_ARRAY || reply->n == 0)
        wsk__session_fail(s, "what answers is not Redis: it knows no ROLE");
    else if (s->cfg->master && (role.len != MASTER.len ||
                                memcmp(role.p, MASTER.p, role.len) != 0))
        wsk__session_fail(s, "the address that Sentinel gave is of no master");
}

/* Take an answer that is owed. */
static void take_owed(struct wsk__session *s, struct wsk__session_link *link,
                      const struct wsk__reply *reply)
{
    struct owed owed;

    memcpy(&owed, wsk__buf_data(&link->owed), sizeof owed);
    if (reply->self.kind == WSK__REPLY_ERROR) {
        fail_reply(s, owed.kind, reply->self.text);
        return;
    }
    if (owed.kind == ROLE)
        take_role(s, link, reply);
    if (--owed.replies > 0)
        memcpy(wsk__buf_data(&link->owed), &owed, sizeof owed);
    else
        wsk__buf_ack(&link->owed, sizeof owed + owed.len);
}

static void take_gap(struct wsk__session *s, const struct wsk__envelope *e,
                     uint64_t now_ms)
{
    uint64_t age = wsk__octets_read(e->message.p, 4);
    wsk_str rest = e->names, name;
    uint64_t at_ms = now_ms > age ? now_ms - age : 0;

    if (e->origin == s->cfg->node) /* told as ours */
        return;
    if (e->n_names == 0)
        wsk__wanted_doubt_all(&s->interest, at_ms);
    while (wsk__envelope_next_name(&rest, &name))
        wsk__wanted_doubt(&s->interest, name, at_ms);
}

/* Take what came by a channel of ours. */
static void take_notice(struct wsk__session *s, const struct wsk__envelope *e,
                        uint64_t now_ms)
{
    if (e->kind == WSK__ENVELOPE_GAP)
        take_gap(s, e, now_ms);
    if (e->kind == WSK__ENVELOPE_PROBE && e->origin == s->cfg->node &&
        e->seq == s->probe) {
        s->probing = false;
        s->proven = true;
    }
}

/* Return true if another channel has brought the publication already. */
static bool is_copy(struct wsk__session *s, const struct wsk__envelope *e)
{
    bool copy = e->n_names > 1 && e->origin == s->last_origin &&
                e->seq == s->last_seq;

    if (e->n_names > 1) {
        s->last_origin = e->origin;
        s->last_seq = e->seq;
    }
    return copy;
}

static void take_message(struct wsk__session *s, wsk_str channel,
                         wsk_str octets, uint64_t now_ms,
                         struct wsk__session_event *event)
{
    struct wsk__envelope e;
    wsk_str topic = topic_of(s, channel);

    if (!wsk__envelope_read(octets, &e))
        return; /* of a later version, or forged */
    if (topic.len == 0)
        take_notice(s, &e, now_ms);
    else if ((e.kind == WSK__ENVELOPE_NONE || e.kind == WSK__ENVELOPE_MESSAGE ||
              e.kind == WSK__ENVELOPE_DISCONNECT) &&
             !is_copy(s, &e))
        *event = (struct wsk__session_event){WSK__SESSION_MESSAGE, topic, e};
}

static bool is(wsk_str text, const char *word)
{
    return text.len == strlen(word) && begins(text, word);
}

/* Take what a connection that has subscribed says of itself. */
static void take_push(struct wsk__session *s, const struct wsk__reply *reply,
                      uint64_t now_ms, struct wsk__session_event *event)
{
    wsk_str word = reply->items[0].text, channel = reply->items[1].text, topic;

    if (reply->self.kind == WSK__REPLY_ERROR) {
        fail_reply(s, PUBLICATION, reply->self.text);
        return;
    }
    if (reply->self.kind != WSK__REPLY_ARRAY || reply->n != 3) {
        wsk__session_fail(s, "Redis says what was not asked for");
        return;
    }
    if (is(word, "message")) {
        take_message(s, channel, reply->items[2].text, now_ms, event);
        return;
    }
    topic = topic_of(s, channel);
    if (topic.len == 0)
        s->joined += is(word, "subscribe");
    else if (wsk__wanted_answered(&s->interest, topic, now_ms))
        *event =
            (struct wsk__session_event){WSK__SESSION_CONFIRMED, topic, {0}};
}

/* Read the replies of a connection until there is an event or no more. */
static void take_replies(struct wsk__session *s, enum wsk__link_kind kind,
                         uint64_t now_ms, struct wsk__session_event *event)
{
    struct wsk__session_link *link = &s->link[kind];
    struct wsk__reply reply;
    enum wsk__resp_got got;
    const char *why;

    while (event->what == WSK__SESSION_NOTHING) {
        got = wsk__resp_next(link->resp, &reply, &why);
        if (got == WSK__RESP_BAD)
            wsk__session_fail(s, why);
        if (got != WSK__RESP_REPLY)
            return;
        if (wsk__buf_len(&link->owed) > 0)
            take_owed(s, link, &reply);
        else if (kind == WSK__LINK_SUBSCRIBE)
            take_push(s, &reply, now_ms, event);
        else
            wsk__session_fail(s, "Redis answers what was not asked");
    }
}

/* --------------------------------------------------------------- states --- */

void wsk__session_init(struct wsk__session *s,
                       const struct wsk__session_config *cfg)
{
    size_t message = (size_t)cfg->message_max + ENVELOPE_ROOM;

    assert(cfg->prefix.len <= WSK__SESSION_PREFIX_MAX);
    *s = (struct wsk__session){.cfg = cfg};
    wsk__wanted_init(&s->interest, cfg->key, cfg->linger_ms);
    for (int i = 0; i < WSK__LINKS; i++) {
        wsk__buf_init(&s->link[i].out, OUT_MAX + message);
        wsk__buf_init(&s->link[i].owed, OWED_MAX);
    }
    wsk__buf_init(&s->lost, WSK__SESSION_NAMES_MAX - WSK__ENVELOPE_HEAD);
    wsk__buf_init(&s->scratch, message + WSK__SESSION_BATCH * WSK__CHANNEL_MAX);
}

static void drop_links(struct wsk__session *s)
{
    for (int i = 0; i < WSK__LINKS; i++) {
        struct wsk__session_link *link = &s->link[i];

        wsk__buf_free(&link->out);
        wsk__buf_free(&link->owed);
        wsk__resp_free(link->resp);
        link->resp = NULL;
        link->greeted = false;
    }
    s->phase = WSK__SESSION_DOWN;
    s->joined = 0;
    s->proven = s->probing = s->failed = s->denied = false;
}

void wsk__session_clear(struct wsk__session *s)
{
    drop_links(s);
    wsk__buf_free(&s->lost);
    wsk__buf_free(&s->scratch);
    wsk__wanted_clear(&s->interest);
}

bool wsk__session_begin(struct wsk__session *s, uint64_t now_ms)
{
    char all[WSK__CHANNEL_MAX], one[WSK__CHANNEL_MAX];
    wsk_str words[] = {STR("SUBSCRIBE"), all_channel(s, all),
                       node_channel(s, one)};

    assert(s->phase == WSK__SESSION_DOWN);
    s->phase = WSK__SESSION_GREETS;
    s->began_ms = now_ms;
    for (int i = 0; i < WSK__LINKS; i++) {
        s->link[i].heard_ms = now_ms;
        s->link[i].resp =
            wsk__resp_new((size_t)s->cfg->message_max + ENVELOPE_ROOM);
        if (s->link[i].resp == NULL) {
            drop_links(s);
            return false;
        }
        greet(s, (enum wsk__link_kind)i);
    }
    say(s, WSK__LINK_SUBSCRIBE, words, 3);
    return true;
}

/* Remember the topics of publications, and of notices of such, that Redis has
 * not answered. */
static void keep_lost(struct wsk__session *s)
{
    struct wsk__buf *notes = &s->link[WSK__LINK_PUBLISH].owed;
    uint32_t slots[LOST_SLOTS] = {0}; /* places of names that are there */
    struct owed owed;

    while (wsk__buf_len(notes) > 0) {
        wsk_str rest, name;

        memcpy(&owed, wsk__buf_data(notes), sizeof owed);
        rest = (wsk_str){(const char *)wsk__buf_data(notes) + sizeof owed,
                         owed.len};
        if (owed.ms > s->lost_ms)
            s->lost_ms = owed.ms;
        s->lost_all |= owed.kind == NOTICE_OF_ALL;
        while (wsk__envelope_next_name(&rest, &name)) {
            uint32_t *slot =
                &slots[wsk__wanted_hash(&s->interest, name) % LOST_SLOTS];
            size_t at = wsk__buf_len(&s->lost);
            const uint8_t *there = at > 0 ? wsk__buf_data(&s->lost) : NULL;

            if (at > 0 && there[*slot] == name.len &&
                memcmp(there + *slot + 1, name.p, name.len) == 0)
                continue;
            if (wsk__buf_put(&s->lost, name.p - 1, name.len + 1))
                *slot = (uint32_t)at;
            else
                s->lost_all = true;
        }
        wsk__buf_ack(notes, sizeof owed + owed.len);
    }
}

void wsk__session_lost(struct wsk__session *s)
{
    keep_lost(s);
    drop_links(s);
    wsk__wanted_lost(&s->interest);
}

bool wsk__session_feed(struct wsk__session *s, enum wsk__link_kind kind,
                       const void *data, size_t len, uint64_t now_ms)
{
    s->link[kind].heard_ms = now_ms;
    return wsk__resp_feed(s->link[kind].resp, data, len);
}

/* Go on to the next phase, if it is time. */
static void advance(struct wsk__session *s, uint64_t now_ms,
                    struct wsk__session_event *event)
{
    if (s->phase == WSK__SESSION_GREETS && s->joined == OUR_CHANNELS &&
        s->link[WSK__LINK_PUBLISH].greeted) {
        s->phase = WSK__SESSION_PROVES;
        send_probe(s, now_ms);
    }
    ask(s);
    if (s->phase == WSK__SESSION_PROVES && s->proven && !s->failed &&
        s->interest.restoring == 0) {
        s->phase = WSK__SESSION_UP;
        announce_lost(s, now_ms);
        event->what = WSK__SESSION_IS_UP;
    }
}

static void take_doubt(struct wsk__session *s, uint64_t now_ms,
                       struct wsk__session_event *event)
{
    wsk_str name;

    if (s->phase != WSK__SESSION_UP ||
        !wsk__wanted_next_gap(&s->interest, now_ms, &name))
        return;
    memcpy(s->topic, name.p, name.len);
    *event = (struct wsk__session_event){
        WSK__SESSION_GAP, {s->topic, name.len}, {0}};
}

void wsk__session_next(struct wsk__session *s, uint64_t now_ms,
                       struct wsk__session_event *event)
{
    *event = (struct wsk__session_event){WSK__SESSION_NOTHING, {NULL, 0}, {0}};
    if (s->phase == WSK__SESSION_DOWN)
        return;
    /* Messages that have come count, even if all has failed. */
    take_replies(s, WSK__LINK_SUBSCRIBE, now_ms, event);
    if (event->what == WSK__SESSION_NOTHING)
        take_replies(s, WSK__LINK_PUBLISH, now_ms, event);
    if (event->what == WSK__SESSION_NOTHING && !s->failed)
        advance(s, now_ms, event);
    if (event->what == WSK__SESSION_NOTHING && !s->failed)
        take_doubt(s, now_ms, event);
    if (event->what == WSK__SESSION_NOTHING && s->failed)
        event->what = WSK__SESSION_FAILED;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Return when the connections have failed if nothing comes. */
static uint64_t deadline(const struct wsk__session *s)
{
    uint64_t heard = s->link[WSK__LINK_SUBSCRIBE].heard_ms;
    uint64_t wait = s->phase == WSK__SESSION_UP ? s->cfg->probe_ms
                                                : s->cfg->timeout_ms;
    uint64_t at = UINT64_MAX;

    if (s->probing)
        at = sooner(later(heard, s->probed_ms) + wait,
                    s->probed_ms + PATIENCE * wait);
    if (s->phase == WSK__SESSION_PROVES && !s->probing)
        at = heard + wait;
    if (s->phase == WSK__SESSION_GREETS)
        at = s->began_ms + wait;
    return at;
}

void wsk__session_tick(struct wsk__session *s, uint64_t now_ms)
{
    if (s->phase == WSK__SESSION_DOWN || s->failed)
        return;
    if (now_ms >= deadline(s)) {
        wsk__session_fail(s, s->phase == WSK__SESSION_UP
                                 ? "Redis does not answer: a probe has not "
                                   "come back"
                                 : "Redis does not answer");
        return;
    }
    if (s->phase == WSK__SESSION_UP && !s->probing &&
        now_ms >= s->probed_ms + s->cfg->probe_ms)
        send_probe(s, now_ms);
    end_some(s, now_ms);
}

uint64_t wsk__session_due(const struct wsk__session *s)
{
    uint64_t at = deadline(s);

    if (s->phase == WSK__SESSION_DOWN)
        return UINT64_MAX;
    if (s->phase == WSK__SESSION_UP && !s->probing)
        at = sooner(at, s->probed_ms + s->cfg->probe_ms);
    if (may_ask(s))
        at = sooner(at, wsk__wanted_ends_at(&s->interest));
    return at;
}

/* -------------------------------------------------------- for the others ---
 */

wsk_status wsk__session_want(struct wsk__session *s, wsk_str topic)
{
    return wsk__wanted_want(&s->interest, topic);
}

void wsk__session_unwant(struct wsk__session *s, wsk_str topic, uint64_t now_ms)
{
    wsk__wanted_unwant(&s->interest, topic, now_ms);
}

/* Append PUBLISH for each topic, as a transaction if it is several: then no
 * other publication comes between, and who gets the first has got all. */
static bool write_all(struct wsk__buf *out, const struct wsk__session *s,
                      const wsk_str *topics, size_t n, wsk_str wrapped)
{
    static const wsk_str MULTI = STR("MULTI"), EXEC = STR("EXEC");
    char channel[WSK__CHANNEL_MAX];
    wsk_str words[3] = {STR("PUBLISH"), {channel, 0}, wrapped};
    bool fits = n == 1 || wsk__resp_write(out, &MULTI, 1);

    for (size_t i = 0; i < n && fits; i++) {
        words[1].len = write_channel(s, topics[i], channel);
        fits = wsk__resp_write(out, words, 3);
    }
    return fits && (n == 1 || wsk__resp_write(out, &EXEC, 1));
}

wsk_status wsk__session_publish(struct wsk__session *s, const wsk_str *topics,
                                size_t n, const struct wsk__envelope *e,
                                uint64_t now_ms)
{
    struct wsk__session_link *link = &s->link[WSK__LINK_PUBLISH];
    size_t out_len = wsk__buf_len(&link->out), names = 0, need;
    struct wsk__envelope sent = *e;
    wsk_str wrapped;

    if (s->phase != WSK__SESSION_UP || s->failed)
        return WSK_E_CLOSED;
    for (size_t i = 0; i < n; i++)
        names += 1 + topics[i].len;
    if (n > WSK__ENVELOPE_NAMES_MAX || names > WSK__SESSION_NAMES_MAX)
        return WSK_E_NOMEM;
    sent.seq = ++s->seq;
    if (!wrap(s, &sent, topics, n > 1 ? n : 0, &wrapped))
        return WSK_E_NOMEM;
    need = n * (wrapped.len + WSK__CHANNEL_MAX + 64) + 64;
    if (need > link->out.cap)
        return WSK_E_NOMEM;
    if (need > link->out.cap - out_len ||
        wsk__buf_len(&link->owed) + names + sizeof(struct owed) > OWED_MAX)
        return WSK_E_AGAIN;
    if (!note(
            link,
            (struct owed){PUBLICATION, n > 1 ? (uint32_t)n + 2 : 1, 0, now_ms},
            topics, n))
        return WSK_E_NOMEM;
    if (!write_all(&link->out, s, topics, n, wrapped)) {
        /* Half a command cannot be taken back. */
        wsk__session_fail(s, "out of memory");
        return WSK_E_NOMEM;
    }
    return WSK_OK;
}
