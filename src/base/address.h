/* base/address: IP addresses and blocks of them, as text. */
#ifndef WSK_BASE_ADDRESS_H
#define WSK_BASE_ADDRESS_H

#include "wsocket.h"

/* IPv4 stands at ::ffff:0:0/96. */
struct wsk__ip {
    uint8_t octets[16];
};

enum { WSK__IP_TEXT = 46 };

/* "192.0.2.1" or "2001:db8::1"; no zone, no brackets, no leading zeros.
 * *ip is written only on true. */
bool wsk__ip_read(wsk_str text, struct wsk__ip *ip);

/* As inet_ntop() writes it; what stands for IPv4 as IPv4. */
void wsk__ip_write(const struct wsk__ip *ip, char text[WSK__IP_TEXT]);

/* Who is trusted: "10.0.0.0/8", "::1", "*" for everyone, "unix" for whoever
 * comes through a Unix socket. */
struct wsk__block {
    enum { WSK__BLOCK_IP, WSK__BLOCK_ALL, WSK__BLOCK_UNIX } kind;
    struct wsk__ip ip;
    unsigned bits; /* 0..128 */
};

bool wsk__block_read(wsk_str text, struct wsk__block *block);

/* Whether an item of the list (of the option trusted_proxies) has the address;
 * a NULL ip is a Unix socket. */
bool wsk__blocks_have(const struct wsk__block *blocks, size_t n,
                      const struct wsk__ip *ip);

#endif
