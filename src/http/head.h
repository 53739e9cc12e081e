/* http/head: octets to request head; every rule of RFC 9112 3 and 5, and what
 * 9110 says of Host, Content-Length, Transfer-Encoding, Connection, Expect and
 * Upgrade, is decided here. */
#ifndef WSK_HTTP_HEAD_H
#define WSK_HTTP_HEAD_H

#include "wsocket.h"

enum wsk__head_result {
    WSK__HEAD_PARTIAL, /* no complete head yet */
    WSK__HEAD_OK,
    WSK__HEAD_BAD,     /* *status is the answer */
};

/*
 * Where a head is unpacked: `head` and room for `cap` fields behind it. Whoever
 * runs the engine lends one (wsk__http_lend); a thread needs only one for all
 * its connections.
 */
struct wsk__head_store {
    wsk_head head;
    size_t cap;
    wsk_header fields[]; /* cap of them; head.headers points here */
};

/* A store for limits->max_headers fields; NULL when out of memory. */
struct wsk__head_store *wsk__head_store_new(const wsk_limits *limits);

/*
 * Look for a head at the start of data[0..len).
 *
 * *scan   octets known to hold no end of head; 0 at first, kept by the caller
 *         between calls with the same, longer data: no octet is searched twice
 * *used   on OK: octets of the head, its empty line and skipped CRLFs included
 * *status on BAD: 400, 414, 417, 431, 501 or 505
 *
 * The views in store->head point into data.
 */
enum wsk__head_result wsk__head_parse(const char *data, size_t len,
                                      size_t *scan, const wsk_limits *limits,
                                      struct wsk__head_store *store,
                                      size_t *used, int *status);

/* Every view in store->head that points into the old text now points at the
 * same place in the text at `to`. */
void wsk__head_rebase(struct wsk__head_store *store, const char *from,
                      const char *to);

#endif
