/* base/utf8: is it UTF-8 (RFC 3629)? For text that arrives in pieces. */
#ifndef WSK_BASE_UTF8_H
#define WSK_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a text stands between two pieces; all zero at its start. */
struct wsk__utf8 {
    uint8_t need;   /* octets the open code point still lacks, 0..3 */
    uint8_t lo, hi; /* the next of them lies in lo..hi; unset if need is 0 */
};

/* The text goes on with p[0..n). False as soon as an octet stands where none
 * of its kind can; the text is lost then and `u` means nothing more. */
bool wsk__utf8_feed(struct wsk__utf8 *u, const uint8_t *p, size_t n);

/* True where a text may end: no code point is open. */
static inline bool wsk__utf8_complete(const struct wsk__utf8 *u)
{
    return u->need == 0;
}

/* Whether p[0..n) is a whole text. */
bool wsk__utf8_valid(const uint8_t *p, size_t n);

/* The octets of the letter that p[0..n) begins with, and which it is; 0 where
 * none stands. */
size_t wsk__utf8_letter(const uint8_t *p, size_t n, uint32_t *code);

/* The length, at most `max`, to which the valid text p[0..n) can be cut without
 * splitting a code point. */
size_t wsk__utf8_cut(const uint8_t *p, size_t n, size_t max);

#endif
