/* http/head: octets to request head; every rule of RFC 9112 3 and 5, and what
 * 9110 says of Host, Content-Length, Transfer-Encoding, Connection, Expect and
 * Upgrade, is decided here. */
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
 * Where a head is unpacked: `head` and room for `cap` fields behind it. Whoever
 * runs the engine lends one (wsk__http_lend); a thread needs only one for all
 * its connections.
 */
struct wsk__head_store {
    wsk_head head;
    size_t len; /* octets of text that the views point into: they begin at
                   head.method.p */
    size_t cap;
    wsk_header fields[]; /* cap of them; head.headers points here */
};

/* A store for limits->max_headers fields; NULL when out of memory. */
struct wsk__head_store *wsk__head_store_new(const wsk_limits *limits);

/* How far the search for the end of a head has come; all zero before it. */
struct wsk__head_scan {
    uint32_t at;     /* octets that were searched */
    uint32_t line;   /* where the line begins that was not complete */
    uint32_t fields; /* where the field lines begin; 0 in the request line */
    uint32_t lines;  /* complete field lines */
};

/* The most octets that can be found without an end: a head of which so many
 * have come is complete or bad. */
size_t wsk__head_cap(const wsk_limits *limits);

/*
 * Look for a head at the start of data[0..len).
 *
 * *scan   kept by the caller between calls with the same, longer data; so no
 *         octet is searched twice, but once more to unpack the complete head
 * *used   on OK: octets of the head, its empty line and skipped CRLFs included
 * *status on BAD: 400, 414, 417, 431, 501 or 505
 *
 * A line is judged when it is complete, a control octet at once, what fields
 * mean when the head is complete: so the verdict does not depend on how the
 * octets were cut into calls. The views in store->head point into data.
 */
enum wsk__head_result wsk__head_parse(const char *data, size_t len,
                                      struct wsk__head_scan *scan,
                                      const wsk_limits *limits,
                                      struct wsk__head_store *store,
                                      size_t *used, int *status);

/* host[:port] (RFC 9110 7.2); user information is none of it (4.2.4). Nothing
 * at all is allowed, a port of nothing is not (4.2.1). */
bool wsk__is_authority(wsk_str text);

/* Every view in store->head that points into the old text now points at the
 * same place in the text at `to`, whose first octet is that of the method. The
 * others stay as they are. */
void wsk__head_rebase(struct wsk__head_store *store, const char *to);

/* A copy of the store, with no more fields than are used, and of the text, in
 * one block for wsk__free(); NULL when out of memory. */
struct wsk__head_store *wsk__head_copy(const struct wsk__head_store *store);

#endif
