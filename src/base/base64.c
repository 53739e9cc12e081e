#include "base64.h"

#include <string.h>

static const char ALPHABET[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void wsk__base64_encode(const void *data, size_t n, char *text)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < n; i += 3, text += 4) {
        size_t left = n - i;
        uint32_t group = (uint32_t)p[i] << 16 |
                         (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                         (left > 2 ? p[i + 2] : 0);

        text[0] = ALPHABET[group >> 18];
        text[1] = ALPHABET[group >> 12 & 63];
        text[2] = left > 1 ? ALPHABET[group >> 6 & 63] : '=';
        text[3] = left > 2 ? ALPHABET[group & 63] : '=';
    }
}

bool wsk__base64_is_16_octets(const char *text, size_t len)
{
    if (len != WSK__BASE64_LEN(16) || memcmp(text + 22, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < 22; i++)
        if (memchr(ALPHABET, text[i], sizeof(ALPHABET) - 1) == NULL)
            return false;
    return true;
}

/* Return 0 to 63, or -1. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

size_t wsk__base64_decode(const char *text, size_t len, uint8_t *out,
                          size_t cap)
{
    size_t n = 0, pad = 0;
    uint32_t bits = 0;

    if (len % 4 != 0)
        return WSK__BASE64_BAD;
    while (pad < 2 && len > 0 && text[len - 1] == '=') {
        len--;
        pad++;
    }
    for (size_t i = 0; i < len; i++) {
        int value = value_of(text[i]);

        if (value < 0)
            return WSK__BASE64_BAD;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 == 0) /* six bits are no byte yet */
            continue;
        if (n < cap)
            out[n] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
        n++;
    }
    return n;
}
