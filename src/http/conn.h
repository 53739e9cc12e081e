/* http/conn: one HTTP/1.1 connection: whose turn it is, keep-alive,
 * 100-continue, and the one fail() door. The server embeds the struct; everyone
 * else sees wsocket.h. */
#ifndef WSK_HTTP_CONN_H
#define WSK_HTTP_CONN_H

#include "base/buf.h"
#include "http/body.h"
#include "http/head.h"
#include "wsocket.h"

/* Who embeds it minds its size and lends to `out`; the rest is conn.c's own. */
struct wsk_http {
    const wsk_limits *limits;
    struct wsk__head_store *store; /* lent, or `kept`; NULL: none */
    const char *date;              /* borrowed; NULL: none */
    struct wsk__buf out; /* while it is empty, a server may lend it a block, and
                            take that back when it is empty again */
    union {
        struct { /* while input is INPUT_HEAD */
            struct wsk__buf partial;
            struct wsk__head_scan scan;
        };
        struct {           /* afterwards */
            uint8_t *text; /* owned: where the head's views point, if not into
                              the caller's octets or a kept store */
            const uint8_t *run; /* of body data, waiting in next(); or the line
                                   of a refused head, which is in `text` */
            size_t run_len;
            uint64_t send_left; /* octets of the answer's body to come */
            struct wsk__body body;
        };
    };
    uint32_t drain;  /* octets of unread body that may still be thrown away */
    uint16_t status; /* of the failure */
    uint8_t input;   /* enum input of conn.c */
    uint8_t answer;  /* enum answer */
    uint8_t framing; /* enum wsk__framing of the answer */
    uint8_t events;  /* those that wait in next(): a set of enum event */
    bool owner : 1;  /* made by wsk_http_new() */
    bool kept : 1;   /* store is ours */
    bool eof : 1;    /* the peer will send no more */
    bool keep_alive : 1;
    bool to_head : 1;   /* the request is a HEAD */
    bool wants_100 : 1; /* the peer holds its body back until we say 100 */
    bool cut : 1;       /* the answer was longer than announced */
    bool upgraded : 1;  /* answered 101 */
};

/* limits is borrowed for the engine's life; no memory is taken. */
void wsk__http_init(struct wsk_http *h, const wsk_limits *limits);

/* Give back all memory, lent things excepted. */
void wsk__http_clear(struct wsk_http *h);

/* Where the next head is unpacked. Lend before each wsk_http_feed() that may
 * begin a request; the loan ends with the request or wsk__http_keep_head(). */
void wsk__http_lend(struct wsk_http *h, struct wsk__head_store *store);

/* The head must outlive the octets it was parsed from, and the lent store:
 * copy both (exactly as much as is used) into memory of the engine's own; the
 * head stands at another address then. Returns WSK_OK, WSK_E_NOMEM, or
 * WSK_E_STATE (no request is open). */
wsk_status wsk__http_keep_head(struct wsk_http *h);

/* The head of the open request, also when it has been answered but not yet
 * released; NULL when none is open. */
const wsk_head *wsk__http_head(const struct wsk_http *h);

/* The octets of that head, from the method to the last empty line. */
const char *wsk__http_head_text(const struct wsk_http *h, size_t *len);

/* Whether a head has begun to arrive: then its deadline runs, not that of an
 * idle connection. */
bool wsk__http_head_begun(const struct wsk_http *h);

/* Whether the next request is awaited, and nothing of it has come. */
bool wsk__http_idle(const struct wsk_http *h);

/* Octets of memory that an unfinished head takes. */
size_t wsk__http_partial_size(const struct wsk_http *h);

/* Whether what is left of an answered request's body is being thrown away. */
bool wsk__http_draining(const struct wsk_http *h);

/*
 * For bodies too large to copy: account for `len` body octets which the caller
 * itself writes right behind out_buf(). Returns how many of them may be
 * written (fewer past the announced length, 0 without a body), or SIZE_MAX when
 * the framing is chunked: use wsk_http_send_body().
 */
size_t wsk__http_admit_body(struct wsk_http *h, size_t len);

/* An embedded engine holds the head past wsk_http_send_end(), for a handler
 * that goes on after its answer: now it may go, and the next request come. */
void wsk__http_release(struct wsk_http *h);

/* The open request is the connection's last; before its answer begins. */
void wsk__http_last(struct wsk_http *h);

/* The answer will never be complete: end the connection so that the client can
 * tell (no last chunk, fewer octets than announced). */
void wsk__http_cut(struct wsk_http *h);

/* The peer broke a rule or ran out of time: queue the answer `status` (if none
 * has begun) and end. For the server's own refusals: 408, 413, 503. */
void wsk__http_fail(struct wsk_http *h, int status);

/* The status of that refusal, or of one for what the peer sent; 0: none. And
 * how the request began that was refused before its head was read, until the
 * engine is cleared; maybe empty, and any octets may be in it. */
int wsk__http_refused(const struct wsk_http *h);
wsk_str wsk__http_refused_line(const struct wsk_http *h);

/* The open request was answered 101: HTTP is over on this connection, the rest
 * of the octets is somebody else's. wsk_http_done() stays false; a kept head
 * stays until wsk__http_clear(). */
void wsk__http_upgraded(struct wsk_http *h);

#endif
