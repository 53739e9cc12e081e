/* base/address: IP addresses and blocks of them, from text and to text. */
#ifndef WSK_BASE_ADDRESS_H
#define WSK_BASE_ADDRESS_H

#include "wsocket.h"

/* An IPv4 address is mapped to ::ffff:0:0/96 (RFC 4291 2.5.5.2). */
struct wsk__ip {
    uint8_t octets[16];
};

enum { WSK__IP_TEXT = 46 };

/* Read "192.0.2.1" or "2001:db8::1"; no zone, no brackets, no leading zeros.
 * *ip is written only on true. */
bool wsk__ip_read(wsk_str text, struct wsk__ip *ip);

/* Write the text of inet_ntop(); a mapped address is written as IPv4. */
void wsk__ip_write(const struct wsk__ip *ip, char text[WSK__IP_TEXT]);

/* An entry of trusted_proxies: "10.0.0.0/8", "::1", "*" for every peer, "unix"
 * for peers of a Unix socket. */
struct wsk__block {
    enum { WSK__BLOCK_IP, WSK__BLOCK_ALL, WSK__BLOCK_UNIX } kind;
    struct wsk__ip ip;
    unsigned bits; /* length of the prefix, 0..128 */
};

bool wsk__block_read(wsk_str text, struct wsk__block *block);

/* True if one of the blocks has the address; a NULL ip is a Unix socket. */
bool wsk__blocks_have(const struct wsk__block *blocks, size_t n,
                      const struct wsk__ip *ip);

#endif
