/*
 * broker/wanted: which topics this process wants of a broker, and how far the
 * broker has agreed. What is wanted is ours, even when a connection ends;
 * what was asked and confirmed is the connection's, and ends with it.
 *
 *     wanted ──► asked ──► confirmed ──► lingers ──► asked to end ──► gone
 *       ▲                      │            │
 *       └──── connection lost ─┘            └──► confirmed, if wanted again
 *
 * A topic is in doubt if something of it may have been missed: a connection on
 * which it was wanted is lost, or a thread has given up waiting for its
 * confirmation. The doubt ends with wsk__wanted_next_gap().
 */
#ifndef WSK_BROKER_WANTED_H
#define WSK_BROKER_WANTED_H

#include "wsocket.h"

struct wsk__wanted_topic;

/* A list of topics; each is in one at most. */
struct wsk__wanted_list {
    struct wsk__wanted_topic *first, *last;
};

struct wsk__wanted {
    uint64_t key[2];    /* of the hash of names */
    uint32_t linger_ms; /* from the end of the wish to UNSUBSCRIBE */
    struct wsk__wanted_topic **table; /* chains by hash; `cap` of them */
    size_t n, cap;                    /* topics, and room for them */
    size_t wanted;
    size_t outstanding; /* commands that the broker has not answered */
    size_t restoring;   /* wanted since before the connection began, and not
                           confirmed on it */
    struct wsk__wanted_list to_ask, lingering, doubtful;
};

void wsk__wanted_init(struct wsk__wanted *in, const uint64_t key[2],
                      uint32_t linger_ms);
void wsk__wanted_clear(struct wsk__wanted *in);

/* Want a topic, of 1 to 255 octets. Returns WSK_OK, WSK_E_NOMEM (nothing has
 * changed). Twice is once. */
wsk_status wsk__wanted_want(struct wsk__wanted *in, wsk_str name);

/* Want it no longer. Does nothing if it was not wanted. */
void wsk__wanted_unwant(struct wsk__wanted *in, wsk_str name, uint64_t now_ms);

/* Return true if a topic is wanted and confirmed. */
bool wsk__wanted_is_confirmed(const struct wsk__wanted *in, wsk_str name);
bool wsk__wanted_is_wanted(const struct wsk__wanted *in, wsk_str name);

/* Put a wanted topic in doubt, or all of them, for something that was published
 * at `at_ms`: not those that were confirmed, or whose gap was told, later. */
void wsk__wanted_doubt(struct wsk__wanted *in, wsk_str name, uint64_t at_ms);
void wsk__wanted_doubt_all(struct wsk__wanted *in, uint64_t at_ms);

/* The connection is lost: nothing is confirmed, all that is wanted is in doubt
 * and is to be asked for again. */
void wsk__wanted_lost(struct wsk__wanted *in);

/* Take up to `max` topics that are to be asked for, or to be ended by `now_ms`;
 * they count as asked. Returns their number; the names live until the next
 * call of any other function. */
size_t wsk__wanted_ask(struct wsk__wanted *in, wsk_str *names, size_t max);
size_t wsk__wanted_end(struct wsk__wanted *in, uint64_t now_ms, wsk_str *names,
                       size_t max);

/* Return when the next topic ends; UINT64_MAX: none does. */
uint64_t wsk__wanted_ends_at(const struct wsk__wanted *in);

/* The broker has answered one command for a topic. True: it is wanted, and
 * confirmed by this answer. */
bool wsk__wanted_answered(struct wsk__wanted *in, wsk_str name,
                          uint64_t now_ms);

/* Take a topic that is confirmed, wanted, and in doubt, which ends. The name
 * lives until the next call of any other function. False: there is none. */
bool wsk__wanted_next_gap(struct wsk__wanted *in, uint64_t now_ms,
                          wsk_str *name);

/* Return the hash of a name. */
uint32_t wsk__wanted_hash(const struct wsk__wanted *in, wsk_str name);

#endif
