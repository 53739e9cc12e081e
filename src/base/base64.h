/* base/base64: base64 (RFC 4648 4), as far as the opening handshake of a
 * WebSocket and the user of a request need it. */
#ifndef WSK_BASE_BASE64_H
#define WSK_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WSK__BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Write WSK__BASE64_LEN(n) characters to `text`, and no NUL. */
void wsk__base64_encode(const void *data, size_t n, char *text);

/*
 * True if text[0..len) stands for exactly 16 bytes: 22 characters of the
 * alphabet and "==". The four spare bits of the last character may have any
 * value: RFC 4648 3.5 permits that, and some clients use a key made up by hand.
 */
bool wsk__base64_is_16_octets(const char *text, size_t len);

/*
 * Decode text[0..len), padded as RFC 4648 4 has it; spare bits may have any
 * value. At most `cap` bytes are written to `out`. Returns the number of bytes
 * that the whole text stands for, or WSK__BASE64_BAD if it is no base64.
 */
#define WSK__BASE64_BAD SIZE_MAX
size_t wsk__base64_decode(const char *text, size_t len, uint8_t *out,
                          size_t cap);

#endif
