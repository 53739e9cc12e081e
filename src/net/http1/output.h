/* net/http1/output: from the engine to the descriptor: the queue, and the
 * segments behind it. */
#ifndef WSK_NET_HTTP1_OUTPUT_H
#define WSK_NET_HTTP1_OUTPUT_H

#include "net/os/stream.h"
#include "wsocket.h"

struct wsk__thread;
struct wsk__conn;

/* ---- owner ---- */

/* Send the engine's queue and the segments. */
enum wsk__io wsk__http_flush(struct wsk__thread *th, struct wsk__conn *conn);

/* The same for the leader: the last bytes of a connection wait in the kernel,
 * to leave in one packet with the end, which the caller says at once. */
enum wsk__io wsk__http_flush_in_turn(struct wsk__thread *th,
                                     struct wsk__conn *conn);

/* Return the bytes of the answer that have not left. */
uint64_t wsk__http_owed(const struct wsk__conn *conn);

/* Let an engine whose queue is empty borrow the thread's block; the flush that
 * empties it again gives the block back. So an answer costs no allocation, and
 * an idle connection owns no block. */
void wsk__http_lend_out(struct wsk__thread *th, struct wsk__conn *conn);

/* Let the descriptor block in recv() and send(), as before a file was sent: it
 * goes to a WebSocket's handler, or to the application. */
void wsk__http_let_block(struct wsk__conn *conn);

#endif
