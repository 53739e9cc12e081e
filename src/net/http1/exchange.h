/* net/http1/exchange: HTTP's share of a connection. */
#ifndef WSK_NET_HTTP1_EXCHANGE_H
#define WSK_NET_HTTP1_EXCHANGE_H

#include "base/buf.h"
#include "http/conn.h"
#include "net/conn/min_rate.h"
#include "net/conn/peer.h"
#include "net/dispatch/offload.h"
#include "net/os/listen.h"
#include "net/request/body.h"
#include "net/request/segments.h"
#include "wsocket.h"

#include <stdatomic.h>

struct wsk__dispatch;
struct wsk__thread;
struct wsk__conn;

/* HTTP's share of a connection. Given back when the handler of a WebSocket has
 * returned. Owner: the leader, or the thread of the call. */
struct wsk__exchange {
    struct wsk__ends ends; /* of the open request */
    struct wsk_http http;
    const wsk_head *head;          /* of the open request; NULL: none is */
    struct wsk__buf in;            /* received, and not fed yet */
    size_t in_fed;                 /* bytes of `in` fed, but still pointed at */
    struct wsk__body body;         /* of the open request */
    struct wsk__segments segments; /* of the answer */
    struct wsk__min_rate arrival;  /* of the body */
    struct wsk__min_rate departure; /* of the answer, while `stalled` */
    uint64_t away_ms;   /* since when we do not read for the body; 0: we do */
    uint64_t backlog;   /* bytes of the answer not taken, at the last look */
    uint64_t counted;   /* bytes that conns->counted counts for it */
    uint64_t queued_ns; /* when the call was queued, for the metrics */
    uint64_t memory_ms; /* since when it waits for memory; 0: it does not */
    uint64_t head_ms; /* when an unfinished head has begun; 0: there is none */
    bool called;      /* a handler answers the request now */
    bool streams;     /* and was called before the body had come; site.streaming
                         counts it */
    bool stalled;     /* the kernel takes no more of the answer */
    bool redirected;  /* the open request is led to https */
    bool reset;       /* an answer that ends with the connection was cut */
    bool failed;      /* nothing more is read: a refusal, or an unread body */
    bool told;        /* the access log has a line of the engine's refusal */
    bool spoken;      /* a byte has come */
    bool nonblocking; /* the descriptor itself is, for sendfile() */
    bool limits_unsent; /* the kernel holds few bytes beyond the window */

    atomic_bool at_disk; /* disk_work runs: all that it needs is its own */
    void (*disk_work)(struct wsk__conn *conn);
    struct wsk__job disk_job;
    struct wsk__conn *disk_conn;
};

/* ---- owner ---- */

/* Refuse the open request, or the next: 503. */
void wsk__http_out_of_memory(struct wsk__conn *conn);

/* Write the access line of a request that is answered without a handler, its
 * head perhaps unread; `sent` bytes of body. */
void wsk__http_log_refusal(const struct wsk__conn *conn, int status,
                           uint64_t sent);

/* Date answers by the thread's text. Call when a connection has come to this
 * thread, before anything is answered. */
void wsk__http_set_date(struct wsk__thread *th, struct wsk__conn *conn);

/* Make the share of a connection, which takes over `ends` and `early`, the
 * input so far, or NULL. NULL when memory is out: both are freed. */
struct wsk__exchange *wsk__exchange_new(const wsk_limits *limits,
                                        struct wsk__ends *ends,
                                        struct wsk__buf *early);
/* Free an exchange; NULL is legal. Lent memory is given back by calls of
 * `dispatch`. */
void wsk__exchange_free(struct wsk__exchange *h,
                        struct wsk__dispatch *dispatch);

/*
 * Have `work` done by the offload. Until then the connection is at the disk
 * (at_disk), and the work owns the fields that it needs; then the loop looks at
 * the connection. False: no thread can be made. Not while it is at the disk.
 */
bool wsk__exchange_offload(struct wsk__conn *conn,
                           void (*work)(struct wsk__conn *conn));

/* Have the body file of a connection that ends without a handler closed there:
 * giving back the blocks of a long file takes a while. */
void wsk__exchange_drop_file(struct wsk__conn *conn);

#endif
