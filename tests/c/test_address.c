#include "harness.h"

#include "base/address.h"

static bool read_ip(const char *text, char back[WSK__IP_TEXT])
{
    char *copy = (char *)exact(text, strlen(text));
    struct wsk__ip ip;
    bool good = wsk__ip_read((wsk_str){copy, strlen(text)}, &ip);

    free(copy);
    if (good)
        wsk__ip_write(&ip, back);
    return good;
}

#define READS(text, as)                                                        \
    do {                                                                       \
        char back[WSK__IP_TEXT] = "";                                          \
        EXPECT(read_ip(text, back) && strcmp(back, as) == 0);                  \
    } while (0)

TEST(addresses_are_read_and_written) /* RFC 5952 */
{
    READS("0.0.0.0", "0.0.0.0");
    READS("192.0.2.255", "192.0.2.255");
    READS("::", "::");
    READS("::1", "::1");
    READS("1::", "1::");
    READS("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
    READS("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
    READS("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8");
    READS("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0");
    READS("fe80::1:2", "fe80::1:2");
    READS("::ffff:192.0.2.1", "192.0.2.1");
    READS("64:ff9b::192.0.2.33", "64:ff9b::c000:221");
}

TEST(what_is_no_address_leaves_nothing_behind)
{
    static const char *const BAD[] = {
        "1.2.3",   "1.2.3.4.5",         "1:2:3",
        "1::2::3", "1:2:3:4:5:6:7:8:9", "::1.2.3"};

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct wsk__ip ip, was;

        memset(&ip, 0x5a, sizeof ip);
        was = ip;
        EXPECT(!wsk__ip_read((wsk_str){BAD[i], strlen(BAD[i])}, &ip));
        EXPECT(memcmp(&ip, &was, sizeof ip) == 0);
    }
}

TEST(what_is_no_address_is_none)
{
    static const char *const BAD[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4 ",
        "1..2.3",
        "0x1.2.3.4",
        ":",
        ":::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1::2::3",
        "12345::",
        "g::",
        "fe80::1%eth0",
        "[::1]",
        "::1.2.3",
        "1:2:3:4:5:6:7:8::",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:1.2.3.4",
        ":1::",
        "1.2.3.4:80",
        "1:2:3:4:5:6:7:8:",
        "::1:",
    };
    char back[WSK__IP_TEXT];

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        if (read_ip(BAD[i], back)) {
            printf("read as %s: %s\n", back, BAD[i]);
            EXPECT(false);
        }
}

static bool has(const char *block, const char *ip)
{
    struct wsk__block b;
    struct wsk__ip address;

    if (!wsk__block_read((wsk_str){block, strlen(block)}, &b))
        return false;
    if (ip == NULL)
        return wsk__blocks_have(&b, 1, NULL);
    EXPECT(wsk__ip_read((wsk_str){ip, strlen(ip)}, &address));
    return wsk__blocks_have(&b, 1, &address);
}

TEST(a_block_has_the_addresses_that_begin_like_it)
{
    EXPECT(has("10.0.0.0/8", "10.255.1.2") && !has("10.0.0.0/8", "11.0.0.1"));
    EXPECT(has("10.1.2.3", "10.1.2.3") && !has("10.1.2.3", "10.1.2.4"));
    EXPECT(has("192.168.4.0/22", "192.168.7.255"));
    EXPECT(!has("192.168.4.0/22", "192.168.8.0"));
    EXPECT(has("0.0.0.0/0", "8.8.8.8") && !has("0.0.0.0/0", "::1"));
    EXPECT(has("2001:db8::/32", "2001:db8:ffff::1"));
    EXPECT(!has("2001:db8::/32", "2001:db9::1"));
    EXPECT(has("::/0", "1.2.3.4") && has("::ffff:10.0.0.0/104", "10.9.9.9"));
    EXPECT(has("*", "1.2.3.4") && has("*", NULL));
    EXPECT(has("unix", NULL) && !has("unix", "::") && !has("::/0", NULL));
}

TEST(what_is_no_block_is_none)
{
    static const char *const BAD[] = {
        "",     "10.0.0.0/33", "10.0.0.0/", "::/129", "10/8",
        "host", "10.0.0.0/8/", "/8",        "::/08"};
    struct wsk__block b;

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        EXPECT(!wsk__block_read((wsk_str){BAD[i], strlen(BAD[i])}, &b));
}
