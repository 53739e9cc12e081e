#include "utf8.h"

#include <string.h>

enum { BLOCK = 32 }; /* bytes to test together while all are ASCII */

static const uint64_t HIGH_BITS = UINT64_C(0x8080808080808080);

static bool is_ascii_block(const uint8_t *p)
{
    uint64_t w[BLOCK / 8];

    memcpy(w, p, BLOCK);
    return ((w[0] | w[1] | w[2] | w[3]) & HIGH_BITS) == 0;
}

/* Return the first byte from p on that is not ASCII, or `end`. */
static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
    /* Most texts in other scripts have single ASCII bytes here and there: a
     * block is worth testing only where the first byte is ASCII. */
    if (p < end && *p >= 0x80)
        return p;
    while (end - p >= BLOCK && is_ascii_block(p))
        p += BLOCK;
    while (p < end && *p < 0x80)
        p++;
    return p;
}

/*
 * Begin a longer code point. The narrower ranges for its second byte are the
 * table of RFC 3629 4: they exclude overlong forms (E0, F0), surrogates (ED)
 * and code points past U+10FFFF (F4).
 */
static bool begin(struct wsk__utf8 *u, uint8_t c)
{
    if (c < 0xc2 || c > 0xf4)
        return false;
    u->need = (uint8_t)(1 + (c >= 0xe0) + (c >= 0xf0));
    u->lo = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    u->hi = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    return true;
}

bool wsk__utf8_feed(struct wsk__utf8 *u, const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;

    while (p < end) {
        if (u->need == 0) {
            p = skip_ascii(p, end);
            if (p < end && !begin(u, *p++))
                return false;
        } else {
            if (*p < u->lo || *p > u->hi)
                return false;
            u->lo = 0x80;
            u->hi = 0xbf;
            u->need--;
            p++;
        }
    }
    return true;
}

bool wsk__utf8_valid(const uint8_t *p, size_t n)
{
    struct wsk__utf8 u = {0};

    return wsk__utf8_feed(&u, p, n) && wsk__utf8_complete(&u);
}

size_t wsk__utf8_letter(const uint8_t *p, size_t n, uint32_t *code)
{
    struct wsk__utf8 u = {0};
    size_t len;

    if (n == 0)
        return 0;
    *code = *p;
    if (*p < 0x80)
        return 1;
    if (!begin(&u, *p))
        return 0;
    len = 1 + (size_t)u.need;
    if (n < len || !wsk__utf8_feed(&u, p + 1, len - 1))
        return 0;
    *code = *p & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        *code = *code << 6 | (p[i] & 0x3f);
    return len;
}

size_t wsk__utf8_cut(const uint8_t *p, size_t n, size_t max)
{
    if (n <= max)
        return n;
    while (max > 0 && (p[max] & 0xc0) == 0x80)
        max--;
    return max;
}
