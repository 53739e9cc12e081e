/* net/loop/loop: the leader's turn: events, posts, timers. */
#ifndef WSK_NET_LOOP_LOOP_H
#define WSK_NET_LOOP_LOOP_H

#include "net/loop/source.h"
#include "net/loop/timer.h"
#include "net/os/poller.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wsk__thread;
struct wsk_conn;

enum {
    WSK__BATCH = 256, /* events per look at the poller */
};

struct wsk__loop {
    struct wsk__poller *poller; /* fixed */
    bool edge;                  /* fixed: the poller is edge-triggered */
    enum wsk__source wake_source;
    int wake_fds[2]; /* read, write; the same eventfd on Linux */

    /* leader */
    struct wsk__poll_event events[WSK__BATCH];
    size_t ev_i, ev_n; /* the unread part of a batch moves with the lead */
    uint64_t turn;     /* looks at the poller */
    size_t posts_due;  /* posts to heed before the poller's next turn */
    struct wsk__wheel wheel;
    uint64_t now_ms;

    /* post_lock */
    pthread_mutex_t post_lock;
    struct wsk_conn *posts, **posts_tail;
    size_t n_posts;
    bool posts_closed;    /* they are looked at no more */
    atomic_bool sleeping; /* the leader is, or is about to be, in the poller */
};

/* Lead until the lead is lost or the server has ended. */
void wsk__lead(struct wsk__thread *th);

#endif
