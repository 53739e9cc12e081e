/* net/websocket/inbox: from the bytes of a WebSocket to what its handler gets
 * next. */
#ifndef WSK_NET_WEBSOCKET_INBOX_H
#define WSK_NET_WEBSOCKET_INBOX_H

#include "wsocket.h"

#include <sys/types.h>

struct wsk__served;
struct wsk__thread;
struct wsk__conn;

/* Something that came for a handler. */
struct wsk__inbox_item {
    struct wsk__inbox_item *next;
    wsk_ws_event_kind kind; /* MESSAGE, PING or PONG; NONE where none is */
    wsk_message msg;
};

void wsk__inbox_item_free(struct wsk__inbox_item *entry);

/* ---- lock held: WebSockets ---- */

/* Everything the engine has to say, into the inbox. */
void wsk__ws_collect_locked(struct wsk__conn *conn);

/* ---- lock held: what has come ---- */

/* Reading pauses: ws_max_queue messages wait, or ws_max_size octets. */
bool wsk__ws_inbox_is_full_locked(const struct wsk__conn *conn);

/* Append a copy of *item, whose message becomes the inbox's. */
void wsk__ws_inbox_put_locked(struct wsk__conn *conn,
                              const struct wsk__inbox_item *item);

/* The peer will send no more. */
void wsk__ws_eof_locked(struct wsk__conn *conn);

/*
 * Feed what *span holds, up to the next event for the application. What stands
 * behind that is not looked at before it has been delivered: a message is not
 * lost, nor its answer, to what came after it. A message that stands there
 * whole is lent: masked, and as long as those octets. False: *span is empty, or
 * stands behind a message that is held.
 */
bool wsk__ws_pull_locked(struct wsk__conn *conn, wsk_str *span,
                         struct wsk__inbox_item *item);

/* A lent message outlives the octets it was received in. False: there is none,
 * and the connection has failed. */
bool wsk__ws_own_locked(struct wsk__conn *conn, wsk_message *msg);

/* Keep octets for later, behind those that are kept. False: memory is out. */
bool wsk__ws_keep(struct wsk__served *ws, const void *data, size_t len);
void wsk__ws_drop_kept(struct wsk__served *ws);

/* What is left of *span is fed later, before what is kept already. */
void wsk__ws_keep_span_locked(struct wsk__conn *conn, wsk_str *span);

/* The leader reads for a handler that is away, once. */
void wsk__ws_read_locked(struct wsk__thread *th, struct wsk__conn *conn);

/* Octets for a thread that delivers what is in them itself, in
 * wsk__websocket_of(th)->span: what was kept, or what `th`, if it leads, may
 * receive. */
void wsk__ws_take_in_hand_locked(struct wsk__thread *th, struct wsk__conn *conn,
                                 bool leads);

/* For receive(), the next message: from the inbox, or from what was received
 * earlier. One that stood there whole is masked and lies in `rx`
 * (WSK__RX_SIZE); NULL: it is unmasked and owned. False: none. */
bool wsk__ws_fetch_locked(struct wsk__conn *conn, uint8_t *rx,
                          wsk_message *msg);

/* The same, if that message stands there whole and plain: no work but a copy.
 */
bool wsk__ws_fetch_ready_locked(struct wsk__conn *conn, uint8_t *rx,
                                wsk_message *msg);

/* The same, once n octets, or an end, came from the descriptor. */
bool wsk__ws_received_locked(struct wsk__conn *conn, const uint8_t *data,
                             ssize_t n, uint8_t *rx, wsk_message *msg);

/* the oldest item, now the caller's (free both it and its message); or NULL. */
struct wsk__inbox_item *wsk__ws_inbox_take(struct wsk__served *ws);

/* How it ended, once it has. */
wsk_close_info wsk__ws_close_info_locked(const struct wsk__served *ws);

#endif
