/* Which requests the option redirect_https leads to https, and where to. */
#include "harness.h"

#include "base/buf.h"
#include "net/conn/conns.h"
#include "net/conn/peer.h"
#include "net/request/redirect.h"

#include <stdint.h>

static wsk_str text(const char *p)
{
    return (wsk_str){p, strlen(p)};
}

static bool leads(const char *path, uint16_t port, bool https)
{
    static struct wsk__conns conns;
    struct wsk__proxy_info proxy = {.https = https};
    struct wsk__ends ends = {.proxy = &proxy};
    wsk_head head = {.path = text(path)};

    conns.https_port = port;
    return wsk__redirects(&conns, &ends, &head);
}

static void expect_url(const char *host, const char *path, const char *query,
                       uint16_t port, const char *want, int line)
{
    wsk_head head = {
        .host = text(host), .path = text(path), .query = text(query)};
    struct wsk__buf url;
    bool same;

    wsk__buf_init(&url, 100000);
    EXPECT(wsk__redirect_location(&url, &head, port));
    same = wsk__buf_len(&url) == strlen(want) &&
           memcmp(wsk__buf_data(&url), want, strlen(want)) == 0;
    if (!same)
        printf("line %d: the URL is %.*s\n", line, (int)wsk__buf_len(&url),
               (const char *)wsk__buf_data(&url));
    EXPECT(same);
    wsk__buf_free(&url);
}

#define EXPECT_URL(host, path, query, port, want)                              \
    expect_url(host, path, query, port, want, __LINE__)

TEST(requests_without_https_are_led_there)
{
    EXPECT(leads("/", 443, false));
    EXPECT(leads("*", 8443, false));
    EXPECT(!leads("/", 443, true));
    EXPECT(!leads("/", 0, false));
}

TEST(a_challenge_of_acme_is_not) /* RFC 8555 8.3 */
{
    EXPECT(!leads("/.well-known/acme-challenge/a_-Z9", 443, false));
    EXPECT(leads("/.well-known/acme-challenge/", 443, false));
    EXPECT(leads("/.well-known/acme-challenge", 443, false));
    EXPECT(leads("/.well-known/acme-challenges/x", 443, false));
    EXPECT(leads("/.well-known/acme-challenge/../../x", 443, false));
    EXPECT(leads("/.well-known/acme-challenge/..", 443, false));
    EXPECT(leads("/.well-known/acme-challenge/%2e%2e%2fx", 443, false));
    EXPECT(leads("/x/.well-known/acme-challenge/x", 443, false));
}

TEST(the_port_becomes_that_of_https)
{
    EXPECT_URL("a.example", "/", "", 443, "https://a.example/");
    EXPECT_URL("a.example:80", "/x", "", 443, "https://a.example/x");
    EXPECT_URL("a.example:80", "/x", "", 8443, "https://a.example:8443/x");
    EXPECT_URL("[::1]:8080", "/", "", 65535, "https://[::1]:65535/");
    EXPECT_URL("[::1]", "/", "", 443, "https://[::1]/");
}

TEST(path_and_query_stay_as_they_were_sent)
{
    EXPECT_URL("h", "//other/%2F", "a=b?c&d=%20", 443,
               "https://h//other/%2F?a=b?c&d=%20");
    EXPECT_URL("h", "*", "", 443, "https://h");
}

TEST(without_memory_there_is_no_url)
{
    wsk_head head = {.host = text("a.example"), .path = text("/")};
    struct wsk__buf url;

    wsk__buf_init(&url, 10);
    EXPECT(!wsk__redirect_location(&url, &head, 443));
    wsk__buf_free(&url);
}
