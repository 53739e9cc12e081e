/* http/body: find the end of a request's body, by Content-Length or chunks (RFC
 * 9112 6, 7). The data is passed on without being copied. */
#ifndef WSK_HTTP_BODY_H
#define WSK_HTTP_BODY_H

#include "wsocket.h"

struct wsk__body_scan {
    uint64_t left;  /* octets still to come of the body, or of the chunk */
    uint64_t room;  /* octets of data that max_body still allows; then the
                       trailers that max_headers still allows */
    uint64_t slack; /* octets of framing that are still allowed */
    uint8_t state;  /* an enum state of body.c */
};

enum wsk__body_result {
    WSK__BODY_MORE, /* no data yet */
    WSK__BODY_DATA, /* *run is data; perhaps the last: see wsk__body_scan_done()
                     */
    WSK__BODY_DONE, /* complete; no more is taken */
    WSK__BODY_BAD,  /* *status is the answer */
};

/* Begin a body. Returns 0, or 413 when the head announces too much. */
int wsk__body_scan_begin(struct wsk__body_scan *b, const wsk_head *head,
                         const wsk_limits *limits);

bool wsk__body_scan_done(const struct wsk__body_scan *b);

/*
 * Take octets of the body, at most up to the end of one run of data.
 *
 * *used    octets taken
 * *run     on DATA: the data, within data[0..len); *run_len of it, not 0
 * *status  on BAD: 400, 413 or 431
 */
enum wsk__body_result wsk__body_scan_take(struct wsk__body_scan *b,
                                          const wsk_limits *limits,
                                          const uint8_t *data, size_t len,
                                          size_t *used, const uint8_t **run,
                                          size_t *run_len, int *status);

#endif
