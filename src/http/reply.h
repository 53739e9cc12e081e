/* http/reply: from an answer to octets. Checks the head, frames the body (RFC
 * 9112 6), and adds the fields that every answer carries. */
#ifndef WSK_HTTP_REPLY_H
#define WSK_HTTP_REPLY_H

#include "base/buf.h"
#include "wsocket.h"

/* How the end of an answer's body is marked. */
enum wsk__framing {
    WSK__FRAMING_NONE,    /* no body */
    WSK__FRAMING_LENGTH,  /* by Content-Length */
    WSK__FRAMING_CHUNKED, /* by the last chunk */
    WSK__FRAMING_CLOSE,   /* by the end of the connection */
};

/* An answer and the request that it is for. */
struct wsk__reply {
    int status;
    const char *reason; /* NULL: wsk_reason(status) */
    const wsk_header *headers;
    size_t n;
    uint64_t length; /* or WSK_LENGTH_UNKNOWN */

    const char *date; /* 29 bytes; NULL: none */
    bool server;      /* add a Server field */
    uint32_t hsts;    /* seconds for Strict-Transport-Security; 0: none */
    bool http10;      /* the client speaks HTTP/1.0 */
    bool to_head;     /* the request is a HEAD */

    /* Requested by the caller, decided by wsk__reply_head(). */
    bool keep_alive; /* the connection stays open */

    /* Decided by wsk__reply_head(). */
    enum wsk__framing framing;
};

/*
 * Append the head of an answer to `out`; on LENGTH, reply->length octets of
 * body must follow. Returns WSK_OK; WSK_E_ARG when a field, the reason, the
 * status or a length is illegal; WSK_E_NOMEM. Nothing is appended on failure.
 */
wsk_status wsk__reply_head(struct wsk__buf *out, struct wsk__reply *reply);

/* Append a 103 (RFC 8297). Returns as wsk__reply_head() does. */
wsk_status wsk__reply_hints(struct wsk__buf *out, const wsk_header *headers,
                            size_t n);

/* Append `len` > 0 bytes as one chunk; false when memory is out. */
bool wsk__reply_chunk(struct wsk__buf *out, const uint8_t *data, size_t len);

/* Append the framing before a chunk of `len` > 0 bytes that are sent apart, and
 * behind it; false when memory is out. */
bool wsk__reply_chunk_open(struct wsk__buf *out, size_t len);
bool wsk__reply_chunk_close(struct wsk__buf *out);

/* Append the last chunk; false when memory is out. */
bool wsk__reply_last_chunk(struct wsk__buf *out);

/* Append the engine's own refusal, one line of text, and announce the close. Of
 * *reply, status, date, server, hsts and to_head are read. If memory is out,
 * the peer sees only the close. */
void wsk__reply_refusal(struct wsk__buf *out, struct wsk__reply *reply);

/* Return the length of that line. */
size_t wsk__reply_refusal_len(int status);

#endif
