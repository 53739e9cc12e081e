/* net/request/call: the call of the handler, and its end. */
#ifndef WSK_NET_REQUEST_CALL_H
#define WSK_NET_REQUEST_CALL_H

#include "wsocket.h"

struct wsk__builtin;
struct wsk__thread;

/* ---- thread of the call ---- */

/* Let `builtin` answer; where it is NULL, the server's handler, unless the
 * request was `queued` and its client has gone meanwhile. The caller ends the
 * request, and flushes. */
void wsk__request_answer(struct wsk__thread *th, wsk_request *req,
                         const struct wsk__builtin *builtin, bool queued);

/* Complete the answer, whose handler has returned or says so, and send nothing
 * yet. Returns the result of wsk_request_finish(). */
wsk_status wsk__request_end(wsk_request *req);

/* Write the access line of an answer, and forget what was noted for it. */
void wsk__request_log(wsk_request *req);

#endif
