/* net/loop/loop: the leader's turn: events, posts, timers. */
#ifndef WSK_NET_LOOP_LOOP_H
#define WSK_NET_LOOP_LOOP_H

struct wsk__thread;

enum {
    WSK__BATCH = 256, /* events per look at the poller */
};

/* Lead until the lead is lost or the server has ended. */
void wsk__lead(struct wsk__thread *th);

#endif
