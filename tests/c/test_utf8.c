#include "harness.h"

#include "base/utf8.h"

#include <stdint.h>

/* Octets at the edges of every range in the table of RFC 3629 4. */
static const uint8_t EDGES[] = {
    0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0,
    0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0,
    0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfb, 0xfc, 0xfe, 0xff,
};
enum { N_EDGES = sizeof(EDGES) };

/* RFC 3629 3: the octets of a code point; how many there are. */
static size_t encode(uint32_t c, uint8_t out[4])
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(lead[n] | c);
    return n;
}

/* The slow way: the code point p begins with is the one whose encoding p
 * begins with. */
static size_t decode_one(const uint8_t *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80             ? 1
                 : (p[0] & 0xe0) == 0xc0 ? 2
                 : (p[0] & 0xf0) == 0xe0 ? 3
                 : (p[0] & 0xf8) == 0xf0 ? 4
                                         : 0;
    uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);

    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    return len;
}

static bool valid_by_definition(const uint8_t *p, size_t n)
{
    while (n > 0) {
        size_t len = decode_one(p, n);

        if (len == 0)
            return false;
        p += len;
        n -= len;
    }
    return true;
}

/* Fed an octet at a time: valid, and how many octets passed. */
static bool valid_in_steps(const uint8_t *p, size_t n, size_t *passed)
{
    struct wsk__utf8 u = {0};

    for (*passed = 0; *passed < n; ++*passed)
        if (!wsk__utf8_feed(&u, p + *passed, 1))
            return false;
    return wsk__utf8_complete(&u);
}

static void agree(const uint8_t *p, size_t n)
{
    bool want = valid_by_definition(p, n);
    size_t passed;

    EXPECT(wsk__utf8_valid(p, n) == want);
    EXPECT(valid_in_steps(p, n, &passed) == want);
}

TEST(every_code_point_is_valid_but_surrogates) /* RFC 3629 3 */
{
    uint8_t octets[4];
    unsigned wrong = 0;

    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        size_t n = encode(c, octets);

        wrong += wsk__utf8_valid(octets, n) == (c >= 0xd800 && c <= 0xdfff);
    }
    EXPECT(wrong == 0);
}

TEST(code_points_past_10ffff_are_not_valid) /* RFC 3629 3 */
{
    uint8_t octets[4];
    unsigned wrong = 0;

    for (uint32_t c = 0x110000; c < 0x200000; c++)
        wrong += wsk__utf8_valid(octets, encode(c, octets));
    EXPECT(wrong == 0);
}

TEST(all_pairs_of_octets_agree_with_the_definition)
{
    for (unsigned x = 0; x < 0x10000; x++)
        agree((uint8_t[]){(uint8_t)(x >> 8), (uint8_t)x}, 2);
}

TEST(edge_octets_in_fours_agree_with_the_definition) /* RFC 3629 4 */
{
    for (int a = 0; a < N_EDGES; a++)
        for (int b = 0; b < N_EDGES; b++)
            for (int c = 0; c < N_EDGES; c++)
                for (int d = 0; d < N_EDGES; d++)
                    agree((uint8_t[]){EDGES[a], EDGES[b], EDGES[c], EDGES[d]},
                          4);
}

/* True if p can still become valid: the search for a valid continuation of its
 * longest prefix is short, since four octets decide. */
static bool can_go_on(const uint8_t *p, size_t n)
{
    uint8_t tail[3];

    for (size_t more = 0; more <= 3; more++) {
        for (unsigned x = 0; x < 1u << (2 * more); x++) {
            static const uint8_t tries[] = {0x80, 0x8f, 0x90, 0xbf};
            uint8_t whole[7];

            for (size_t i = 0; i < more; i++)
                tail[i] = tries[x >> (2 * i) & 3];
            memcpy(whole, p, n);
            memcpy(whole + n, tail, more);
            if (valid_by_definition(whole, n + more))
                return true;
        }
    }
    return false;
}

TEST(the_first_impossible_octet_is_refused) /* RFC 6455 8.1, Autobahn 6.4 */
{
    for (int a = 0; a < N_EDGES; a++)
        for (int b = 0; b < N_EDGES; b++)
            for (int c = 0; c < N_EDGES; c++) {
                uint8_t p[] = {EDGES[a], EDGES[b], EDGES[c]};
                size_t passed;

                valid_in_steps(p, 3, &passed);
                EXPECT(can_go_on(p, passed));
                EXPECT(passed == 3 || !can_go_on(p, passed + 1));
            }
}

TEST(a_text_may_be_cut_anywhere_between_two_pieces)
{
    static const char text[] = "plain ASCII, long enough for a block or two. "
                               "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5 "
                               "\xf0\x9f\x99\x82 and ASCII at the end again";
    size_t n = sizeof(text) - 1;

    for (size_t cut = 0; cut <= n; cut++) {
        uint8_t *first = exact(text, cut);
        uint8_t *second = exact(text + cut, n - cut);
        struct wsk__utf8 u = {0};

        EXPECT(wsk__utf8_feed(&u, first, cut));
        EXPECT(wsk__utf8_feed(&u, second, n - cut));
        EXPECT(wsk__utf8_complete(&u));
        free(first);
        free(second);
    }
}

TEST(one_bad_octet_is_found_wherever_it_stands)
{
    char text[100];

    for (size_t at = 0; at < sizeof(text); at++) {
        uint8_t *p;

        memset(text, 'a', sizeof(text));
        text[at] = '\xff';
        p = exact(text, sizeof(text));
        EXPECT(!wsk__utf8_valid(p, sizeof(text)));
        EXPECT(wsk__utf8_valid(p, at));
        free(p);
    }
}

TEST(a_text_that_ends_inside_a_code_point_is_not_complete)
{
    struct wsk__utf8 u = {0};

    EXPECT(wsk__utf8_feed(&u, (const uint8_t *)"a\xf0\x9f\x99", 4));
    EXPECT(!wsk__utf8_complete(&u));
    EXPECT(!wsk__utf8_valid((const uint8_t *)"a\xf0\x9f\x99", 4));
    EXPECT(wsk__utf8_valid((const uint8_t *)"", 0));
}

TEST(a_cut_never_splits_a_code_point)
{
    const uint8_t *text =
        (const uint8_t *)"a\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82";
    static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};

    for (size_t max = 0; max < sizeof(want) / sizeof(*want); max++)
        EXPECT(wsk__utf8_cut(text, 10, max) == want[max]);
}
