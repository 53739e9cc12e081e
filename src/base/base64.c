#include "base64.h"

#include <stdint.h>
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
