#include "harness.h"

#include "ws/mask.h"

static const uint8_t KEY[4] = {0x37, 0xfa, 0x21, 0x3d};

TEST(the_example_of_the_rfc_comes_out) /* RFC 6455 5.7 */
{
    uint8_t out[5];

    wsk__mask_copy(out, (const uint8_t *)"\x7f\x9f\x4d\x51\x58", 5, KEY, 0);
    EXPECT_OCTETS(out, 5, "Hello");
}

/* 5.3, to the letter, for each length, place in the payload and alignment. */
TEST(every_octet_meets_its_own_octet_of_the_key)
{
    for (size_t n = 0; n < 70; n++)
        for (uint64_t offset = 0; offset < 9; offset++)
            for (size_t shift = 0; shift < 8; shift++) {
                uint8_t *src = malloc(shift + n + 1);
                uint8_t *dst = malloc(shift + n + 1);
                int wrong = 0;

                for (size_t i = 0; i < shift + n; i++)
                    src[i] = (uint8_t)(7 * i + 1);
                wsk__mask_copy(dst + shift, src + shift, n, KEY, offset);
                for (size_t i = 0; i < n; i++)
                    wrong += dst[shift + i] !=
                             (src[shift + i] ^ KEY[(offset + i) % 4]);
                EXPECT(wrong == 0);
                free(src);
                free(dst);
            }
}

TEST(offsets_past_32_bits_count)
{
    uint8_t out[4];

    wsk__mask_copy(out, (const uint8_t *)"\0\0\0\0", 4, KEY,
                   (UINT64_C(1) << 40) + 1);
    EXPECT_OCTETS(out, 4, "\xfa\x21\x3d\x37");
}

TEST(octets_may_be_unmasked_where_they_stand)
{
    uint8_t *at = malloc(1000);
    int wrong = 0;

    for (int i = 0; i < 1000; i++)
        at[i] = (uint8_t)(i % 127) ^ KEY[i % 4];
    wsk__mask_copy(at, at, 1000, KEY, 0);
    for (int i = 0; i < 1000; i++)
        wrong += at[i] != i % 127;
    EXPECT(wrong == 0);
    free(at);
}

/* Every length around the widths of vectors, the odd octet in every place. */
TEST(one_octet_that_is_not_ascii_is_seen_wherever_it_stands)
{
    uint8_t *src = calloc(400, 1), *dst = malloc(400);
    int wrong = 0;

    for (size_t n = 0; n < 400; n += n < 80 ? 1 : 37) {
        for (size_t i = 0; i < n; i++)
            src[i] = 'a' ^ KEY[i % 4];
        wrong += !wsk__mask_copy(dst, src, n, KEY, 0);
        for (size_t at = 0; at < n; at++) {
            src[at] ^= 0x80;
            wrong += wsk__mask_copy(dst, src, n, KEY, 0);
            src[at] ^= 0x80;
        }
    }
    EXPECT(wrong == 0);
    free(src);
    free(dst);
}
