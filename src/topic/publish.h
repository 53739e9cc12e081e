/* topic/publish: append to topics, and go through those who have subscribed. */
#ifndef WSK_TOPIC_PUBLISH_H
#define WSK_TOPIC_PUBLISH_H

#include "topic/topics.h"

/*
 * Append a publication to all of `names` that have subscribers; the names are
 * valid. At one moment for all of them, and for all threads: so a subscriber
 * gets one copy. Sets found[0..*n_found) to the topics, pinned; each is to be
 * passed over, by wsk__pass_begin() or the pump. `found` has room for n.
 * Returns WSK_OK, or WSK_E_NOMEM: nothing was appended.
 */
wsk_status wsk__topic_publish(struct wsk__topics *t, const wsk_str *names,
                              size_t n, struct wsk__publication *p,
                              struct wsk__topic **found, size_t *n_found);

/* A pass: each subscriber of a topic is offered what was published before the
 * pass began. It goes down the list, in which others come and go meanwhile. */
struct wsk__pass {
    struct wsk__topic *topic;
    uint64_t upto; /* index: what lies before it is offered */
    uint32_t at;   /* those from here on were visited */
};

/* Begin a pass over a pinned topic. Returns its subscribers. */
uint32_t wsk__pass_begin(struct wsk__topics *t, struct wsk__topic *topic,
                         struct wsk__pass *pass);

/* Collect the next subscribers, at most WSK__PASS_MAX, held by their op.
 * Returns how many; 0: the pass is over. */
size_t wsk__pass_next(struct wsk__topics *t, struct wsk__pass *pass,
                      struct wsk__subscriber **some, size_t max);

/* Offer a topic to the next subscribers, WSK__PASS_MAX at most. Returns how
 * many; 0: the pass is over. */
size_t wsk__pass_offer(struct wsk__topics *t, struct wsk__pass *pass);

/* End a pass that was gone through, and unpin the topic. */
void wsk__pass_end(struct wsk__topics *t, struct wsk__pass *pass);

/* ---- for a pump, which takes turns between topics ---- */

/* Pin a topic for the pump's queue. False: it is queued already. */
bool wsk__topic_queue(struct wsk__topics *t, struct wsk__topic *topic);

/* Take up the pass of a queued topic where it was left, or begin one. */
void wsk__pass_resume(struct wsk__topics *t, struct wsk__topic *topic,
                      struct wsk__pass *pass);

/* Leave a pass in the middle or at its end. True: the topic stays queued, for
 * the rest or for what was published meanwhile. Else its pin is given back. */
bool wsk__pass_leave(struct wsk__topics *t, const struct wsk__pass *pass);

/* Return true if more than half of a pinned topic's backlog was not offered
 * yet: a publisher must wait for the pump. */
bool wsk__topic_is_behind(struct wsk__topics *t, struct wsk__topic *topic);

#endif
