/* net/pump: between the descriptor and the engines. */
#ifndef WSK_NET_PUMP_H
#define WSK_NET_PUMP_H

#include "net/server.h"

#include <sys/types.h>

#ifndef MSG_MORE /* only Linux has it */
#define MSG_MORE 0
#endif

/* ---- leader; `conn` is not busy. False: the lead was lost. ---- */

bool wsk__http_run(struct wsk__thread *th, struct wsk_conn *conn);
bool wsk__ws_serve(struct wsk__thread *th, struct wsk_conn *conn);

/* The deadline of the connection's phase; UINT64_MAX: none. HTTP's stands in
 * net/deadline. */
uint64_t wsk__ws_deadline(struct wsk_conn *conn);

/* That deadline has passed. */
bool wsk__ws_expired(struct wsk__thread *th, struct wsk_conn *conn);

/* What is answered from now on is dated by the thread's text: so a connection
 * that has moved to another thread comes here before anything is. */
void wsk__http_set_date(struct wsk__thread *th, struct wsk_conn *conn);

/* Its call was queued and will never be begun: 503. */
void wsk__http_refuse(struct wsk__thread *th, struct wsk_conn *conn,
                      enum wsk__limit limit);

/* ---- a thread with a call for `conn` ---- */

/* Answer the open request through the server's handler; what is left of the
 * answer is the caller's to flush. True: it became a WebSocket, and the caller
 * has a reference to give up once the loop knows. */
enum wsk__how {
    WSK__CALL_NOW,    /* by the thread that has read it */
    WSK__CALL_QUEUED, /* unless nobody waits for it any more */
    WSK__CALL_FILE,   /* not the handler: it is one of the static files */
};
bool wsk__http_call(struct wsk__thread *th, struct wsk_conn *conn,
                    enum wsk__how how);

/* The handler has returned, or says that its answer is complete: end it, but
 * send nothing. What wsk_request_finish() returns. */
wsk_status wsk__request_end(wsk_request *req);

/* Deliver a WebSocket's events, a bounded number; `in_hand`: this thread was
 * leading and has some already. */
enum wsk__calls {
    WSK__CALLS_DONE,
    WSK__CALLS_LOOK, /* but the leader has to look at it */
    WSK__CALLS_MORE, /* the connection must be queued again */
};
enum wsk__calls wsk__ws_call(struct wsk__thread *th, struct wsk_conn *conn,
                             bool in_hand);

/* ---- owner ---- */

enum wsk__io {
    WSK__IO_DONE,
    WSK__IO_WAIT,  /* the kernel's buffer is full */
    WSK__IO_LATER, /* a post will come */
    WSK__IO_GONE,
};

/* Octets of the answer that have not left. */
uint64_t wsk__http_owed(const struct wsk_conn *conn);

/* An engine with nothing to say borrows its thread's block; the flush that
 * empties it gives the block back. */
void wsk__http_lend_out(struct wsk__thread *th, struct wsk_conn *conn);

/* Write what the engine owes, parts included. */
enum wsk__io wsk__http_flush(struct wsk__thread *th, struct wsk_conn *conn);

/*
 * Feed the engine what is there until a request can be called, and say what
 * comes next. Streaming bodies are fed by their handler through the same door.
 */
enum wsk__feed {
    WSK__FEED_MORE,  /* nothing there now */
    WSK__FEED_READY, /* conn->head is set; call it */
    WSK__FEED_DATA,  /* octets were added to conn->body, or it is done */
    WSK__FEED_SPILL, /* so many that they must go to a file first */
    WSK__FEED_SAY,   /* the engine owes the peer something */
    WSK__FEED_FULL,  /* it holds something, and so do too many others */
    WSK__FEED_OVER,  /* failed, or the peer is gone */
};
enum wsk__feed wsk__http_feed_some(struct wsk__thread *th,
                                   struct wsk_conn *conn);

/* HTTP's share of a connection: made when it comes; given back with it, or when
 * it has become a WebSocket. */
struct wsk__exchange *wsk__exchange_new(const wsk_limits *limits,
                                        const struct sockaddr_storage *peer,
                                        const struct wsk__address *local);
void wsk__exchange_free(struct wsk__exchange *h); /* NULL is legal */

/* The open request outlives this thread's receive buffer. */
bool wsk__http_hold(struct wsk__thread *th, struct wsk_conn *conn);

/* What an upgrade needs, made before its 101 is; NULL when memory is out. The
 * text is the value of Sec-WebSocket-Extensions, maybe empty: none. */
struct wsk__socket *wsk__ws_prepare(struct wsk_conn *conn, const char *protocol,
                                    char extensions[WSK_WS_DEFLATE_TEXT]);

/* Free it: the upgrade came to nothing, or the last reference is gone. */
void wsk__ws_discard(wsk_server *srv, struct wsk__socket *ws);

/* From now on the connection is a WebSocket, and `th` holds it. False when
 * memory is out: it is still HTTP's. */
