/* net/mailbox/thread: what a thread keeps for the WebSockets that it serves.
 */
#ifndef WSK_NET_MAILBOX_THREAD_H
#define WSK_NET_MAILBOX_THREAD_H

#include "net/dispatch/thread.h"
#include "net/mailbox/inbox.h"
#include "net/os/locks.h"

struct wsk__out;

struct wsk__websocket_thread {
    struct wsk__out *out; /* a queue that WebSockets borrow */
    wsk_str span; /* received into rx, not yet fed, for a WebSocket whose caller
                     this thread is; under that one's lock */
    struct wsk__inbox_item item; /* the event to deliver next; or kind NONE */
};

/* The room's entry in dispatch->rooms. */
extern const struct wsk__thread_room wsk__websocket_thread_room;

/* Return a thread's data of this room. */
static inline struct wsk__websocket_thread *
wsk__websocket_of(const struct wsk__thread *th)
{
    return th->own[WSK__OWN_WEBSOCKET];
}

#endif
