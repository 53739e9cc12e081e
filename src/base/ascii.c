#include "ascii.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>

/* Reduce each of 16 answers to four bits: NEON has no movemask. */
static uint64_t halves(uint8x16_t answers)
{
    return vget_lane_u64(
        vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(answers), 4)), 0);
}
#endif

const unsigned char wsk__tchar[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1,
    ['*'] = 1, ['+'] = 1, ['-'] = 5, ['.'] = 5, ['0'] = 5, ['1'] = 5,
    ['2'] = 5, ['3'] = 5, ['4'] = 5, ['5'] = 5, ['6'] = 5, ['7'] = 5,
    ['8'] = 5, ['9'] = 5, ['A'] = 5, ['B'] = 5, ['C'] = 5, ['D'] = 5,
    ['E'] = 5, ['F'] = 5, ['G'] = 5, ['H'] = 5, ['I'] = 5, ['J'] = 5,
    ['K'] = 5, ['L'] = 5, ['M'] = 5, ['N'] = 5, ['O'] = 5, ['P'] = 5,
    ['Q'] = 5, ['R'] = 5, ['S'] = 5, ['T'] = 5, ['U'] = 5, ['V'] = 5,
    ['W'] = 5, ['X'] = 5, ['Y'] = 5, ['Z'] = 5, ['^'] = 1, ['_'] = 3,
    ['`'] = 1, ['a'] = 5, ['b'] = 5, ['c'] = 5, ['d'] = 5, ['e'] = 5,
    ['f'] = 5, ['g'] = 5, ['h'] = 5, ['i'] = 5, ['j'] = 5, ['k'] = 5,
    ['l'] = 5, ['m'] = 5, ['n'] = 5, ['o'] = 5, ['p'] = 5, ['q'] = 5,
    ['r'] = 5, ['s'] = 5, ['t'] = 5, ['u'] = 5, ['v'] = 5, ['w'] = 5,
    ['x'] = 5, ['y'] = 5, ['z'] = 5, ['|'] = 1, ['~'] = 1,
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
        uint64_t mask = halves(hit);

        if (mask != 0)
            return p + __builtin_ctzll(mask) / 4;
    }
#endif
    return wsk__find_control_plain(p, end);
}

const char *wsk__skip_common_plain(const char *p, const char *end)
{
    while (p < end && (wsk__tchar[(unsigned char)*p] & WSK__COMMON))
        p++;
    return p;
}

const char *wsk__skip_common(const char *p, const char *end)
{
#if defined(__SSE2__)
    const __m128i bit = _mm_set1_epi8(0x20), a = _mm_set1_epi8('a'),
                  z = _mm_set1_epi8('z' - 'a'), zero = _mm_set1_epi8('0'),
                  nine = _mm_set1_epi8('9' - '0'), dash = _mm_set1_epi8('-'),
                  less = _mm_set1_epi8('.' - '-');

    for (; end - p >= 16; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i letter = _mm_sub_epi8(_mm_or_si128(x, bit), a);
        __m128i digit = _mm_sub_epi8(x, zero), mark = _mm_sub_epi8(x, dash);
        __m128i good = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(letter, z), letter),
                         _mm_cmpeq_epi8(_mm_min_epu8(digit, nine), digit)),
            _mm_cmpeq_epi8(_mm_min_epu8(mark, less), mark));
        unsigned mask = (unsigned)_mm_movemask_epi8(good);

        if (mask != 0xffff)
            return p + __builtin_ctz(~mask);
    }
#elif defined(__aarch64__) && defined(__ARM_NEON)
    for (; end - p >= 16; p += 16) {
        uint8x16_t x = vld1q_u8((const uint8_t *)p);
        uint8x16_t letter =
            vsubq_u8(vorrq_u8(x, vdupq_n_u8(0x20)), vdupq_n_u8('a'));
        uint8x16_t good = vorrq_u8(
            vorrq_u8(
                vcleq_u8(letter, vdupq_n_u8('z' - 'a')),
                vcleq_u8(vsubq_u8(x, vdupq_n_u8('0')), vdupq_n_u8('9' - '0'))),
            vcleq_u8(vsubq_u8(x, vdupq_n_u8('-')), vdupq_n_u8('.' - '-')));
        uint64_t bad = ~halves(good);

        if (bad != 0)
            return p + __builtin_ctzll(bad) / 4;
    }
