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

/* HTTP's share of a connection; a WebSocket whose handler has returned needs it
 * no more and has given it back. Owner, addresses fixed. */
struct wsk__exchange {
    struct wsk__ends ends; /* of the open request */
    struct wsk_http http;
    struct wsk__buf in;           /* received, not yet fed */
    size_t in_fed;                /* octets of `in` fed but still pointed at */
    struct wsk__body body;        /* of the open request */
    struct wsk__min_rate arrival; /* of the body */
    struct wsk__min_rate departure; /* of the answer, while it is stalled */
    uint64_t away_ms;     /* we have not read for the body since; 0: we do */
    uint64_t backlog;     /* of the answer, at the last look */
    uint64_t counted;     /* octets that srv->conns.counted counts for it */
    uint64_t over_ms;     /* it waits since then for memory; 0: it does not */
    bool stalled;         /* the kernel takes no more of the answer */
    const wsk_head *head; /* of the open request; NULL: none */
    uint64_t head_ms;     /* first octet of an unfinished head; 0: none */
    bool called;          /* a handler answers it now */
    bool streams;         /* and was called before its body had come; it counts
                             in srv->site.streaming */
    bool reset;           /* an answer that ends with the connection was cut */
    bool failed;          /* the answer was a refusal of ours */
    bool told;            /* and the log has a line of it */
    bool spoken;          /* an octet has come */

    bool nonblocking; /* the descriptor itself is, for sendfile() */
    bool paced;       /* the kernel holds few bytes beyond the window */
    struct wsk__segments segments; /* of the answer */

    atomic_bool at_disk; /* what disk_work needs is its own */
    void (*disk_work)(struct wsk__conn *conn);
    struct wsk__job disk_job;
    struct wsk__conn *disk_conn;
};

void wsk__http_out_of_memory(struct wsk__conn *conn);

/* Write the access line of a request that is answered without a handler, its
 * head perhaps unread; `sent` bytes of body. Owner. */
void wsk__http_log_refusal(const struct wsk__conn *conn, int status,
                           uint64_t sent);

/* ---- leader; `conn` is not busy. False: the lead was lost. ---- */

/* What is answered from now on is dated by the thread's text: so a connection
 * that has moved to another thread comes here before anything is. */
void wsk__http_set_date(struct wsk__thread *th, struct wsk__conn *conn);

/* ---- owner ---- */

/* HTTP's share of a connection: made when it comes; given back with it, or when
 * it has become a WebSocket. */
struct wsk__exchange *wsk__exchange_new(const wsk_limits *limits,
                                        const struct wsk__address *peer,
                                        const struct wsk__address *local);
/* NULL is legal. Lent memory is given back by calls of `dispatch`. */
void wsk__exchange_free(struct wsk__exchange *h,
                        struct wsk__dispatch *dispatch);

/*
 * Have `work` done by the offload. Until then the connection is at the disk
 * (at_disk), and what the work needs is its own; then the loop looks at the
 * connection. False: no thread can be made. Owner; not while it is at the disk.
 */
bool wsk__exchange_offload(struct wsk__conn *conn,
                           void (*work)(struct wsk__conn *conn));

/* Have the body file of a connection that ends without a handler closed there:
 * giving back the blocks of a long file takes a while. */
void wsk__exchange_drop_file(struct wsk__conn *conn);

#endif
