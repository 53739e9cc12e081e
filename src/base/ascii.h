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

/* RFC 9110 5.6.2. */
bool wsk__is_tchar(unsigned char c);
bool wsk__is_token(const char *p, size_t len); /* false when empty */

/* RFC 9110 5.5: no control but HTAB; octets above 0x7f pass (obs-text). */
bool wsk__is_field_value(const char *p, size_t len);

static inline bool wsk__str_is(wsk_str s, const char *lit)
{
    size_t n = strlen(lit);

    return s.len == n && memcmp(s.p, lit, n) == 0;
}

/* ASCII case ignored. */
bool wsk__str_ieq(wsk_str s, const char *lit);

/* Without SP and HTAB at both ends. */
wsk_str wsk__str_trim(wsk_str s);

/*
 * Walk a comma-separated list (9110 5.6.1.2): empty elements are skipped,
 * elements are trimmed. *pos starts at 0. False at the end. Quoted strings are
 * not looked into: for lists of tokens.
 */
bool wsk__list_next(wsk_str list, size_t *pos, wsk_str *item);

#endif
