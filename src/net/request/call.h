/* net/request/call: the call of the handler, and its end. */
#ifndef WSK_NET_REQUEST_CALL_H
#define WSK_NET_REQUEST_CALL_H

#include "wsocket.h"

struct wsk__thread;

enum wsk__call_kind {
    WSK__CALL_NOW,    /* by the thread that has read the request */
    WSK__CALL_QUEUED, /* later; not if its client has gone meanwhile */
    WSK__CALL_FILE,   /* not of the handler: of the static files */
};

/* ---- thread of the call ---- */

/* Let the server's handler answer. The caller ends the request, and flushes. */
void wsk__request_answer(struct wsk__thread *th, wsk_request *req,
                         enum wsk__call_kind kind);

/* Complete the answer, whose handler has returned or says so, and send nothing
 * yet. Returns the result of wsk_request_finish(). */
wsk_status wsk__request_end(wsk_request *req);

/* Write the access line of an answer, and forget what was noted for it. */
void wsk__request_log(wsk_request *req);

#endif
