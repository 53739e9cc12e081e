/* Which pages may open a WebSocket (RFC 6455 10.2, RFC 6454). */
#include "harness.h"

#include "wsocket.h"

static bool judge(const char *origin, const char *host, bool https,
                  const char *list)
{
    unsigned char *o = exact(origin, strlen(origin));
    unsigned char *h = exact(host, strlen(host));
    bool yes = wsk_ws_origin_allowed((wsk_str){(char *)o, strlen(origin)},
                                     (wsk_str){(char *)h, strlen(host)}, https,
                                     list);

    free(o);
    free(h);
    return yes;
}

/* Where it is not known how the client came. */
static bool allowed(const char *origin, const char *host, const char *list)
{
    return judge(origin, host, false, list);
}

TEST(what_is_no_browser_has_no_origin_and_passes)
{
    wsk_str none = {NULL, 0}, host = {"example.com", 11};

    EXPECT(wsk_ws_origin_allowed(none, host, false, "same"));
    EXPECT(wsk_ws_origin_allowed(none, host, true, "https://other.example"));
}

TEST(a_page_of_the_same_host_and_port_passes)
{
    EXPECT(allowed("http://example.com", "example.com", "same"));
    EXPECT(allowed("http://EXAMPLE.com", "Example.COM", "same"));
    EXPECT(allowed("http://example.com:8080", "example.com:8080", "same"));
    EXPECT(allowed("http://[2001:db8::1]:80", "[2001:db8::1]", "same"));
}

TEST(the_default_port_counts_as_said_or_not)
{
    EXPECT(allowed("http://example.com:80", "example.com", "same"));
    EXPECT(allowed("http://example.com", "example.com:80", "same"));
    EXPECT(allowed("https://example.com", "example.com:443", "same"));
    /* Behind a proxy that ends TLS, Host is as the browser said it. */
    EXPECT(allowed("https://example.com", "example.com", "same"));
}

TEST(another_host_or_port_does_not)
{
    EXPECT(!allowed("http://evil.example", "example.com", "same"));
    EXPECT(!allowed("http://example.com.evil.example", "example.com", "same"));
    EXPECT(!allowed("http://sub.example.com", "example.com", "same"));
    EXPECT(!allowed("http://example.com:8080", "example.com", "same"));
    EXPECT(!allowed("http://example.com", "example.com:8080", "same"));
    EXPECT(!allowed("https://example.com", "example.com:80", "same"));
    EXPECT(!allowed("http://example.com", "", "same"));
}

TEST(what_is_no_origin_does_not)
{
    EXPECT(!allowed("", "example.com", "same"));
    EXPECT(!allowed("null", "example.com", "same"));
    EXPECT(!allowed("example.com", "example.com", "same"));
    EXPECT(!allowed("http://", "example.com", "same"));
    EXPECT(!allowed("://example.com", "example.com", "same"));
    EXPECT(!allowed("http://example.com/", "example.com", "same"));
    EXPECT(!allowed("http://example.com@evil.example", "example.com", "same"));
    EXPECT(!allowed("http://example.com:", "example.com", "same"));
    EXPECT(!allowed("http://example.com:0", "example.com", "same"));
    EXPECT(!allowed("http://example.com:65616", "example.com:80", "same"));
    EXPECT(!allowed("http://example.com:8x", "example.com:8", "same"));
}

TEST(only_pages_of_http_and_https_are_the_same)
{
    EXPECT(allowed("HTTPS://example.com", "example.com", "same"));
    EXPECT(!allowed("evil://example.com", "example.com", "same"));
    EXPECT(!allowed("ws://example.com", "example.com", "same"));
    EXPECT(!allowed("file://localhost", "localhost", "same"));
    EXPECT(!allowed("chrome-extension://localhost", "localhost", "same"));
    EXPECT(allowed("evil://example.com", "example.com", "evil://example.com"));
}

TEST(a_page_of_http_is_none_of_an_https_site) /* RFC 6454 4 */
{
    EXPECT(judge("https://example.com", "example.com", true, "same"));
    EXPECT(judge("https://example.com:443", "example.com", true, "same"));
    EXPECT(judge("https://example.com", "EXAMPLE.com:443", true, "same"));
    EXPECT(!judge("http://example.com", "example.com", true, "same"));
    EXPECT(!judge("http://example.com:443", "example.com", true, "same"));
    EXPECT(!judge("http://localhost:3000", "localhost", true, "same"));
    EXPECT(judge("https://localhost:3000", "localhost", true, "same"));
    EXPECT(judge("http://a.example", "example.com", true, "http://a.example"));
    EXPECT(judge("http://example.com", "example.com", true, "*"));
}

TEST(on_this_machine_any_page_of_this_machine_passes)
{
    EXPECT(allowed("http://localhost:5173", "127.0.0.1:8080", "same"));
    EXPECT(allowed("http://127.0.0.1:3000", "localhost:8080", "same"));
    EXPECT(allowed("http://[::1]:3000", "app.localhost:8080", "same"));
    EXPECT(!allowed("http://evil.example", "127.0.0.1:8080", "same"));
    EXPECT(!allowed("http://127.0.0.1.evil.example", "127.0.0.1", "same"));
    EXPECT(!allowed("http://localhost:5173", "example.com", "same"));
    EXPECT(!allowed("http://notlocalhost", "localhost", "same"));
}

TEST(lines_and_commas_separate_the_elements_of_a_list)
{
    const char *list = "\nsame, http://a.example\nhttp://b.example\n";

    EXPECT(allowed("http://example.com", "example.com", list));
    EXPECT(allowed("http://a.example", "example.com", list));
    EXPECT(allowed("http://b.example", "example.com", list));
    EXPECT(!allowed("http://c.example", "example.com", list));
    EXPECT(!allowed("http://example.com", "example.com", ""));
    EXPECT(!allowed("http://example.com", "example.com", NULL));
}

TEST(a_list_allows_what_it_lists)
{
    const char *list = "same, https://app.example.com,http://x.example:81";

    EXPECT(allowed("http://example.com", "example.com", list));
    EXPECT(allowed("https://app.example.com", "example.com", list));
    EXPECT(allowed("https://APP.example.com:443", "example.com", list));
    EXPECT(allowed("http://x.example:81", "example.com", list));
    EXPECT(!allowed("http://app.example.com", "example.com", list));
    EXPECT(!allowed("http://x.example", "example.com", list));
    EXPECT(!allowed("null", "example.com", list));
    EXPECT(allowed("null", "example.com", "same,null"));
    EXPECT(!allowed("http://example.com", "example.com", ""));
}

TEST(an_asterisk_allows_all)
{
    EXPECT(allowed("http://evil.example", "example.com", "*"));
    EXPECT(allowed("null", "example.com", "*"));
    EXPECT(allowed("", "example.com", "*"));
}
