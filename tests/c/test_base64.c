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
