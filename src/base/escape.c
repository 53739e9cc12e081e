#include "base/escape.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { MARK = sizeof(WSK__CUT) - 1, UNIT_MAX = 16 };

/* True for a character past ASCII that ends a line or controls the display: C1
 * controls, line and paragraph separators, marks and overrides of direction. */
static bool is_steering(uint32_t c)
{
    return c < 0xa0 || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* True if letters past ASCII are escaped. */
static bool is_ascii(enum wsk__escape how)
{
    return how == WSK__ESCAPE_ASCII || how == WSK__ESCAPE_WORD;
}

static size_t put_hex(char *out, char kind, uint32_t c, size_t digits)
{
    static const char HEX[] = "0123456789abcdef";

    out[0] = '\\';
    out[1] = kind;
    for (size_t i = digits; i > 0; i--, c >>= 4)
        out[1 + i] = HEX[c & 15];
    return 2 + digits;
}

/* Escape a character, none of which lies past U+FFFF. */
static size_t put_code(char *out, uint32_t c)
{
    return put_hex(out, 'u', c, 4);
}

static size_t put_octet(char *out, uint8_t c, enum wsk__escape how)
{
    return how == WSK__ESCAPE_JSON ? put_code(out, c) : put_hex(out, 'x', c, 2);
}

/* Escape a steering character of `used` bytes. */
static size_t put_steering(char *out, uint32_t c, const uint8_t *p, size_t used,
                           enum wsk__escape how)
{
    size_t n = 0;

    if (how == WSK__ESCAPE_JSON)
        return put_code(out, c);
    for (size_t i = 0; i < used; i++)
        n += put_octet(out + n, p[i], how);
    return n;
}

static size_t put_ascii(char *out, uint8_t c, enum wsk__escape how)
{
    bool quoted = how != WSK__ESCAPE_LINE && how != WSK__ESCAPE_TEXT &&
                  (c == '"' || c == '\\');

    if (c < 0x20 || c == 0x7f || (quoted && is_ascii(how)) ||
        (c == ' ' && how == WSK__ESCAPE_WORD))
        return put_octet(out, c, how);
    if (quoted)
        *out++ = '\\';
    *out = (char)c;
    return 1 + quoted;
}

/* Write a newline or tab of a text of several lines. A blank sets off a bracket
 * at the start of a line, because an entry of the log begins with one. */
static size_t put_space(char *out, const uint8_t *p, size_t len)
{
    out[0] = (char)*p;
    out[1] = ' ';
    return *p == '\n' && len > 1 && p[1] == '[' ? 2 : 1;
}

/* Write one character of the text at p, escaped where needed, and set *used to
 * its bytes. */
static size_t put_unit(char out[UNIT_MAX], const uint8_t *p, size_t len,
                       size_t *used, enum wsk__escape how)
{
    uint32_t c;

    *used = 1;
    if (how == WSK__ESCAPE_TEXT && (*p == '\n' || *p == '\t'))
        return put_space(out, p, len);
    if (*p < 0x80)
        return put_ascii(out, *p, how);
    if (!is_ascii(how))
        *used = wsk__utf8_letter(p, len, &c);
    if (is_ascii(how) || *used == 0) {
        *used = 1;
        return put_octet(out, *p, how);
    }
    if (is_steering(c))
        return put_steering(out, c, p, *used, how);
    memcpy(out, p, *used);
    return *used;
}

/* True if every kind of escape leaves the byte as it is. Most bytes are such; a
 * blank is not, though most kinds leave it. */
static bool is_plain(uint8_t c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != '\\';
}

size_t wsk__escape(char *dst, size_t cap, const char *src, size_t len,
                   enum wsk__escape how)
{
    const uint8_t *p = (const uint8_t *)src, *end = p + len;
    size_t n = 0, whole = 0; /* bytes of dst behind which the mark fits */

    while (p < end) {
        char unit[UNIT_MAX];
        size_t used, add;

        while (p < end && n + MARK < cap && is_plain(*p)) {
            dst[n++] = (char)*p++;
            whole = n;
        }
        if (p == end)
            break;
        add = put_unit(unit, p, (size_t)(end - p), &used, how);
        if (add > cap - n) {
            if (cap < MARK)
                return 0;
            memcpy(dst + whole, WSK__CUT, MARK);
            return whole + MARK;
        }
        memcpy(dst + n, unit, add);
        n += add;
        p += used;
        if (n + MARK <= cap)
            whole = n;
    }
    return n;
}