#endif
    return wsk__skip_common_plain(p, end);
}

bool wsk__is_target_plain(const char *p, const char *end)
{
    for (; p < end; p++) {
        unsigned char c = (unsigned char)*p;

        if (c <= ' ' || c >= 0x7f || c == '#')
            return false;
    }
    return true;
}

bool wsk__is_target(const char *p, const char *end)
{
#if defined(__SSE2__)
    const __m128i blank = _mm_set1_epi8(' '), del = _mm_set1_epi8(0x7f),
                  hash = _mm_set1_epi8('#');

    for (; end - p >= 16; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* The comparison is signed: bytes above 0x7f are less than a blank. */
        __m128i good = _mm_andnot_si128(
            _mm_or_si128(_mm_cmpeq_epi8(x, del), _mm_cmpeq_epi8(x, hash)),
            _mm_cmpgt_epi8(x, blank));

        if (_mm_movemask_epi8(good) != 0xffff)
            return false;
    }
#elif defined(__aarch64__) && defined(__ARM_NEON)
    for (; end - p >= 16; p += 16) {
        uint8x16_t x = vld1q_u8((const uint8_t *)p);
        uint8x16_t bad = vorrq_u8(vorrq_u8(vcleq_u8(x, vdupq_n_u8(' ')),
                                           vcgeq_u8(x, vdupq_n_u8(0x7f))),
                                  vceqq_u8(x, vdupq_n_u8('#')));

        if (vmaxvq_u8(bad) != 0)
            return false;
    }
#endif
    return wsk__is_target_plain(p, end);
}

/* Longest value to read in words of eight bytes: vectors of sixteen cost more,
 * because up to fifteen bytes are left to read one by one. */
enum { SHORT_VALUE = 64 };

static uint64_t eight_octets(const char *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof x);
    return x;
}

/* True if none of eight bytes is below a space or is DEL. False for a tab, too,
 * and for some bytes behind a control: the caller reads these one by one. */
static bool is_plain_text(uint64_t x)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    uint64_t del = x ^ ones * 0x7f;

    return !((((x - ones * 0x20) & ~x) | ((del - ones) & ~del)) & high);
}

bool wsk__is_field_value(const char *p, size_t len)
{
    size_t i = 0;

    if (len < 8 || len > SHORT_VALUE)
        return wsk__find_control(p, p + len) == p + len;
    while (i + 8 < len && is_plain_text(eight_octets(p + i)))
        i += 8;
    if (i + 8 >= len && is_plain_text(eight_octets(p + len - 8)))
        return true;
    return wsk__find_control_plain(p + i, p + len) == p + len;
}

/* Compare eight bytes, ASCII case ignored. Each letter of `lit` has the bit
 * 0x40, half of which is the case bit; a dash has not, so it must be equal. */
static bool same_eight(const char *p, const char *lit)
{
    const uint64_t bits = UINT64_C(0x2020202020202020);
    uint64_t x = eight_octets(p), y = eight_octets(lit);

    return (x | (y >> 1 & bits)) == y;
}

bool wsk__name_matches(wsk_str name, const char *lit, size_t len)
{
    size_t i = 0;

    if (name.len != len)
        return false;
    if (len >= 8) {
        for (; i + 8 < len; i += 8)
            if (!same_eight(name.p + i, lit + i))
                return false;
        return same_eight(name.p + len - 8, lit + len - 8);
    }
    for (; i < len; i++)
        if ((name.p[i] | (lit[i] >> 1 & 0x20)) != lit[i])
            return false;
    return true;
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

bool wsk__read_decimal(wsk_str s, size_t digits, unsigned max, unsigned *n)
{
    unsigned value = 0;

    if (s.len == 0 || s.len > digits)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!wsk__is_digit((unsigned char)s.p[i]))
            return false;
        value = value * 10 + (unsigned)(s.p[i] - '0');
    }
    *n = value;
    return value <= max;
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
