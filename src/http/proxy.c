#include "http/proxy.h"

#include "base/ascii.h"

#include <string.h>

enum { V1_MAX = 107, V2_HEAD = 16 };

static const uint8_t SIGNATURE[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

/* ---------------------------------------------------------- version 1 --- */

/* Take the next word of the line; words are separated by one blank. */
static wsk_str next_word(wsk_str *line)
{
    const char *blank = line->len > 0 ? memchr(line->p, ' ', line->len) : NULL;
    wsk_str word = {line->p, blank ? (size_t)(blank - line->p) : line->len};
    size_t skip = word.len + (blank != NULL);

    line->p += skip;
    line->len -= skip;
    return word;
}

static bool read_port(wsk_str text, uint16_t *port)
{
    unsigned n;

    if ((text.len > 1 && text.p[0] == '0') ||
        !wsk__read_decimal(text, 5, UINT16_MAX, &n))
        return false;
    *port = (uint16_t)n;
    return true;
}

static bool read_address(wsk_str text, bool v6, struct wsk__ip *ip)
{
    return (text.len > 0 && memchr(text.p, ':', text.len) != NULL) == v6 &&
           wsk__ip_read(text, ip);
}

/* Read the line behind "PROXY ", without its CRLF. */
static bool read_line(wsk_str line, struct wsk__proxied *out)
{
    wsk_str family = next_word(&line);
    bool v6 = wsk__str_is(family, "TCP6");

    out->client = WSK__PROXIED_HIDDEN;
    if (wsk__str_is(family, "UNKNOWN")) /* the rest is ignored */
        return true;
    if (!v6 && !wsk__str_is(family, "TCP4"))
        return false;
    if (!read_address(next_word(&line), v6, &out->from) ||
        !read_address(next_word(&line), v6, &out->to) ||
        !read_port(next_word(&line), &out->from_port) ||
        !read_port(line, &out->to_port))
        return false;
    out->client = WSK__PROXIED_KNOWN;
    return true;
}

static enum wsk__proxy_result parse_v1(const uint8_t *data, size_t len,
                                       size_t *used, struct wsk__proxied *out)
{
    size_t max = len < V1_MAX ? len : V1_MAX;
    const uint8_t *end = memchr(data, '\n', max);
    wsk_str line = {(const char *)data + 6, 0};

    if (end == NULL)
        return len < V1_MAX ? WSK__PROXY_MORE : WSK__PROXY_BAD;
    if (end - data < 7 || end[-1] != '\r')
        return WSK__PROXY_BAD;
    line.len = (size_t)(end - data) - 7;
    *used = (size_t)(end - data) + 1;
    return read_line(line, out) ? WSK__PROXY_OK : WSK__PROXY_BAD;
}

/* ---------------------------------------------------------- version 2 --- */

static uint16_t big_endian(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void map_v4(struct wsk__ip *ip, const uint8_t *p)
{
    *ip = (struct wsk__ip){{[10] = 0xff, [11] = 0xff}};
    memcpy(ip->octets + 12, p, 4);
}

static bool read_v2(const uint8_t *data, size_t len, struct wsk__proxied *out)
{
    const uint8_t *p = data + V2_HEAD;

    switch (data[13]) {
    case 0x11: /* TCP over IPv4 */
        if (len < 12)
            return false;
        map_v4(&out->from, p);
        map_v4(&out->to, p + 4);
        p += 8;
        break;
    case 0x21: /* TCP over IPv6 */
        if (len < 36)
            return false;
        memcpy(out->from.octets, p, 16);
        memcpy(out->to.octets, p + 16, 16);
        p += 32;
        break;
    case 0x00: /* unspecified, */
    case 0x31: /* or a Unix socket: no address to name */
        out->client = WSK__PROXIED_HIDDEN;
        return true;
    default:
        return false;
    }
    out->from_port = big_endian(p);
    out->to_port = big_endian(p + 2);
    out->client = WSK__PROXIED_KNOWN;
    return true;
}

static enum wsk__proxy_result parse_v2(const uint8_t *data, size_t len,
                                       size_t *used, struct wsk__proxied *out)
{
    size_t more;

    if (len < V2_HEAD)
        return WSK__PROXY_MORE;
    more = big_endian(data + 14);
    /* The version must be 2, the command LOCAL (0) or PROXY (1). */
    if ((data[12] != 0x20 && data[12] != 0x21) ||
        more > WSK__PROXY_MAX - V2_HEAD)
        return WSK__PROXY_BAD;
    if (len < V2_HEAD + more)
        return WSK__PROXY_MORE;
    *used = V2_HEAD + more;
    return data[12] == 0x20 || read_v2(data, more, out) ? WSK__PROXY_OK
                                                        : WSK__PROXY_BAD;
}

static enum wsk__proxy_result parse(const uint8_t *data, size_t len,
                                    size_t *used, struct wsk__proxied *out)
{
    size_t n1 = len < 6 ? len : 6;
    size_t n2 = len < sizeof(SIGNATURE) ? len : sizeof(SIGNATURE);

    if (len == 0)
        return WSK__PROXY_MORE;
    if (memcmp(data, "PROXY ", n1) == 0)
        return n1 < 6 ? WSK__PROXY_MORE : parse_v1(data, len, used, out);
    if (memcmp(data, SIGNATURE, n2) == 0)
        return n2 < sizeof(SIGNATURE) ? WSK__PROXY_MORE
                                      : parse_v2(data, len, used, out);
    return WSK__PROXY_BAD;
}

enum wsk__proxy_result wsk__proxy_parse(const uint8_t *data, size_t len,
                                        size_t *used, struct wsk__proxied *out)
{
    struct wsk__proxied read = {0};
    size_t n = 0;
    enum wsk__proxy_result result = parse(data, len, &n, &read);
    bool good = result == WSK__PROXY_OK;

    *used = good ? n : 0;
    *out = good ? read : (struct wsk__proxied){0};
    return result;
}
