/* net/websocket/events: the delivery of events to a WebSocket's handlers. */
#ifndef WSK_NET_WEBSOCKET_EVENTS_H
#define WSK_NET_WEBSOCKET_EVENTS_H

#include "net/loop/source.h"
#include "net/os/locks.h"
#include "wsocket.h"

struct wsk__thread;
struct wsk__conn;

/* The result of delivering a bounded number of events. */
enum wsk__calls {
    WSK__CALLS_DONE, /* all were delivered */
    WSK__CALLS_LOOK, /* all were delivered, and the leader must look */
    WSK__CALLS_MORE, /* more events are due */
};

/* Return true if events are due, and no thread delivers them yet. */
bool wsk__ws_events_due_locked(const struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Make the event `draining` due if the server leaves, unless it was before. */
void wsk__ws_notice_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Deliver events on the leader, or queue the call that will. */
wsk__leads wsk__ws_call_events(struct wsk__thread *th, struct wsk__conn *conn,
                               enum wsk__calls *calls);

/* ---- a thread with a call for `conn` ---- */

/* Deliver events, each in a callback without the lock, until none is due or
 * others must have their turn. `in_hand`: the thread may hold one already. */
enum wsk__calls wsk__ws_call(struct wsk__thread *th, struct wsk__conn *conn,
                             bool in_hand);

/* The call of a WebSocket: its handler's, or for its events. */
extern const struct wsk__call_ops wsk__ws_call_ops;

#endif
