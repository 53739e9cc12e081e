#include "harness.h"

#include "base/sha1.h"

static void expect_digest(const void *data, size_t len, const char *hex)
{
    uint8_t digest[WSK__SHA1_LEN];
    char text[2 * WSK__SHA1_LEN + 1];
    unsigned char *p = exact(data, len);

    wsk__sha1(p, len, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    EXPECT(strcmp(text, hex) == 0);
    free(p);
}

TEST(the_examples_of_the_standard_come_out) /* FIPS 180-2 A */
{
    static const char two_blocks[] =
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

    expect_digest("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    expect_digest("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
    expect_digest(two_blocks, 56, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

TEST(a_million_letters_come_out) /* FIPS 180-2 A.3 */
{
    char *text = malloc(1000000);

    memset(text, 'a', 1000000);
    expect_digest(text, 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    free(text);
}

TEST(lengths_round_the_end_of_a_block_come_out)
{
    static const struct {
        size_t len;
        const char *hex;
    } cases[] = {
        {55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"},
        {56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"},
        {57, "f08f24908d682555111be7ff6f004e78283d989a"},
        {60, "13d956033d9af449bfe2c4ef78c17c20469c4bf1"},
        {63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"},
        {64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"},
        {65, "11655326c708d70319be2610e8a57d9a5b959d3b"},
        {119, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56"},
        {120, "f34c1488385346a55709ba056ddd08280dd4c6d6"},
        {127, "89d95fa32ed44a7c610b7ee38517ddf57e0bb975"},
        {128, "ad5b3fdbcb526778c2839d2f151ea753995e26a0"},
    };
    char text[128];

    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        expect_digest(text, cases[i].len, cases[i].hex);
}
