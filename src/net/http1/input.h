/* net/http1/input: from the descriptor to the engine. */
#ifndef WSK_NET_HTTP1_INPUT_H
#define WSK_NET_HTTP1_INPUT_H

#include "wsocket.h"

struct wsk__thread;
struct wsk__conn;

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

void wsk__http_count_streaming(struct wsk__conn *conn, bool streams);

/* What was received and not fed outlives this thread's receive buffer. */
bool wsk__http_keep_span(struct wsk__thread *th, struct wsk__conn *conn);

/* Read once from the descriptor. */
enum wsk__feed wsk__http_receive(struct wsk__thread *th,
                                 struct wsk__conn *conn);

/* ---- owner ---- */

enum wsk__feed wsk__http_feed_some(struct wsk__thread *th,
                                   struct wsk__conn *conn);

/* The open request outlives this thread's receive buffer. */
bool wsk__http_retain(struct wsk__thread *th, struct wsk__conn *conn);

#endif
