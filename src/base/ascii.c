#include "ascii.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#endif

const unsigned char wsk__tchar[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1,
    ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 3,
    ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0'] = 1, ['1'] = 1, ['2'] = 1,
    ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1,
    ['9'] = 1, ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1,
    ['F'] = 1, ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1,
    ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1, ['Q'] = 1,
    ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1, ['W'] = 1,
    ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1,
    ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1,
    ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1, ['o'] = 1,
    ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1,
    ['v'] = 1, ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1,
};

bool wsk__is_token(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!wsk__tchar[(unsigned char)p[i]])
            return false;
    return len > 0;
}

const char *wsk__find_control_plain(const char *p, const char *end)
{
    for (; p < end; p++) {
        unsigned char c = (unsigned char)*p;

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            break;
    }
    return p;
}

const char *wsk__find_control(const char *p, const char *end)
{
#if defined(__SSE2__)
    const __m128i low = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'),
                  del = _mm_set1_epi8(0x7f);

    for (; end - p >= 16; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i is_low = _mm_cmpeq_epi8(_mm_min_epu8(x, low), x);
        __m128i hit =
            _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(x, tab), is_low),
                         _mm_cmpeq_epi8(x, del));
        int mask = _mm_movemask_epi8(hit);

        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#elif defined(__aarch64__) && defined(__ARM_NEON)
    const uint8x16_t low = vdupq_n_u8(0x1f), tab = vdupq_n_u8('\t'),
                     del = vdupq_n_u8(0x7f);

    for (; end - p >= 16; p += 16) {
        uint8x16_t x = vld1q_u8((const uint8_t *)p);
        uint8x16_t hit = vorrq_u8(vbicq_u8(vcleq_u8(x, low), vceqq_u8(x, tab)),
                                  vceqq_u8(x, del));
        /* Half an octet of each of the 16 answers: NEON has no movemask. */
        uint64_t mask = vget_lane_u64(
            vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(hit), 4)), 0);

        if (mask != 0)
            return p + __builtin_ctzll(mask) / 4;
    }
#endif
    return wsk__find_control_plain(p, end);
}

bool wsk__is_field_value(const char *p, size_t len)
{
    return wsk__find_control(p, p + len) == p + len;
}

bool wsk__read_length(wsk_str s, uint64_t *length)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';

        if (digit > 9 || n > ((uint64_t)INT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *length = n;
    return s.len > 0;
}

bool wsk__str_ieq(wsk_str s, const char *lit)
{
    if (s.len != strlen(lit))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (wsk__lower((unsigned char)s.p[i]) !=
            wsk__lower((unsigned char)lit[i]))
            return false;
    return true;
}

wsk_str wsk__str_trim(wsk_str s)
{
    while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.len--;
    while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool wsk__list_next(wsk_str list, size_t *pos, wsk_str *item)
{
    while (*pos < list.len) {
        const char *from = list.p + *pos;
        const char *comma = memchr(from, ',', list.len - *pos);
        size_t n = comma ? (size_t)(comma - from) : list.len - *pos;

        *pos += n + (comma != NULL);
        *item = wsk__str_trim((wsk_str){from, n});
        if (item->len > 0)
            return true;
    }
    return false;
}

bool wsk__list_has(wsk_str list, const char *lit)
{
    wsk_str item;
    size_t pos = 0;

    while (wsk__list_next(list, &pos, &item))
        if (wsk__str_ieq(item, lit))
            return true;
    return false;
}
