/* http/conn: one HTTP/1.1 connection: whose turn it is, keep-alive,
 * 100-continue, failures. The server embeds the struct; other code sees
 * wsocket.h. */
#ifndef WSK_HTTP_CONN_H
#define WSK_HTTP_CONN_H

#include "base/buf.h"
#include "http/body.h"
#include "http/head.h"
#include "wsocket.h"

/* Every field counts in the size of a connection. A server lends a block to
 * `out`; the other fields belong to conn.c. */
struct wsk_http {
    const wsk_limits *limits;
    struct wsk__head_store *store; /* lent, or owned if `kept`; NULL: none */
    const char *date;              /* borrowed; NULL: none */
    struct wsk__buf out; /* a server may lend it a block while it is empty, and
                            take the block back when it is empty again */
    union {
        struct { /* while input is INPUT_HEAD */
            struct wsk__buf partial;
            struct wsk__head_scan scan;
        };
        struct {           /* in every other state */
            uint8_t *text; /* owned: text of the head's views, if that is not
                              the caller's nor part of a kept store */
            const uint8_t *run; /* body data that waits for next(); or the line
                                   of a refused head, which is in `text` */
            size_t run_len;
            uint64_t send_left; /* octets still to come of the answer's body */
            struct wsk__body_scan body;
        };
    };
    uint32_t drain;  /* octets that may still be discarded of an unread body */
    uint32_t hsts;   /* seconds that answers tell; 0: none */
    uint16_t status; /* status of the failure; 0: none */
    uint8_t input;   /* an enum input of conn.c */
    uint8_t answer;  /* an enum answer */
    uint8_t framing; /* an enum wsk__framing, of the answer */
    uint8_t events;  /* a set of enum event: those that wait for next() */
    bool owner : 1;  /* made by wsk_http_new() */
    bool kept : 1;   /* `store` is owned */
    bool eof : 1;    /* the peer will send no more */
    bool keep_alive : 1;
    bool to_head : 1;   /* the request is a HEAD */
    bool wants_100 : 1; /* the peer withholds its body until we send 100 */
    bool cut : 1;       /* the answer was longer than announced */
    bool upgraded : 1;  /* the answer was 101 */
};

/* Initialize an engine. `limits` is borrowed for its life. Takes no memory. */
void wsk__http_init(struct wsk_http *h, const wsk_limits *limits);

/* Free all memory, except lent blocks. */
void wsk__http_clear(struct wsk_http *h);

/* Lend the store to which the next head is unpacked, before each
 * wsk_http_feed() that may begin a request. The loan ends with the request or
 * with wsk__http_keep_head(). */
void wsk__http_lend(struct wsk_http *h, struct wsk__head_store *store);

/* Copy the head and its text into memory of the engine's own, exactly as much
 * as is used: they then outlive the caller's input and the lent store. The head
 * moves to another address. Returns WSK_OK, WSK_E_NOMEM, or WSK_E_STATE when no
 * request is open. */
wsk_status wsk__http_keep_head(struct wsk_http *h);

/* Return the head of the open request, also when it has been answered but not
 * released; NULL when none is open. */
const wsk_head *wsk__http_head(const struct wsk_http *h);

/* Return the octets of that head, from the method to the last empty line. */
const char *wsk__http_head_text(const struct wsk_http *h, size_t *len);

/* True if a head has begun to arrive: then its deadline counts, not that of an
 * idle connection. */
bool wsk__http_head_begun(const struct wsk_http *h);

/* True if the next request is awaited, and nothing of it has come. */
bool wsk__http_idle(const struct wsk_http *h);

/* Return the bytes of memory that an unfinished head takes. */
size_t wsk__http_partial_size(const struct wsk_http *h);

/* True while the rest of an answered request's body is discarded. */
bool wsk__http_draining(const struct wsk_http *h);

/*
 * Account for `len` octets of a body too large to copy, which the caller itself
 * sends right behind out_buf(). Returns how many of them may be sent (fewer
 * past the announced length, 0 without a body), or SIZE_MAX when the framing is
 * chunked: then use wsk_http_send_body().
 */
size_t wsk__http_admit_body(struct wsk_http *h, size_t len);

/* Release the head, which an embedded engine keeps past wsk_http_send_end() for
 * a handler that goes on after its answer. The next request may then come. */
void wsk__http_release(struct wsk_http *h);

/* Tell clients in every answer from now on, which leaves by https, to use
 * https for so many seconds (RFC 6797); 0: no more. */
static inline void wsk__http_set_hsts(struct wsk_http *h, uint32_t seconds)
{
    h->hsts = seconds;
}

/* Make the open request the connection's last, before its answer begins. */
void wsk__http_last(struct wsk_http *h);

/* Cut an answer that will never be complete: end the connection so that the
 * client can tell (no last chunk, fewer octets than announced). */
void wsk__http_cut(struct wsk_http *h);

/* Queue the answer `status`, unless an answer has begun, and end the
 * connection: the peer broke a rule or ran out of time. For the server's own
 * refusals: 408, 413, 503. */
void wsk__http_fail(struct wsk_http *h, int status);

/* Return the status of that refusal, or of one for the peer's input; 0: none.
 * The second function returns the line of a request that was refused before its
 * head was read, until the engine is cleared; perhaps empty, and with any bytes
 * in it. */
int wsk__http_refused(const struct wsk_http *h);
wsk_str wsk__http_refused_line(const struct wsk_http *h);

/* Note that the open request was answered 101: HTTP has ended on this
 * connection, and further octets belong to the new protocol. wsk_http_done()
 * stays false; a kept head stays until wsk__http_clear(). */
void wsk__http_upgraded(struct wsk_http *h);

#endif
