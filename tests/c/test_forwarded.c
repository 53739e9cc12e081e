/* The client behind trusted proxies: RFC 7239 and X-Forwarded. */
#include "harness.h"

#include "http/forwarded.h"

static struct wsk__forwarded said;

static wsk_str str(const char *text)
{
    return (wsk_str){text, strlen(text)};
}

enum {
    X = WSK__X_FOR | WSK__X_PROTO | WSK__X_HOST | WSK__X_PORT | WSK__X_PREFIX
};

/* Trusted: 10.0.0.0/8 and ::1. `counts`: the fields that do. Name and value by
 * turns, NULL at the end. */
static const char *client(unsigned counts, const char *const fields[])
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
    wsk__forwarded_read(&head, trusted, 2, counts, &said);
    if (!said.known)
        return said.hidden ? "hidden" : "unsaid";
    wsk__ip_write(&said.ip, text);
    return text;
}

#define CLIENT(is, ...)                                                        \
    EXPECT(strcmp(client(X, (const char *const[]){__VA_ARGS__, NULL}), is) == 0)
#define FORWARDED(is, ...)                                                     \
    EXPECT(strcmp(client(WSK__FORWARDED,                                       \
                         (const char *const[]){__VA_ARGS__, NULL}),            \
                  is) == 0)
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

TEST(what_is_no_address_hides_the_client) /* RFC 7239 6.2, 6.3 */
{
    CLIENT("hidden", XFF, "192.0.2.1, unknown, 10.0.0.2");
    CLIENT("hidden", XFF, "unknown");
    CLIENT("hidden", XFF, "192.0.2.1, _x");
    CLIENT("hidden", XFF, "unix:");
    CLIENT("hidden", XFF, "192.0.2.1, evil\"");
    CLIENT("hidden", XFF, "1.2.3.4:99999");
    CLIENT("hidden", XFF, "192.0.2.1;");
    CLIENT("hidden", XFF, "\"192.0.2.1\"");
    CLIENT("unsaid", XFF, "");
    CLIENT("unsaid", XFF, " , ,");
}

TEST(no_quote_of_the_client_swallows_what_the_proxy_appends)
{
    static const char *const QUOTES[] = {
        "\"", "10.1.2.3, \"", "\"x", "\"\\", "for=\"", "\"\"", "\\\"", "\\"};

    for (size_t i = 0; i < sizeof QUOTES / sizeof QUOTES[0]; i++) {
        char list[80], element[80];

        snprintf(list, sizeof list, "%s, 192.0.2.1", QUOTES[i]);
        CLIENT("192.0.2.1", XFF, list);
        CLIENT("192.0.2.1", XFF, QUOTES[i], XFF, "192.0.2.1");
        CLIENT("hidden", XFF, QUOTES[i], XFF, "10.0.0.1");
        snprintf(element, sizeof element, "%s, for=\"[2001:db8::1]:8\"",
                 QUOTES[i]);
        FORWARDED("2001:db8::1", "Forwarded", element);
        FORWARDED("2001:db8::1", "Forwarded", QUOTES[i], "Forwarded",
                  "for=\"[2001:db8::1]\";by=\"a,b\\\",\\\\\"");
        FORWARDED("hidden", "Forwarded", QUOTES[i], "Forwarded",
                  "for=10.0.0.1");
    }
}

TEST(fields_that_the_proxy_does_not_write_are_the_clients)
{
    static const char *const ALL[] = {"Forwarded",
                                      "for=1.1.1.1;host=a;proto=https",
                                      XFF,
                                      "2.2.2.2",
                                      "X-Forwarded-Proto",
                                      "https",
                                      "X-Forwarded-Host",
                                      "shop.example",
                                      "X-Forwarded-Port",
                                      "8443",
                                      "X-Forwarded-Prefix",
                                      "/shop",
                                      NULL};

    EXPECT(strcmp(client(0, ALL), "unsaid") == 0);
    EXPECT(!said.https && said.host.len + said.port + said.prefix.len == 0);
    EXPECT(strcmp(client(WSK__FORWARDED, ALL), "1.1.1.1") == 0);
    EXPECT(said.https && said.host.len == 1 && said.port == 0);
    EXPECT(strcmp(client(WSK__X_FOR, ALL), "2.2.2.2") == 0);
    EXPECT(!said.https && said.host.len + said.port + said.prefix.len == 0);
    EXPECT(strcmp(client(WSK__X_PROTO, ALL), "unsaid") == 0 && said.https);
    EXPECT(strcmp(client(X, ALL), "2.2.2.2") == 0);
    EXPECT(said.https && said.host.len == 12 && said.port == 8443 &&
           said.prefix.len == 5);
}

