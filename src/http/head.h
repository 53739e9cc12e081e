/* http/head: from octets to request head. Decides every rule of RFC 9112 3 and
 * 5, and what RFC 9110 says of Host, Content-Length, Transfer-Encoding,
 * Connection, Expect and Upgrade. */
#ifndef WSK_HTTP_HEAD_H
#define WSK_HTTP_HEAD_H

#include "wsocket.h"

/* Octets of empty lines that may stand before a request (RFC 9112 2.2). */
enum { WSK__BLANK_MAX = 16 };

enum wsk__head_result {
    WSK__HEAD_PARTIAL, /* no complete head yet */
    WSK__HEAD_OK,
    WSK__HEAD_BAD, /* *status is the answer */
};

/*
 * Place to which a head is unpacked: `head`, with room for `cap` fields behind
 * it. The caller of an engine lends one (wsk__http_lend()); a thread needs only
 * one for all its connections.
 */
struct wsk__head_store {
    wsk_head head;
    size_t len; /* bytes of the text that the views point into, which begins at
                   head.method.p */
    size_t cap;
    wsk_header fields[]; /* `cap` of them; head.headers points here */
};

/* Make a store for limits->max_headers fields; NULL when memory is out. */
struct wsk__head_store *wsk__head_store_new(const wsk_limits *limits);

/* Progress of the search for the end of a head; all zero at first. */
struct wsk__head_scan {
    uint32_t at;     /* octets that have been searched */
    uint32_t line;   /* start of the first line that is not complete */
    uint32_t fields; /* start of the field lines; 0 in the request line */
    uint32_t lines;  /* number of complete field lines */
};

/* Return the most octets that may come without an end: a head of that length is
 * complete or bad. */
size_t wsk__head_cap(const wsk_limits *limits);

/*
 * Look for a head at the start of data[0..len).
 *
 * *scan   kept by the caller between calls with the same, longer data: no octet
 *         is searched twice, but once more to unpack the complete head
 * *used   on OK: octets of the head, its empty line and skipped CRLFs included
 * *status on BAD: 400, 414, 417, 431, 501 or 505
 *
 * A line is judged when it is complete, a control at once, the meaning of
 * fields when the head is complete: the verdict does not depend on how the
 * octets were cut into calls. The views in store->head point into data.
 */
enum wsk__head_result wsk__head_parse(const char *data, size_t len,
                                      struct wsk__head_scan *scan,
                                      const wsk_limits *limits,
                                      struct wsk__head_store *store,
                                      size_t *used, int *status);

/* Check host[:port] (RFC 9110 7.2), without user information (4.2.4). An empty
 * text is allowed, an empty host with a port is not (4.2.1). */
bool wsk__is_authority(wsk_str text);

/* Move every view in store->head that points into the old text to the same
 * place in the text at `to`, whose first byte is that of the method. The others
 * stay. */
void wsk__head_rebase(struct wsk__head_store *store, const char *to);

/* Copy the store, with as many fields as are used, and the text, in one block
 * for wsk__free(); NULL when memory is out. */
struct wsk__head_store *wsk__head_copy(const struct wsk__head_store *store);

#endif
