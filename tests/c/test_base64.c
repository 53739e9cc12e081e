#include "harness.h"

#include "base/base64.h"

static bool encodes(const char *data, size_t n, const char *want)
{
    size_t len = WSK__BASE64_LEN(n);
    unsigned char *in = exact(data, n), *text = exact(want, len);
    bool same;

    memset(text, 0, len);
    wsk__base64_encode(in, n, (char *)text);
    same = len == strlen(want) && memcmp(text, want, len) == 0;
    free(in);
    free(text);
    return same;
}

TEST(the_examples_of_the_standard_come_out) /* RFC 4648 10 */
{
    EXPECT(encodes("", 0, ""));
    EXPECT(encodes("f", 1, "Zg=="));
    EXPECT(encodes("fo", 2, "Zm8="));
    EXPECT(encodes("foo", 3, "Zm9v"));
    EXPECT(encodes("foob", 4, "Zm9vYg=="));
    EXPECT(encodes("fooba", 5, "Zm9vYmE="));
    EXPECT(encodes("foobar", 6, "Zm9vYmFy"));
}

TEST(the_whole_alphabet_is_used) /* RFC 4648 4 */
{
    static const char data[] =
        "\x00\x10\x83\x10\x51\x87\x20\x92\x8b\x30\xd3\x8f\x41\x14\x93\x51"
        "\x55\x97\x61\x96\x9b\x71\xd7\x9f\x82\x18\xa3\x92\x59\xa7\xa2\x9a"
        "\xab\xb2\xdb\xaf\xc3\x1c\xb3\xd3\x5d\xb7\xe3\x9e\xbb\xf3\xdf\xbf";

    EXPECT(encodes(data, 48,
                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                   "abcdefghijklmnopqrstuvwxyz0123456789+/"));
}

static bool decodes(const char *text, const char *want, size_t cap)
{
    size_t len = strlen(text), n = strlen(want), size = n < cap ? n : cap;
    unsigned char *in = exact(text, len), *out = exact(want, size);
    bool same;

    memset(out, 0, size);
    same = wsk__base64_decode((char *)in, len, out, size) == n &&
           memcmp(out, want, size) == 0;
    free(in);
    free(out);
    return same;
}

TEST(the_examples_of_the_standard_are_decoded) /* RFC 4648 10 */
{
    EXPECT(decodes("", "", 0));
    EXPECT(decodes("Zg==", "f", 1));
    EXPECT(decodes("Zm8=", "fo", 2));
    EXPECT(decodes("Zm9v", "foo", 3));
    EXPECT(decodes("Zm9vYg==", "foob", 4));
    EXPECT(decodes("Zm9vYmE=", "fooba", 5));
    EXPECT(decodes("Zm9vYmFy", "foobar", 6));
    EXPECT(decodes("+/+/", "\xfb\xff\xbf", 3));
}

TEST(no_more_is_written_than_there_is_room_for)
{
    for (size_t cap = 0; cap < 6; cap++)
        EXPECT(decodes("Zm9vYmFy", "foobar", cap));
}

TEST(what_is_no_base64_is_told) /* RFC 4648 3.2, 3.3 */
{
    static const char *const BAD[] = {"Zg",   "Zg=",  "Z===", "====",  "Zm9v=",
                                      "=Zm9", "Z=9v", "Zm-_", "Zm 9v", "%%%%"};
    uint8_t out[8];

    for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++)
        EXPECT(wsk__base64_decode(BAD[i], strlen(BAD[i]), out, sizeof(out)) ==
               WSK__BASE64_BAD);
}

static bool is_key(const char *text)
{
    unsigned char *p = exact(text, strlen(text));
    bool answer = wsk__base64_is_16_octets((char *)p, strlen(text));

    free(p);
    return answer;
}

TEST(sixteen_octets_are_recognised) /* RFC 6455 4.1 */
{
    EXPECT(is_key("dGhlIHNhbXBsZSBub25jZQ=="));
    EXPECT(is_key("AAAAAAAAAAAAAAAAAAAAAA=="));
    EXPECT(is_key("+/+/+/+/+/+/+/+/+/+/+w=="));
}

TEST(spare_bits_of_the_last_character_may_be_anything) /* RFC 4648 3.5 */
{
    EXPECT(is_key("AAAAAAAAAAAAAAAAAAAAAB=="));
    EXPECT(is_key("//////////////////////=="));
}

TEST(other_lengths_and_letters_are_not_sixteen_octets)
{
    EXPECT(!wsk__base64_is_16_octets("", 0));
    EXPECT(!is_key("=="));
    EXPECT(!is_key("AAAAAAAAAAAAAAAAAAAA"));     /* 15 octets */
    EXPECT(!is_key("AAAAAAAAAAAAAAAAAAAAAAA=")); /* 17 octets */
    EXPECT(!is_key("AAAAAAAAAAAAAAAAAAAAAAAA")); /* 18 octets */
    EXPECT(!is_key("AAAAAAAAAAAAAAAAAAAAAAAA=="));
    EXPECT(!is_key("AAAAAAAAAAAAAAAAAAAAAA="));
    EXPECT(!is_key("AAAAAAAAAAAAAAAAAAAAA==="));
    EXPECT(!is_key("=AAAAAAAAAAAAAAAAAAAAA=="));
    EXPECT(!is_key("AAAAAAAAAA-_AAAAAAAAAA==")); /* the other alphabet */
    EXPECT(!is_key("AAAAAAAAAA AAAAAAAAAAA=="));
    EXPECT(!is_key("AAAAAAAAAA\x80"
                   "AAAAAAAAAAA=="));
    EXPECT(!wsk__base64_is_16_octets("AAAAAAAAAA\0AAAAAAAAAAA==", 24));
}
