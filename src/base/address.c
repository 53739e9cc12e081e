#include "base/address.h"

#include "base/ascii.h"

#include <stdio.h>

static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* Read a decimal number of up to three digits, without a leading zero. */
static bool read_decimal(wsk_str text, unsigned max, unsigned *out)
{
    return !(text.len > 1 && text.p[0] == '0') &&
           wsk__read_decimal(text, 3, max, out);
}

static bool read_v4(wsk_str text, uint8_t out[4])
{
    const char *p = text.p, *end = text.p + text.len;

    for (int i = 0; i < 4; i++) {
        const char *from = p;
        unsigned n;

        while (p < end && *p != '.')
            p++;
        if (!read_decimal((wsk_str){from, (size_t)(p - from)}, 255, &n))
            return false;
        out[i] = (uint8_t)n;
        if (i < 3 && p++ == end)
            return false;
    }
    return p == end;
}

static bool read_group(wsk_str text, unsigned *out)
{
    *out = 0;
    if (text.len == 0 || text.len > 4)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = wsk__hex((unsigned char)text.p[i]);

        if (digit < 0)
            return false;
        *out = *out << 4 | (unsigned)digit;
    }
    return true;
}

/* Read groups between colons into bytes; IPv4 may be the last. Returns the
 * number of bytes, or SIZE_MAX when the text is no such list. */
static size_t read_groups(wsk_str text, uint8_t *out, size_t room)
{
    const char *p = text.p, *end = text.p + text.len;
    size_t n = 0;

    if (text.len == 0)
        return 0;
    for (;;) {
        const char *from = p;
        wsk_str group;
        unsigned value;

        while (p < end && *p != ':')
            p++;
        group = (wsk_str){from, (size_t)(p - from)};
        if (p == end && group.len > 0 &&
            memchr(group.p, '.', group.len) != NULL)
            return n + 4 <= room && read_v4(group, out + n) ? n + 4 : SIZE_MAX;
        if (n + 2 > room || !read_group(group, &value))
            return SIZE_MAX;
        out[n++] = (uint8_t)(value >> 8);
        out[n++] = (uint8_t)value;
        if (p++ == end)
            return n;
    }
}

static bool read_v6(wsk_str text, uint8_t out[16])
{
    const char *gap = NULL;
    uint8_t tail[16];
    size_t before, after;

    for (size_t i = 0; i + 1 < text.len && gap == NULL; i++)
        if (text.p[i] == ':' && text.p[i + 1] == ':')
            gap = text.p + i;
    memset(out, 0, 16);
    if (gap == NULL)
        return read_groups(text, out, 16) == 16;
    before = read_groups((wsk_str){text.p, (size_t)(gap - text.p)}, out, 14);
    if (before == SIZE_MAX)
        return false;
    after =
        read_groups((wsk_str){gap + 2, text.len - (size_t)(gap - text.p) - 2},
                    tail, 14 - before);
    if (after == SIZE_MAX)
        return false;
    memcpy(out + 16 - after, tail, after);
    return true;
}

bool wsk__ip_read(wsk_str text, struct wsk__ip *ip)
{
    struct wsk__ip read = {{0}};
    bool good;

    if (text.len == 0 || text.len >= WSK__IP_TEXT)
        return false;
    if (memchr(text.p, ':', text.len) != NULL) {
        good = read_v6(text, read.octets);
    } else {
        memcpy(read.octets, MAPPED, sizeof MAPPED);
        good = read_v4(text, read.octets + 12);
    }
    if (good)
        *ip = read;
    return good;
}

/* Find the longest run of zero groups, two at least (RFC 5952 4.2). */
static void find_gap(const unsigned groups[8], int *from, int *len)
{
    *from = -1;
    *len = 1;
    for (int i = 0; i < 8; i++) {
        int n = 0;

        while (i + n < 8 && groups[i + n] == 0)
            n++;
        if (n > *len) {
            *from = i;
            *len = n;
        }
        i += n > 0 ? n - 1 : 0;
    }
}

void wsk__ip_write(const struct wsk__ip *ip, char text[WSK__IP_TEXT])
{
    const uint8_t *o = ip->octets;
    unsigned groups[8];
    int gap, gap_len;
    size_t n = 0;

    if (memcmp(o, MAPPED, sizeof MAPPED) == 0) {
        snprintf(text, WSK__IP_TEXT, "%u.%u.%u.%u", o[12], o[13], o[14], o[15]);
        return;
    }
    for (int i = 0; i < 8; i++)
        groups[i] = (unsigned)o[2 * i] << 8 | o[2 * i + 1];
    find_gap(groups, &gap, &gap_len);
    text[0] = '\0';
    for (int i = 0; i < 8; i++) {
        if (i == gap) {
            n += (size_t)snprintf(text + n, WSK__IP_TEXT - n, "::");
            i += gap_len - 1;
            continue;
        }
        n += (size_t)snprintf(text + n, WSK__IP_TEXT - n, "%s%x",
                              n > 0 && text[n - 1] != ':' ? ":" : "",
                              groups[i] & 0xffff);
    }
}

bool wsk__block_read(wsk_str text, struct wsk__block *block)
{
    const char *slash = text.len > 0 ? memchr(text.p, '/', text.len) : NULL;
    wsk_str address = text;
    bool v4;

    *block = (struct wsk__block){.bits = 128};
    if (wsk__str_is(text, "*") || wsk__str_is(text, "unix")) {
        block->kind = text.len == 1 ? WSK__BLOCK_ALL : WSK__BLOCK_UNIX;
        return true;
    }
    if (slash != NULL)
        address.len = (size_t)(slash - text.p);
    if (!wsk__ip_read(address, &block->ip))
        return false;
    v4 = memchr(address.p, ':', address.len) == NULL;
    if (slash == NULL)
        return true;
    if (!read_decimal((wsk_str){slash + 1, text.len - address.len - 1},
                      v4 ? 32 : 128, &block->bits))
        return false;
    block->bits += v4 ? 96 : 0;
    return true;
}

static bool is_in(const struct wsk__block *b, const struct wsk__ip *ip)
{
    size_t whole = b->bits / 8;
    unsigned rest = b->bits % 8;

    return memcmp(b->ip.octets, ip->octets, whole) == 0 &&
           (rest == 0 ||
            (b->ip.octets[whole] ^ ip->octets[whole]) >> (8 - rest) == 0);
}

bool wsk__blocks_have(const struct wsk__block *blocks, size_t n,
                      const struct wsk__ip *ip)
{
    for (size_t i = 0; i < n; i++) {
        if (blocks[i].kind == WSK__BLOCK_ALL)
            return true;
        if (ip == NULL
                ? blocks[i].kind == WSK__BLOCK_UNIX
                : blocks[i].kind == WSK__BLOCK_IP && is_in(&blocks[i], ip))
            return true;
    }
    return false;
}
