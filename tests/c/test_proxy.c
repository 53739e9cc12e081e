/* The PROXY protocol, whole and octet by octet, from blocks of exact size. */
#include "harness.h"

#include "http/proxy.h"

static struct wsk__proxied said;
static size_t used;

static enum wsk__proxy_result parse(const void *data, size_t len)
{
    uint8_t *copy = exact(data, len);
    enum wsk__proxy_result got = wsk__proxy_parse(copy, len, &used, &said);

    free(copy);
    return got;
}

/* Complete with all of its octets, and with no fewer. */
static bool is_header(const void *data, size_t len)
{
    for (size_t n = 0; n < len; n++)
        if (parse(data, n) != WSK__PROXY_MORE)
            return false;
    return parse(data, len) == WSK__PROXY_OK && used == len;
}

#define IS_HEADER(lit) EXPECT(is_header(lit, sizeof(lit) - 1))
/* Bad, and nothing of it was taken. */
static bool is_bad(const void *data, size_t len)
{
    static const struct wsk__ip NONE;

    return parse(data, len) == WSK__PROXY_BAD && used == 0 &&
           said.client == WSK__PROXIED_LOCAL &&
           memcmp(&said.from, &NONE, sizeof NONE) == 0 &&
           memcmp(&said.to, &NONE, sizeof NONE) == 0 && said.from_port == 0 &&
           said.to_port == 0;
}

#define IS_BAD(lit) EXPECT(is_bad(lit, sizeof(lit) - 1))

static bool from_is(const char *text, uint16_t port)
{
    char back[WSK__IP_TEXT];

    wsk__ip_write(&said.from, back);
    return said.client == WSK__PROXIED_KNOWN && strcmp(back, text) == 0 &&
           said.from_port == port;
}

TEST(version_1_is_a_line)
{
    IS_HEADER("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n");
    EXPECT(from_is("192.0.2.1", 56324) && said.to_port == 443);
    IS_HEADER("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n");
    EXPECT(from_is("2001:db8::1", 1));
    IS_HEADER("PROXY UNKNOWN\r\n");
    EXPECT(said.client == WSK__PROXIED_HIDDEN);
    IS_HEADER("PROXY UNKNOWN ffff::1 whatever\r\n");
    EXPECT(said.client == WSK__PROXIED_HIDDEN);
}

TEST(octets_behind_the_header_are_http)
{
    static const char TEXT[] = "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP";

    EXPECT(parse(TEXT, sizeof TEXT - 1) == WSK__PROXY_OK);
    EXPECT(used == strlen(TEXT) - 10);
}

TEST(version_1_is_strict)
{
    IS_BAD("GET / HTTP/1.1\r\n");
    IS_BAD("proxy TCP4");
    IS_BAD("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n");
    IS_BAD("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n");
    IS_BAD("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n");
    IS_BAD("PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n");
    IS_BAD("PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n");
    IS_BAD("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n");
    IS_BAD("PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n");
    IS_BAD("PROXY TCP4 ::1 ::2 1 2\r\n");
    IS_BAD("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n");
    IS_BAD("PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n");
    IS_BAD("PROXY \r\n");
}

TEST(a_line_has_an_end_within_107_octets)
{
    char line[200];

    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    EXPECT(parse(line, 106) == WSK__PROXY_MORE);
    EXPECT(parse(line, 107) == WSK__PROXY_BAD);
    memcpy(line + 105, "\r\n", 2);
    EXPECT(parse(line, 200) == WSK__PROXY_OK && used == 107);
}

#define V2 "\r\n\r\n\0\r\nQUIT\n"

TEST(version_2_is_binary)
{
    IS_HEADER(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\1\xdc\x04\1\xbb");
    EXPECT(from_is("192.0.2.1", 56324) && said.to_port == 443);
    IS_HEADER(V2 "\x21\x21\0\x24"
                 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
                 "\0\1\0\2");
    EXPECT(from_is("2001:db8::1", 1));
    IS_HEADER(V2 "\x20\0\0\0"); /* LOCAL: a health check of the proxy itself */
    EXPECT(said.client == WSK__PROXIED_LOCAL);
    IS_HEADER(V2 "\x21\0\0\2xy"); /* unspecified */
    EXPECT(said.client == WSK__PROXIED_HIDDEN);
    IS_HEADER(V2 "\x20\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\1\xdc\x04\1\xbb");
    EXPECT(said.client == WSK__PROXIED_LOCAL); /* addresses do not count */
    IS_HEADER(V2 "\x21\x11\0\x10\1\1\1\1\2\2\2\2\0\1\0\2"
                 "\4\0\1x"); /* a TLV */
    EXPECT(from_is("1.1.1.1", 1));
}

TEST(version_2_is_strict)
{
    IS_BAD(V2 "\x11\x11\0\x0c"); /* version 1 in the binary form */
    IS_BAD(V2 "\x22\x11\0\x0c"); /* no such command */
    IS_BAD(V2 "\x21\x11\x08\0"); /* longer than anybody needs */
    IS_BAD(V2 "\x21\x12\0\0");   /* UDP */
    IS_BAD(V2 "\x21\x11\0\x0b"
              "12345678901"); /* too short for its family */
    IS_BAD(V2 "\x21\x21\0\x0c"
              "123456789012");
    IS_BAD("\r\n\r\nGET");
}
