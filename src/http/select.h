/* http/select: select what a request wants of a file: conditions (RFC 9110 13),
 * a range (14), an encoding (12.5.3), and the dates in them (5.6.7). No I/O. */
#ifndef WSK_HTTP_SELECT_H
#define WSK_HTTP_SELECT_H

#include "wsocket.h"

enum { WSK__HTTP_DATE = 29 };

/* Write seconds since 1970 as an IMF-fixdate, WSK__HTTP_DATE characters and a
 * NUL. */
void wsk__date_write(int64_t seconds, char text[WSK__HTTP_DATE + 1]);

/* Read a date in any of the three forms; false for any other text. `now`
 * decides the century of a year of two digits. */
bool wsk__date_read(wsk_str text, int64_t now, int64_t *seconds);

/* True if the list of entity tags has `tag` (strong, with its quotes), or is
 * "*". `weak`: W/"x" counts as "x". */
bool wsk__etag_listed(wsk_str list, wsk_str tag, bool weak);

/* Values that the conditions are compared with. */
struct wsk__validators {
    wsk_str etag;     /* strong, with its quotes */
    int64_t modified; /* seconds since 1970 */
    int64_t now;
};

/* Evaluate the conditions of a GET or HEAD in the order of RFC 9110 13.2.2: 200
 * (go on), 304 or 412. */
int wsk__conditions(const wsk_head *head, const struct wsk__validators *v);

enum wsk__range { WSK__RANGE_WHOLE, WSK__RANGE_PART, WSK__RANGE_NONE };

/*
 * Decide which of `size` octets a GET wants. PART: *first and *last, both
 * inclusive. NONE: not one of them exists (416). For a list of several ranges,
 * an unknown unit, or an If-Range that does not hold: the whole.
 */
enum wsk__range wsk__range_of(const wsk_head *head,
                              const struct wsk__validators *v, uint64_t size,
                              uint64_t *first, uint64_t *last);

/* True if the request accepts the content coding; `coding` in lower case. */
bool wsk__accepts_coding(const wsk_head *head, const char *coding);

/* Return the media type for the end of a file's name. */
const char *wsk__media_type(const char *name);

#endif
