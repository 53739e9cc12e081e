/* base/ascii: locale-free character classes and comparisons. */
#ifndef WSK_BASE_ASCII_H
#define WSK_BASE_ASCII_H

#include "wsocket.h"

#include <string.h>

static inline int wsk__lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static inline bool wsk__is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* Return the value of a hexadecimal digit; -1 for any other character. */
static inline int wsk__hex(int c)
{
    if (wsk__is_digit(c))
        return c - '0';
    c = wsk__lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Classes of characters, a set; 0: no tchar (RFC 9110 5.6.2). */
enum {
    WSK__TCHAR = 1,
    WSK__UNDERSCORE = 2, /* CGI cannot tell it from a dash */
    WSK__COMMON = 4,     /* letters, digits, dash, dot */
};
extern const unsigned char wsk__tchar[256];

static inline bool wsk__is_tchar(unsigned char c)
{
    return wsk__tchar[c] != 0;
}

bool wsk__is_token(const char *p, size_t len); /* false when empty */

/* Return the first byte in [p, end) that is DEL or a control but no HTAB; else
 * `end`. The second function does the same a byte at a time. */
const char *wsk__find_control(const char *p, const char *end);
const char *wsk__find_control_plain(const char *p, const char *end);

/* Return the first byte in [p, end) that is no letter, digit, dash or dot; else
 * `end`. The second function does the same a byte at a time. */
const char *wsk__skip_common(const char *p, const char *end);
const char *wsk__skip_common_plain(const char *p, const char *end);

/* True if all bytes are visible ASCII and none is '#' (RFC 9112 3.2). The
 * second function does the same a byte at a time. */
bool wsk__is_target(const char *p, const char *end);
bool wsk__is_target_plain(const char *p, const char *end);

/* True if no byte is a control but HTAB (RFC 9110 5.5); bytes above 0x7f pass
 * (obs-text). */
bool wsk__is_field_value(const char *p, size_t len);

static inline bool wsk__str_is(wsk_str s, const char *lit)
{
    size_t n = strlen(lit);

    return s.len == n && memcmp(s.p, lit, n) == 0;
}

/*
 * True if the token `name` is `lit` (lower case letters and dashes) of the same
 * length, ASCII case ignored: for a switch over name.len. The case bit turns no
 * other tchar into a letter.
 */
static inline bool wsk__name_is(wsk_str name, const char *lit)
{
    for (size_t i = 0; i < name.len; i++)
        if ((name.p[i] | 0x20) != lit[i])
            return false;
    return true;
}

/* The same for any bytes and any length. */
bool wsk__name_matches(wsk_str name, const char *lit, size_t len);

/* Read one or more digits and nothing else (RFC 9110 8.6). False also from 2^63
 * on, so that sums of lengths do not wrap. */
bool wsk__read_length(wsk_str s, uint64_t *length);

/* Read 1 to `digits` decimal digits and nothing else; `digits` is at most 9.
 * False also above `max`. Leading zeros are accepted; a caller that forbids
 * them checks that itself. */
bool wsk__read_decimal(wsk_str s, size_t digits, unsigned max, unsigned *n);

/* Compare, ASCII case ignored. */
bool wsk__str_ieq(wsk_str s, const char *lit);

/* Return `s` without SP and HTAB at both ends. */
wsk_str wsk__str_trim(wsk_str s);

/*
 * Walk a comma-separated list (RFC 9110 5.6.1.2): empty elements are skipped,
 * elements are trimmed. *pos starts at 0. False at the end. Quoted strings are
 * not recognised: for lists of tokens.
 */
bool wsk__list_next(wsk_str list, size_t *pos, wsk_str *item);

/* True if such a list has the member `lit`, ASCII case ignored. */
bool wsk__list_has(wsk_str list, const char *lit);

#endif
