/* Any octets, in any pieces: the validator must agree with a decoder that was
 * written from the table of RFC 3629 4, and masking must report the same octets
 * as ASCII. */
#include "fuzz.h"

#include "base/utf8.h"
#include "ws/mask.h"

/* Octets of the code point at p[0..n); 0: there is none. */
static size_t decode(const uint8_t *p, size_t n)
{
    size_t more = p[0] < 0x80 ? 0 : p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : 3;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint32_t c = p[0] & (more == 0 ? 0x7f : 0x3f >> more);

    if ((p[0] >= 0x80 && p[0] < 0xc0) || p[0] >= 0xf8 || n <= more)
        return 0;
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    return more + 1;
}

static bool is_text(const uint8_t *p, size_t n)
{
    for (size_t at = 0, step; at < n; at += step)
        if ((step = decode(p + at, n - at)) == 0)
            return false;
    return true;
}

/* The same in pieces of `most` octets. */
static bool fed(const uint8_t *p, size_t n, size_t most)
{
    struct wsk__utf8 u = {0};

    for (size_t at = 0, step; at < n; at += step) {
        step = most < n - at ? most : n - at;
        if (!wsk__utf8_feed(&u, p + at, step))
            return false;
    }
    return wsk__utf8_complete(&u);
}

static void check_mask(const uint8_t *p, size_t n)
{
    static const uint8_t key[4] = {0x12, 0xfe, 0x80, 0x7f};
    uint8_t *masked = malloc(n + 1);
    bool ascii = true;

    REQUIRE(masked != NULL);
    for (size_t i = 0; i < n; i++)
        ascii = ascii && p[i] < 0x80;
    wsk__mask_copy(masked, p, n, key, 3);
    REQUIRE(wsk__mask_copy(masked, masked, n, key, 3) == ascii);
    REQUIRE(n == 0 || memcmp(masked, p, n) == 0);
    free(masked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    bool text = is_text(data, len);

    REQUIRE(wsk__utf8_valid(data, len) == text);
    for (size_t most = 1; most < 70; most += most < 5 ? 1 : 31)
        REQUIRE(fed(data, len, most) == text);
    if (text)
        for (size_t max = 0; max < len && max < 20; max++) {
            size_t cut = wsk__utf8_cut(data, len, max);

            REQUIRE(cut <= max && max - cut < 4 && is_text(data, cut));
        }
    check_mask(data, len);
    return 0;
}
