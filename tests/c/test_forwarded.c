/* Who the client is behind trusted proxies: RFC 7239 and X-Forwarded. */
#include "harness.h"

#include "http/forwarded.h"

static struct wsk__forwarded said;

static wsk_str str(const char *text)
{
    return (wsk_str){text, strlen(text)};
}

/* Trusted: 10.0.0.0/8 and ::1. Name and value by turns, NULL at the end. */
static const char *client(const char *const fields[])
{
    static char text[WSK__IP_TEXT];
    struct wsk__block trusted[2];
    wsk_header headers[8];
    wsk_head head = {.headers = headers};

    EXPECT(wsk__block_read(str("10.0.0.0/8"), &trusted[0]));
    EXPECT(wsk__block_read(str("::1"), &trusted[1]));
    for (; fields[0] != NULL; fields += 2)
        headers[head.n_headers++] =
            (wsk_header){str(fields[0]), str(fields[1])};
    wsk__forwarded_read(&head, trusted, 2, &said);
    if (!said.known)
        return "unknown";
    wsk__ip_write(&said.ip, text);
    return text;
}

#define CLIENT(is, ...)                                                        \
    EXPECT(strcmp(client((const char *const[]){__VA_ARGS__, NULL}), is) == 0)
#define XFF "X-Forwarded-For"

TEST(the_client_is_the_rightmost_that_is_not_trusted)
{
    CLIENT("192.0.2.1", XFF, "192.0.2.1");
    CLIENT("192.0.2.1", XFF, "6.6.6.6, 192.0.2.1");
    CLIENT("192.0.2.1", XFF, "6.6.6.6, 192.0.2.1, 10.0.0.2, 10.1.1.1");
    CLIENT("192.0.2.1", XFF, "6.6.6.6, 192.0.2.1", XFF, "10.0.0.2");
    CLIENT("10.0.0.7", XFF, "10.0.0.7, 10.0.0.2"); /* all of them trusted */
    CLIENT("2001:db8::1", XFF, "[2001:db8::1]:4711, ::1");
    EXPECT(said.ip_port == 4711);
    CLIENT("192.0.2.1", XFF, "192.0.2.1:80,");
    EXPECT(said.ip_port == 80);
}

TEST(what_cannot_be_read_ends_the_walk)
{
    CLIENT("10.0.0.2", XFF, "192.0.2.1, unknown, 10.0.0.2");
    CLIENT("unknown", XFF, "192.0.2.1, evil\"");
    CLIENT("unknown", XFF, "");
    CLIENT("unknown", XFF, "1.2.3.4:99999");
}

TEST(forwarded_speaks_alone) /* RFC 7239 */
{
    CLIENT("192.0.2.43", "Forwarded",
           "for=6.6.6.6;proto=http;host=evil, "
           "For=\"192.0.2.43:47011\";proto=https;by=10.0.0.1;host=\"a.b:81\"",
           XFF, "7.7.7.7", "X-Forwarded-Host", "no.example");
    EXPECT(said.https && said.ip_port == 47011);
    EXPECT(said.host.len == 6 && memcmp(said.host.p, "a.b:81", 6) == 0);
    CLIENT("192.0.2.43", "Forwarded", "for=192.0.2.43, for=10.0.0.3",
           "Forwarded", "for=\"[::1]\";proto=https");
    EXPECT(said.https);
    CLIENT("2001:db8::17", "forwarded", "for=\"[2001:db8::17]\"");
    CLIENT("unknown", "Forwarded", "for=_hidden;proto=https");
    EXPECT(said.https);
    CLIENT("unknown", "Forwarded", "for=unknown, for=_x");
}

TEST(a_broken_element_says_nothing)
{
    CLIENT("unknown", "Forwarded", "for=1.2.3.4, for");
    CLIENT("unknown", "Forwarded", "for=\"1.2.3.4");
    CLIENT("unknown", "Forwarded", "=1.2.3.4");
    CLIENT("unknown", "Forwarded", "for=\"1.2.3.4\\");
    CLIENT("1.2.3.4", "Forwarded", " for=1.2.3.4 ; proto=gopher;host=a/b");
    EXPECT(!said.https && !said.http && said.host.len == 0);
}

TEST(the_nearest_proxy_is_heard_of_scheme_host_port_and_prefix)
{
    CLIENT("unknown", "X-Forwarded-Proto", "http, https", "X-Forwarded-Host",
           "evil, shop.example:8443", "X-Forwarded-Port", "1, 8443",
           "X-Forwarded-Prefix", "/shop/");
    EXPECT(said.https && said.port == 8443);
    EXPECT(said.host.len == 17 && said.prefix.len == 5);
    CLIENT("unknown", "X-Forwarded-Proto", "wss");
    EXPECT(said.https);
    CLIENT("unknown", "X-Forwarded-Proto", "gopher", "X-Forwarded-Host", "a b",
           "X-Forwarded-Port", "0", "X-Forwarded-Prefix", "//evil");
    EXPECT(!said.https && !said.http && said.host.len == 0 && said.port == 0 &&
           said.prefix.len == 0);
    CLIENT("unknown", "X-Forwarded-Host", "a@b", "X-Forwarded-Prefix", "/");
    EXPECT(said.host.len == 0 && said.prefix.len == 0);
}

TEST(a_nul_is_in_no_host) /* a finding of fuzz_proxy */
{
    wsk_header field = {{"X-Forwarded-Host", 16}, {"a\0b", 3}};
    wsk_head head = {.headers = &field, .n_headers = 1};

    EXPECT(!wsk__forwarded_read(&head, NULL, 0, &said));
}

TEST(more_hops_than_anybody_has_are_no_trouble)
{
    static char list[8000];

    for (size_t n = 0; n + 16 < sizeof list; n += 10)
        memcpy(list + n, "10.0.0.1, ", 11);
    CLIENT("10.0.0.1", XFF, list);
}
