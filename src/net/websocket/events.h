/* net/websocket/events: the delivery of events to a WebSocket's handlers. */
#ifndef WSK_NET_WEBSOCKET_EVENTS_H
#define WSK_NET_WEBSOCKET_EVENTS_H

#include "wsocket.h"

struct wsk__thread;
struct wsk__conn;

/* Deliver a WebSocket's events, a bounded number; `in_hand`: this thread was
 * leading and has some already. */
enum wsk__calls {
    WSK__CALLS_DONE,
    WSK__CALLS_LOOK, /* but the leader has to look at it */
    WSK__CALLS_MORE, /* the connection must be queued again */
};

enum due { DUE_NOTHING, DUE_CONNECT, DUE_ITEM, DUE_DRAIN, DUE_CLOSE };

bool wsk__ws_events_due_locked(const struct wsk__conn *conn);

/* The leader delivers what is due, or queues it. False: the lead was lost. */
bool wsk__ws_call_events(struct wsk__thread *th, struct wsk__conn *conn,
                         enum wsk__calls *calls);

/* ---- a thread with a call for `conn` ---- */

enum wsk__calls wsk__ws_call(struct wsk__thread *th, struct wsk__conn *conn,
                             bool in_hand);

/* The call of a WebSocket: its handler, or its events. */
extern const struct wsk__call_ops wsk__ws_call_ops;

#endif
