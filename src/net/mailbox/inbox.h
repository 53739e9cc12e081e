/* net/mailbox/inbox: the input of a WebSocket, parsed into the messages that
 * its handler gets. */
#ifndef WSK_NET_MAILBOX_INBOX_H
#define WSK_NET_MAILBOX_INBOX_H

#include "net/os/locks.h"
#include "wsocket.h"

#include <sys/types.h>

struct wsk__served;
struct wsk__thread;
struct wsk__conn;

/* A message, ping or pong for the handler. */
struct wsk__inbox_item {
    struct wsk__inbox_item *next;
    wsk_ws_event_kind kind; /* MESSAGE, PIECE, PING or PONG; or NONE */
    wsk_message msg;
};

/* Free an item with its message. */
void wsk__inbox_item_free(struct wsk__inbox_item *entry);

/* ---- lock held ---- */

/* Note that the peer lives, and that memory is held: part of a record of TLS
 * has come. */
void wsk__ws_hear_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Move all events of the engine to the inbox. */
void wsk__ws_collect_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Return true if reading must pause: ws_max_queue messages wait, or ws_max_size
 * bytes, or memory is short, or a message is deferred. */
bool wsk__ws_inbox_is_full_locked(const struct wsk__conn *conn)
    WSK__CONN_LOCKED;

/* Append a copy of *item, whose message becomes the inbox's. */
void wsk__ws_inbox_put_locked(struct wsk__conn *conn,
                              const struct wsk__inbox_item *item)
    WSK__CONN_LOCKED;

/* Tell the engine that the peer sends no more. */
void wsk__ws_eof_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Parse *span up to the next event for the application, and remove what was
 * parsed. The bytes behind the event are parsed after its delivery, so that
 * neither a message nor its answer is lost to a failure behind it. A message
 * that stands there whole is borrowed: masked, and valid as long as those
 * bytes. False: *span is empty, or stands behind a message that is deferred. */
bool wsk__ws_pull_locked(struct wsk__conn *conn, wsk_str *span,
                         struct wsk__inbox_item *item) WSK__CONN_LOCKED;

/* Copy a borrowed message to memory of its own, unmasked. False: memory is out
 * or the text is not UTF-8, and the connection has failed. */
bool wsk__ws_own_locked(struct wsk__conn *conn,
                        wsk_message *msg) WSK__CONN_LOCKED;

/* Append bytes to the unparsed input. False: memory is out. */
bool wsk__ws_keep_locked(struct wsk__served *ws, const void *data,
                         size_t len) WSK__CONN_LOCKED;
/* Free the unparsed input. */
void wsk__ws_drop_kept_locked(struct wsk__served *ws) WSK__CONN_LOCKED;

/* Move the rest of *span to the front of the unparsed input. */
void wsk__ws_keep_span_locked(struct wsk__conn *conn,
                              wsk_str *span) WSK__CONN_LOCKED;

/* Read once into the inbox, on the leader, while the handler is away. */
void wsk__ws_read_locked(struct wsk__thread *th,
                         struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Set the span of wsk__websocket_of(th) to unparsed input, for a thread that
 * delivers the events in it: what was kept, or what `th`, if it leads, receives
 * now. */
void wsk__ws_take_in_hand_locked(struct wsk__thread *th, struct wsk__conn *conn,
                                 bool leads) WSK__CONN_LOCKED;

/* Fetch the next message for receive(), from the inbox or the unparsed input. A
 * whole one is masked and lies in `rx` (WSK__RX_SIZE bytes); with `rx` NULL it
 * is unmasked and owned. False: there is none. */
bool wsk__ws_fetch_locked(struct wsk__conn *conn, uint8_t *rx,
                          wsk_message *msg) WSK__CONN_LOCKED;

/* The same, but only for a message that is there whole and plain: no work but a
 * copy. */
bool wsk__ws_fetch_ready_locked(struct wsk__conn *conn, uint8_t *rx,
                                wsk_message *msg) WSK__CONN_LOCKED;

/* The same, after a read of n bytes; 0 or less: an end. */
bool wsk__ws_received_locked(struct wsk__conn *conn, const uint8_t *data,
                             ssize_t n, uint8_t *rx,
                             wsk_message *msg) WSK__CONN_LOCKED;

/* Remove the oldest item, now the caller's to free with its message; or NULL.
 */
struct wsk__inbox_item *
wsk__ws_inbox_take_locked(struct wsk__served *ws) WSK__CONN_LOCKED;

/* Return how the WebSocket has ended, or 1006 if it has not. */
wsk_close_info
wsk__ws_close_info_locked(const struct wsk__served *ws) WSK__CONN_LOCKED;

#endif
