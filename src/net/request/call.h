/* net/request/call: the call of the handler, and its end. */
#ifndef WSK_NET_REQUEST_CALL_H
#define WSK_NET_REQUEST_CALL_H

#include "net/http1/run.h"
#include "wsocket.h"

struct wsk__thread;

void wsk__request_answer(struct wsk__thread *th, wsk_request *req,
                         enum wsk__call_kind how);

/* ---- a thread with a call for `conn` ---- */

/* The handler has returned, or says that its answer is complete: end it, but
 * send nothing. What wsk_request_finish() returns. */
wsk_status wsk__request_end(wsk_request *req);

/* Write the access line of an answer, and forget what was noted for it. */
void wsk__request_log(wsk_request *req);

#endif
