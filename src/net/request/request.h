/* net/request/request: a request that is being answered, by any carrier. */
#ifndef WSK_NET_REQUEST_REQUEST_H
#define WSK_NET_REQUEST_REQUEST_H

#include "net/request/answer.h"
#include "net/websocket/topics.h"
#include "wsocket.h"

#include <stdatomic.h>

struct wsk__body;
struct wsk__conn;
struct wsk__ends;
struct wsk__thread;

struct wsk_request {
    const struct wsk__answer_ops *ops; /* fixed */
    const wsk_server_config *cfg;      /* fixed */
    struct wsk__conn *conn;            /* fixed; NULL: no server of ours */
    struct wsk__thread *thread;        /* fixed: of the call; NULL likewise */
    const struct wsk__ends *ends;      /* fixed */
    struct wsk__body *body;            /* fixed; NULL: the carrier reads none */
    const wsk_head *head;
    _Atomic(wsk_conn *) ws; /* the WebSocket that it has become; or NULL */
    uint64_t sent;          /* body bytes of the answer, for the log */
    uint64_t began;         /* wsk__access_begin() */
    char *noted;            /* wsk__access_note(), or NULL */
    int status;             /* of the answer; 0: not begun */
    bool finished;          /* the answer is complete, or given up */
    bool aborted;           /* nothing more of it leaves */
    bool cut;               /* by the handler: the client must notice */
    bool head_left;         /* the head is on its way */
    bool body_touched;      /* something of the body was read */
    bool body_whole; /* and all of it had come by then: nothing is dropped */
    size_t body_at;  /* bytes read of what a whole body has in memory */
    struct wsk__first_topic topic; /* of the WebSocket, before its 101 leaves */
};

/* For a request whose connection is not ours: no addresses, http. */
extern const struct wsk__ends wsk__no_ends;

/* Return true if the handler may still answer. */
static inline bool wsk__request_is_open(const wsk_request *req)
{
    return !req->finished && req->ops->start != NULL &&
           atomic_load_explicit(&req->ws, memory_order_relaxed) == NULL;
}

/* Note that the client is gone; returns WSK_E_CLOSED. */
wsk_status wsk__request_gone(wsk_request *req);

#endif
