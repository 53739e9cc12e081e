/* The PROXY header is judged the same for every cut, and nothing in Forwarded
 * or X-Forwarded gets through that must not stand in a Host field, a path or a
 * log. The first octet chooses. */
#include "fuzz.h"

#include "base/ascii.h"
#include "http/forwarded.h"
#include "http/proxy.h"

static const char *const NAMES[] = {
    "Forwarded",        "X-Forwarded-For",  "X-Forwarded-Proto",
    "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix",
};

static void check_header(const uint8_t *data, size_t len)
{
    struct wsk__proxied whole, part;
    size_t used, used_part;
    enum wsk__proxy_result got = wsk__proxy_parse(data, len, &used, &whole);

    REQUIRE(got != WSK__PROXY_OK || (used > 0 && used <= len));
    REQUIRE(got != WSK__PROXY_MORE || len < WSK__PROXY_MAX);
    for (size_t n = 0; n < len && n <= 120; n++) {
        enum wsk__proxy_result cut =
            wsk__proxy_parse(data, n, &used_part, &part);

        REQUIRE(cut == WSK__PROXY_MORE || (cut == got && used_part == used));
    }
}

/* An address that is written is read as the same. */
static void check_address(const struct wsk__ip *ip)
{
    char text[WSK__IP_TEXT];
    struct wsk__ip again;

    wsk__ip_write(ip, text);
    REQUIRE(wsk__ip_read((wsk_str){text, strlen(text)}, &again));
    REQUIRE(memcmp(ip, &again, sizeof again) == 0);
}

static void check_fields(const char *data, size_t len, unsigned counts)
{
    static const struct wsk__block TRUSTED = {
        .ip = {{[10] = 0xff, [11] = 0xff, [12] = 10}}, .bits = 104};
    wsk_header fields[16];
    wsk_head head = {.headers = fields};
    struct wsk__forwarded said;

    while (len > 0 && head.n_headers < 16) {
        const char *end = memchr(data, '\n', len);
        size_t line = end ? (size_t)(end - data) : len;

        if (line > 0) {
            const char *name = NAMES[(unsigned char)data[0] % 6];

            fields[head.n_headers++] =
                (wsk_header){{name, strlen(name)}, {data + 1, line - 1}};
        }
        line += end != NULL;
        data += line;
        len -= line;
    }
    wsk__forwarded_read(&head, &TRUSTED, 1, counts, &said);
    if (said.known)
        check_address(&said.ip);
    REQUIRE(said.host.len == 0 ||
            wsk__is_field_value(said.host.p, said.host.len));
    REQUIRE(said.prefix.len == 0 || said.prefix.p[0] == '/');
    for (size_t i = 0; i < said.host.len; i++)
        REQUIRE(said.host.p[i] > 0x20 && said.host.p[i] != '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    if (data[0] & 1)
        check_header(data + 1, len - 1);
    else
        check_fields((const char *)data + 1, len - 1,
                     data[0] & 2 ? WSK__FORWARDED : ~(unsigned)WSK__FORWARDED);
    return 0;
}
