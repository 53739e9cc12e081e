/* net/http1/output: from the engine to the descriptor: the queue, and the
 * segments behind it. */
#ifndef WSK_NET_HTTP1_OUTPUT_H
#define WSK_NET_HTTP1_OUTPUT_H

#include "net/os/stream.h"
#include "wsocket.h"

struct wsk__thread;
struct wsk__conn;

/* The leader's flush: what ends a connection leaves in one segment with the
 * end, which finish_connection() says at once. A reset says none. */
enum wsk__io wsk__http_flush_in_turn(struct wsk__thread *th,
                                     struct wsk__conn *conn);

/* ---- owner ---- */

/* Let the descriptor block in recv() and send(), as before a file was sent: it
 * goes to a WebSocket's handler, or to the application. */
void wsk__http_let_block(struct wsk__conn *conn);

/* Octets of the answer that have not left. */
uint64_t wsk__http_owed(const struct wsk__conn *conn);

/* An engine with nothing to say borrows its thread's block; the flush that
 * empties it gives the block back. */
void wsk__http_lend_out(struct wsk__thread *th, struct wsk__conn *conn);

/* Write what the engine owes, parts included. */
enum wsk__io wsk__http_flush(struct wsk__thread *th, struct wsk__conn *conn);

#endif
