/* http/reply: an answer to octets: is its head legal, where does its body end
 * (RFC 9112 6), and what every answer carries besides. */
#ifndef WSK_HTTP_REPLY_H
#define WSK_HTTP_REPLY_H

#include "base/buf.h"
#include "wsocket.h"

/* Where the body of an answer ends. */
enum wsk__framing {
    WSK__FRAMING_NONE,    /* it has none */
    WSK__FRAMING_LENGTH,  /* after Content-Length octets */
    WSK__FRAMING_CHUNKED, /* with the last chunk */
    WSK__FRAMING_CLOSE,   /* with the connection */
};

/* What is to be answered, and to whom. */
struct wsk__reply {
    int status;
    const char *reason; /* NULL: wsk_reason(status) */
    const wsk_header *headers;
    size_t n;
    uint64_t length; /* or WSK_LENGTH_UNKNOWN */

    const char *date; /* 29 octets; NULL: none */
    bool server;      /* add a Server field */
    bool http10;      /* to an HTTP/1.0 client */
    bool to_head;     /* to HEAD */

    /* Asked for by the caller, decided by wsk__reply_head(). */
    bool keep_alive; /* the connection stays open */

    /* Decided by wsk__reply_head(). */
    enum wsk__framing framing;
};

/*
 * Append the head of an answer to `out`; on LENGTH, reply->length octets of
 * body belong behind it. WSK_OK; WSK_E_ARG (a field, the reason, the status or
 * a length is illegal); WSK_E_NOMEM. Nothing is appended on failure.
 */
wsk_status wsk__reply_head(struct wsk__buf *out, struct wsk__reply *reply);

/* Append a 103 (RFC 8297). Returns of wsk__reply_head(). */
wsk_status wsk__reply_hints(struct wsk__buf *out, const wsk_header *headers,
                            size_t n);

/* Append `len` > 0 octets as one chunk; false when out of memory. */
bool wsk__reply_chunk(struct wsk__buf *out, const uint8_t *data, size_t len);

/* Append what stands before and behind a chunk of `len` > 0 octets that come
 * from elsewhere; false when out of memory. */
bool wsk__reply_chunk_open(struct wsk__buf *out, size_t len);
bool wsk__reply_chunk_close(struct wsk__buf *out);

/* Append the last chunk; false when out of memory. */
bool wsk__reply_last_chunk(struct wsk__buf *out);

/* Append the engine's own refusal, one line of text, and announce the close; of
 * *reply, status, date, server and to_head are read. If memory is out, the
 * close has to do. */
void wsk__reply_refusal(struct wsk__buf *out, struct wsk__reply *reply);

/* Octets of that line. */
size_t wsk__reply_refusal_len(int status);

#endif
