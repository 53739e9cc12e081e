/* net/request/request: what a handler answers. */
#ifndef WSK_NET_REQUEST_REQUEST_H
#define WSK_NET_REQUEST_REQUEST_H

#include "wsocket.h"

struct wsk__thread;
struct wsk__body;
struct wsk__conn;

struct wsk_request {
    struct wsk__conn *conn;
    struct wsk__thread *thread;
    const wsk_head *head;
    struct wsk__body *body;
    uint64_t sent;  /* body octets of the answer, for the log */
    uint64_t began; /* ns; 0: nobody wants to know */
    char *noted;    /* fields of the answer, for the log; or NULL */
    int status;     /* of the answer; 0: not begun */
    bool finished, aborted;
    bool head_left;    /* the head is on its way */
    bool body_touched; /* something of the body was read */
    bool body_whole;   /* and all of it had come by then: nothing is dropped */
    size_t body_at;    /* of a whole body's end in memory, what was read */
};

wsk_status wsk__request_gone(wsk_request *req);

#endif
