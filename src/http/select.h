/* http/select: what of a file a request wants: conditions (RFC 9110 13), a
 * range (14), an encoding (12.5.3), and the dates in them (5.6.7). Pure. */
#ifndef WSK_HTTP_SELECT_H
#define WSK_HTTP_SELECT_H

#include "wsocket.h"

enum { WSK__HTTP_DATE = 29 };

/* Seconds since 1970 as an IMF-fixdate, WSK__HTTP_DATE octets and a NUL. */
void wsk__date_write(int64_t seconds, char text[WSK__HTTP_DATE + 1]);

/* Any of the three forms; false for everything else. `now` decides the century
 * of a year of two digits. */
bool wsk__date_read(wsk_str text, int64_t now, int64_t *seconds);

/* Whether the list of entity tags has `tag` (with its quotes; strong), or is
 * "*". `weak`: W/"x" counts as "x". */
bool wsk__etag_listed(wsk_str list, wsk_str tag, bool weak);

/* What stands behind the conditions. */
struct wsk__validators {
    wsk_str etag;     /* strong, with its quotes */
    int64_t modified; /* seconds since 1970 */
    int64_t now;
};

/* 200 (go on), 304 or 412: RFC 9110 13.2.2, in its order. For GET and HEAD. */
int wsk__conditions(const wsk_head *head, const struct wsk__validators *v);

enum wsk__range { WSK__RANGE_WHOLE, WSK__RANGE_PART, WSK__RANGE_NONE };

/*
 * Which octets of `size` a GET wants. PART: *first and *last, both inclusive.
 * NONE: not one of them exists (416). A list of several ranges, an unknown
 * unit, an If-Range that does not hold: the whole.
 */
enum wsk__range wsk__range_of(const wsk_head *head,
                              const struct wsk__validators *v, uint64_t size,
                              uint64_t *first, uint64_t *last);

/* Whether the request takes the content coding; `coding` in lower case. */
bool wsk__accepts_coding(const wsk_head *head, const char *coding);

/* The media type by the end of a file's name. */
const char *wsk__media_type(const char *name);

#endif
