/* base/utf8: validate UTF-8 (RFC 3629) that arrives in pieces. */
#ifndef WSK_BASE_UTF8_H
#define WSK_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* State between two pieces of a text; all zero at its start. */
struct wsk__utf8 {
    uint8_t need;   /* bytes that the open code point still lacks, 0..3 */
    uint8_t lo, hi; /* the next of them lies in lo..hi; unset if need is 0 */
};

/* Continue the text with p[0..n). False as soon as a byte is not allowed where
 * it stands; the text is invalid then, and `u` has no more meaning. */
bool wsk__utf8_feed(struct wsk__utf8 *u, const uint8_t *p, size_t n);

/* True where a text may end: no code point is open. */
static inline bool wsk__utf8_complete(const struct wsk__utf8 *u)
{
    return u->need == 0;
}

/* True if p[0..n) is a whole valid text. */
bool wsk__utf8_valid(const uint8_t *p, size_t n);

/* Return the bytes of the first letter in p[0..n), and its code in *code; 0
 * where there is none. */
size_t wsk__utf8_letter(const uint8_t *p, size_t n, uint32_t *code);

/* Return the length, at most `max`, to which the valid text p[0..n) can be cut
 * without splitting a code point. */
size_t wsk__utf8_cut(const uint8_t *p, size_t n, size_t max);

#endif
