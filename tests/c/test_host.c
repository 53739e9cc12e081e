/* Which hosts the option allowed_hosts lets in (RFC 9110 7.2). */
#include "harness.h"

#include "http/host.h"

static bool allowed(const char *host, const char *list)
{
    unsigned char *copy = exact(host, strlen(host));
    bool yes = wsk__host_allowed((wsk_str){(char *)copy, strlen(host)}, list);

    free(copy);
    return yes;
}

TEST(without_a_list_every_host_is_allowed)
{
    EXPECT(allowed("evil.example", NULL));
    EXPECT(wsk__host_allowed((wsk_str){NULL, 0}, NULL));
}

TEST(a_name_is_allowed_in_any_case_with_any_port_and_with_its_dot)
{
    EXPECT(allowed("shop.example", "shop.example"));
    EXPECT(allowed("SHOP.Example:8080", "a.example, Shop.EXAMPLE"));
    EXPECT(allowed("shop.example.", "a.example\nshop.example"));
    EXPECT(allowed("shop.example.:443", "shop.example"));
    EXPECT(allowed("shop.example", "shop.example."));
    EXPECT(allowed("127.0.0.1:80", "127.0.0.1"));
}

TEST(another_name_is_not)
{
    EXPECT(!allowed("evil.example", "shop.example"));
    EXPECT(!allowed("www.shop.example", "shop.example"));
    EXPECT(!allowed("shop.example.evil.example", "shop.example"));
    EXPECT(!allowed("evilshop.example", "shop.example,.shop.example"));
    EXPECT(!allowed("shop.example..", "shop.example"));
    EXPECT(!allowed("shop.exampl", "shop.example"));
    EXPECT(!allowed("127.0.0.1.evil.example", "127.0.0.1"));
    EXPECT(!allowed("8080", "shop.example"));
    EXPECT(!allowed(".", ".,shop.example"));
}

TEST(a_dot_before_a_name_stands_for_it_and_what_is_below)
{
    EXPECT(allowed("shop.example", ".shop.example"));
    EXPECT(allowed("a.b.SHOP.example:1", ".shop.example"));
    EXPECT(allowed("a.shop.example.", ".shop.example."));
    EXPECT(!allowed(".shop.exampl", ".shop.example"));
    EXPECT(!allowed("example", ".shop.example"));
}

TEST(a_v6_address_is_compared_as_an_address)
{
    EXPECT(allowed("[2001:DB8::1]:80", "[2001:db8::1]"));
    EXPECT(allowed("[2001:db8:0::1]", "2001:db8::1"));
    EXPECT(allowed("[::1]", "[0:0:0:0:0:0:0:1]"));
    EXPECT(!allowed("[2001:db8::2]", "2001:db8::1,db8::2"));
    EXPECT(!allowed("[::1", "::1"));
    EXPECT(!allowed("[::ffff:127.0.0.1]", "127.0.0.1"));
}

TEST(an_asterisk_is_every_host_and_no_host_is_only_in_it)
{
    EXPECT(allowed("evil.example", "shop.example,*"));
    EXPECT(allowed("", "*"));
    EXPECT(!allowed("", "shop.example,.example"));
    EXPECT(!wsk__host_allowed((wsk_str){NULL, 0}, "shop.example"));
    EXPECT(!allowed(":80", "shop.example"));
    EXPECT(!allowed("shop.example", ""));
}
