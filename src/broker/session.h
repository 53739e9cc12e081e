/*
 * broker/session: what is said to Redis over two connections, one for
 * publications (PUBLISH) and one for subscriptions (SUBSCRIBE). Octets in,
 * octets and events out; no descriptor, thread or lock, and the clock is the
 * caller's.
 *
 *     down ── begin ──► greets ───────► proves ───────────────────► up
 *      ▲                AUTH, ROLE,     a probe, published by one and back
 *      │                SUBSCRIBE to    by the other connection; all that was
 *      └── lost ◄────── our channels    wanted is confirmed
 *
 * A probe goes the same way every probe_ms. One that does not come back, an
 * error of Redis, or the end of either connection is the end of both.
 */
#ifndef WSK_BROKER_SESSION_H
#define WSK_BROKER_SESSION_H

#include "base/buf.h"
#include "broker/envelope.h"
#include "broker/resp.h"
#include "broker/wanted.h"
#include "wsocket.h"

enum wsk__link_kind { WSK__LINK_PUBLISH, WSK__LINK_SUBSCRIBE, WSK__LINKS };

enum wsk__session_phase {
    WSK__SESSION_DOWN,
    WSK__SESSION_GREETS,
    WSK__SESSION_PROVES,
    WSK__SESSION_UP,
};

enum {
    WSK__SESSION_PREFIX_MAX = 200, /* bytes of a prefix */
    WSK__SESSION_TOPIC_MAX = 255,  /* bytes of a topic */
    WSK__CHANNEL_MAX = WSK__SESSION_PREFIX_MAX + 3 + WSK__SESSION_TOPIC_MAX,
    WSK__SESSION_WHY_MAX = 512,
    WSK__SESSION_BATCH = WSK__RESP_WORDS - 1, /* topics of one SUBSCRIBE */
    WSK__SESSION_NAMES_MAX = 65536, /* bytes of the topics of one publication */
};

/* Fixed. The texts are borrowed. */
struct wsk__session_config {
    wsk_str user, password; /* empty: none */
    wsk_str prefix;         /* of channels */
    uint64_t node;          /* this process among all */
    uint64_t key[2];        /* of hashes; random */
    uint64_t message_max;   /* bytes of a publication */
    uint32_t probe_ms, timeout_ms, linger_ms;
    bool master; /* nothing but a master will do */
};

/* One of the two connections. */
struct wsk__session_link {
    struct wsk__buf out;    /* to be sent; the caller acknowledges */
    struct wsk__buf owed;   /* notes of answers that Redis owes */
    struct wsk__resp *resp; /* NULL while down */
    uint64_t heard_ms;      /* when octets came last */
    bool greeted;           /* AUTH and ROLE were answered well */
};

struct wsk__session {
    const struct wsk__session_config *cfg;
    enum wsk__session_phase phase;
    struct wsk__wanted interest;
    struct wsk__session_link link[WSK__LINKS];
    struct wsk__buf scratch;
    uint64_t began_ms;
    unsigned joined;      /* channels of ours that are confirmed, of 2 */
    bool proven;          /* a probe of these connections has come back */
    bool probing;         /* one is under way */
    uint64_t probe;       /* sequence of the last */
    uint64_t probed_ms;   /* when the last was sent */
    uint64_t seq;         /* of publications */
    struct wsk__buf lost; /* names of topics whose publications Redis has not
                             answered */
    bool lost_all;        /* too many to name */
    uint64_t lost_ms;     /* when the newest of them was sent */
    uint64_t last_origin, last_seq;     /* of the last publication to several */
    char topic[WSK__SESSION_TOPIC_MAX]; /* of an event */
    bool failed;
    bool denied; /* Redis would refuse the next attempt, too */
    char why[WSK__SESSION_WHY_MAX];
};

enum wsk__session_what {
    WSK__SESSION_NOTHING,
    WSK__SESSION_CONFIRMED, /* topic: it is wanted, and arrives from now on */
    WSK__SESSION_MESSAGE,   /* topic: by whose channel; envelope */
    WSK__SESSION_IS_UP,     /* publications are taken */
    WSK__SESSION_GAP,       /* topic: something of it may have been missed */
    WSK__SESSION_FAILED,    /* session->why; call wsk__session_lost() */
};

struct wsk__session_event {
    enum wsk__session_what what;
    wsk_str topic;
    struct wsk__envelope envelope;
};

/* Initialize, down. */
void wsk__session_init(struct wsk__session *s,
                       const struct wsk__session_config *cfg);
void wsk__session_clear(struct wsk__session *s);

/* Both connections are open. False: memory is out, and it is down. */
bool wsk__session_begin(struct wsk__session *s, uint64_t now_ms);

/* Take octets that have come on a connection. False: memory is out. */
bool wsk__session_feed(struct wsk__session *s, enum wsk__link_kind kind,
                       const void *data, size_t len, uint64_t now_ms);

/* Get what is to be told, until NOTHING. Its texts live until the next call of
 * any function but wsk__session_want(), unwant() and publish(). */
void wsk__session_next(struct wsk__session *s, uint64_t now_ms,
                       struct wsk__session_event *event);

/* Do what time asks for: probes, deadlines, the ends of topics. Then next()
 * may have a failure. */
void wsk__session_tick(struct wsk__session *s, uint64_t now_ms);

/* Return when tick() is due. */
uint64_t wsk__session_due(const struct wsk__session *s);

/* The connections are gone, and what came was fed and told. */
void wsk__session_lost(struct wsk__session *s);

/* Fail, unless it has failed: a connection has ended. */
void wsk__session_fail(struct wsk__session *s, const char *why);

/* Want a topic, or no longer. */
wsk_status wsk__session_want(struct wsk__session *s, wsk_str topic);
void wsk__session_unwant(struct wsk__session *s, wsk_str topic,
                         uint64_t now_ms);

/*
 * Publish to n > 0 topics. e->kind is MESSAGE or DISCONNECT; e->origin, except,
 * flags and message are the caller's. Returns WSK_OK; WSK_E_CLOSED (down);
 * WSK_E_AGAIN (no room now: it comes as Redis takes and answers what was sent);
 * WSK_E_NOMEM (memory is out, or there would never be room).
 */
wsk_status wsk__session_publish(struct wsk__session *s, const wsk_str *topics,
                                size_t n, const struct wsk__envelope *e,
                                uint64_t now_ms);

#endif
