/* net/http1/input: from the descriptor to the engine. */
#ifndef WSK_NET_HTTP1_INPUT_H
#define WSK_NET_HTTP1_INPUT_H

#include "wsocket.h"

struct wsk__thread;
struct wsk__conn;

/* Result of feeding the engine until a request can be called. */
enum wsk__feed {
    WSK__FEED_MORE,  /* nothing has come */
    WSK__FEED_READY, /* h->head is set: call the handler */
    WSK__FEED_DATA,  /* bytes were added to h->body, or it is done */
    WSK__FEED_STORE, /* the same: more than may stay in memory */
    WSK__FEED_SAY,   /* the engine has something to send */
    WSK__FEED_FULL,  /* memory_limit is reached, and this connection holds some
                      */
    WSK__FEED_ENDED, /* the request failed, or the peer is gone */
};

/* ---- owner ---- */

/* Read and feed until something of that has happened. Handlers feed the rest of
 * their body through the same door. */
enum wsk__feed wsk__http_feed_some(struct wsk__thread *th,
                                   struct wsk__conn *conn);

/* Move unparsed input from the thread's receive buffer to the connection. False
 * when memory is out. */
bool wsk__http_keep_span(struct wsk__thread *th, struct wsk__conn *conn);

/* Copy everything that the open request still points at out of the thread's
 * buffers. False when memory is out. */
bool wsk__http_retain(struct wsk__thread *th, struct wsk__conn *conn);

/* Count a request whose handler is called before its body has come, or no more.
 */
void wsk__http_count_streaming(struct wsk__conn *conn, bool streams);

#endif