TEST(forwarded_is_read_from_the_right) /* RFC 7239 */
{
    FORWARDED(
        "192.0.2.43", "Forwarded",
        "for=6.6.6.6;proto=http;host=evil, "
        "For=\"192.0.2.43:47011\";proto=https;by=10.0.0.1;host=\"a.b:81\"");
    EXPECT(said.https && said.ip_port == 47011);
    EXPECT(said.host.len == 6 && memcmp(said.host.p, "a.b:81", 6) == 0);
    FORWARDED("192.0.2.43", "Forwarded", "for=192.0.2.43, for=10.0.0.3",
              "Forwarded", "for=\"[::1]\";proto=https");
    EXPECT(said.https);
    FORWARDED("2001:db8::17", "forwarded", "for=\"[2001:db8::17]\"");
    FORWARDED("hidden", "Forwarded", "for=_hidden;proto=https");
    EXPECT(said.https);
    FORWARDED("hidden", "Forwarded", "for=unknown, for=_x");
    FORWARDED("unsaid", "Forwarded", "for=1.1.1.1, proto=https");
    FORWARDED("unsaid", "Forwarded", "");
}

TEST(a_broken_element_hides_the_client)
{
    FORWARDED("hidden", "Forwarded", "for=1.2.3.4, for");
    FORWARDED("hidden", "Forwarded", "for=\"1.2.3.4");
    FORWARDED("hidden", "Forwarded", "=1.2.3.4");
    FORWARDED("hidden", "Forwarded", "for=\"1.2.3.4\\");
    FORWARDED("hidden", "Forwarded", "for=1.2.3.4;for=5.6.7.8");
    FORWARDED("hidden", "Forwarded", "proto=https;proto=http;for=1.2.3.4");
    EXPECT(!said.https && !said.http);
    FORWARDED("1.2.3.4", "Forwarded", " for=1.2.3.4 ; proto=gopher;host=a/b");
    EXPECT(!said.https && !said.http && said.host.len == 0);
}

TEST(the_nearest_proxy_is_heard_of_scheme_host_port_and_prefix)
{
    CLIENT("unsaid", "X-Forwarded-Proto", "http, https", "X-Forwarded-Host",
           "evil, shop.example:8443", "X-Forwarded-Port", "1, 8443",
           "X-Forwarded-Prefix", "/shop/");
    EXPECT(said.https && said.port == 8443);
    EXPECT(said.host.len == 17 && said.prefix.len == 5);
    CLIENT("unsaid", "X-Forwarded-Proto", "wss");
    EXPECT(said.https);
    CLIENT("unsaid", "X-Forwarded-Proto", "gopher", "X-Forwarded-Host", "a b",
           "X-Forwarded-Port", "0", "X-Forwarded-Prefix", "//evil");
    EXPECT(!said.https && !said.http && said.host.len == 0 && said.port == 0 &&
           said.prefix.len == 0);
    CLIENT("unsaid", "X-Forwarded-Host", "a@b", "X-Forwarded-Prefix", "/");
    EXPECT(said.host.len == 0 && said.prefix.len == 0);
    CLIENT("unsaid", "X-Forwarded-Host", "a:99999");
    EXPECT(said.host.len == 0);
    CLIENT("unsaid", "X-Forwarded-Host", "[::1");
    EXPECT(said.host.len == 0);
}

TEST(a_nul_is_in_no_host) /* a finding of fuzz_proxy */
{
    wsk_header field = {{"X-Forwarded-Host", 16}, {"a\0b", 3}};
    wsk_head head = {.headers = &field, .n_headers = 1};

    EXPECT(!wsk__forwarded_read(&head, NULL, 0, X, &said));
}

TEST(hops_have_no_limit)
{
    static char list[8000];

    for (size_t n = 0; n + 21 < sizeof list; n += 10)
        memcpy(list + n, n == 0 ? "192.0.2.1, " : " 10.0.0.1, ", 11);
    CLIENT("192.0.2.1", XFF, list);
}
