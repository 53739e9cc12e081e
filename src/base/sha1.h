/* base/sha1: SHA-1 (FIPS 180-4 6.1), which the opening handshake requires (RFC
 * 6455 1.3). It protects nothing there: use it for nothing else. */
#ifndef WSK_BASE_SHA1_H
#define WSK_BASE_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { WSK__SHA1_LEN = 20 };

void wsk__sha1(const void *data, size_t len, uint8_t digest[WSK__SHA1_LEN]);

#endif