bool wsk__ws_open(struct wsk__thread *th, struct wsk_conn *conn,
                  struct wsk__socket *ws);

/* ---- lock held: WebSockets ---- */

/* Write what the engine owes. */
enum wsk__io wsk__ws_flush_locked(struct wsk_conn *conn);

/* Fail the connection for what its peer does not read. That is freed at once;
 * only a frame that has begun to leave is kept, before the Close. */
void wsk__ws_fail_unread_locked(struct wsk_conn *conn, uint16_t code,
                                const char *reason, const char *option);

/* The kernel took some of it. */
void wsk__ws_sent_locked(struct wsk__socket *ws);

/* Everything the engine has to say, into the mail. */
void wsk__ws_collect_locked(struct wsk_conn *conn);

/* ---- lock held: what has come, see inbox.c ---- */

/* Reading pauses: ws_max_queue messages wait, or ws_max_size octets. */
bool wsk__ws_mail_full_locked(const struct wsk_conn *conn);

/* Append a copy of *item, whose message becomes the mailbox's. */
void wsk__ws_post_locked(struct wsk_conn *conn, const struct wsk__mail *item);

/* The peer will send no more. */
void wsk__ws_eof_locked(struct wsk_conn *conn);

/*
 * Feed what *span holds, up to the next event for the application. What stands
 * behind that is not looked at before it has been delivered: a message is not
 * lost, nor its answer, to what came after it. A message that stands there
 * whole is lent: masked, and as long as those octets. False: *span is empty, or
 * stands behind a message that is held.
 */
bool wsk__ws_pull_locked(struct wsk_conn *conn, wsk_str *span,
                         struct wsk__mail *item);

/* A lent message outlives the octets it was received in. False: there is none,
 * and the connection has failed. */
bool wsk__ws_own_locked(struct wsk_conn *conn, wsk_message *msg);

/* Keep octets for later, behind those that are kept. False: memory is out. */
bool wsk__ws_keep(struct wsk__socket *ws, const void *data, size_t len);
void wsk__ws_drop_kept(struct wsk__socket *ws);

/* What is left of *span is fed later, before what is kept already. */
void wsk__ws_keep_span_locked(struct wsk_conn *conn, wsk_str *span);

/* The leader reads for a handler that is away, once. */
void wsk__ws_read_locked(struct wsk__thread *th, struct wsk_conn *conn);

/* Octets for a thread that delivers what is in them itself, in th->ws_span:
 * what was kept, or what `th`, if it leads, may receive. */
void wsk__ws_take_in_hand_locked(struct wsk__thread *th, struct wsk_conn *conn,
                                 bool leads);

/* For receive(), the next message: from the mail, or from what was received
 * earlier. One that stood there whole is masked and lies in `rx`
 * (WSK__RX_SIZE); NULL: it is unmasked and owned. False: none. */
bool wsk__ws_fetch_locked(struct wsk_conn *conn, uint8_t *rx, wsk_message *msg);

/* The same, if that message stands there whole and plain: no work but a copy.
 */
bool wsk__ws_fetch_ready_locked(struct wsk_conn *conn, uint8_t *rx,
                                wsk_message *msg);

/* The same, once n octets, or an end, came from the descriptor. */
bool wsk__ws_received_locked(struct wsk_conn *conn, const uint8_t *data,
                             ssize_t n, uint8_t *rx, wsk_message *msg);

/* The oldest mail, now the caller's (free both it and its message); or NULL. */
struct wsk__mail *wsk__ws_next_mail(struct wsk__socket *ws);

/* A ping of ours has been queued, and the time to its answer runs. */
void wsk__ws_pinged_locked(struct wsk__socket *ws, const uint8_t *data,
                           size_t len);

/* How it ended, once it has. */
wsk_close_info wsk__ws_close_info_locked(const struct wsk__socket *ws);

/* Octets that wait to be written; and whether whoever sends should wait until
 * they are no more than `limit`. */
size_t wsk__ws_owed_locked(const struct wsk_conn *conn);
bool wsk__ws_is_full_locked(const struct wsk_conn *conn, uint64_t limit);

/* Whoever sends in events goes on when less waits; and whether it does by now.
 */
void wsk__ws_await_drain_locked(const struct wsk_conn *conn);
bool wsk__ws_has_drained_locked(const struct wsk_conn *conn);

/* The handler has returned without attaching: close. */
void wsk__ws_handler_done(struct wsk_conn *conn);

void wsk__ws_goaway(struct wsk_conn *conn); /* 1001, if it is a WebSocket */

/* The handler that has taken it over, if there is one, reads an end. */
void wsk__taken_goaway(struct wsk_conn *conn);

/* The transport is given up; its events are still delivered. */
void wsk__ws_lost(struct wsk_conn *conn);

/* By which a ping is known again. */
uint32_t wsk__payload_hash(const uint8_t *data, size_t len);

#endif
