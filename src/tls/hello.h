/* tls/hello: is a whole ClientHello there (RFC 8446 4.1.2, 5.1)? Bytes only: no
 * library, and built without TLS, too. */
#ifndef WSK_TLS_HELLO_H
#define WSK_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WSK__TLS_HELLO_FIRST = 0x16, /* first octet of every TLS connection */
    WSK__TLS_HELLO_MAX = 16384,  /* longest handshake message, its head of four
                                    octets included */
    WSK__TLS_HELLO_RAW = 32768,  /* most octets that it may take with the heads
                                    of its records */
};

enum wsk__tls_hello_is {
    WSK__TLS_HELLO_NO,    /* not yet: more has to come */
    WSK__TLS_HELLO_WHOLE, /* give it to wsk__tls_shake() */
    WSK__TLS_HELLO_BAD,   /* no ClientHello, or a longer one than is read */
};

/* How far the octets of a connection were looked at; all zero at its start. */
struct wsk__tls_hello {
    size_t at;   /* octets up to the first record that is not yet whole */
    size_t have; /* octets of the handshake message in the records before */
    size_t want; /* length of the message, as far as its head was read */
};

/*
 * Look at the octets of a connection from its first one on: `len` grows from
 * call to call, the octets seen before stand unchanged (they may have moved).
 * All calls together take linear time for any records and segments. The
 * answer is WHOLE or BAD after at most WSK__TLS_HELLO_RAW octets; what stands
 * behind a whole hello does not count.
 */
enum wsk__tls_hello_is wsk__tls_hello_whole(struct wsk__tls_hello *hello,
                                            const uint8_t *data, size_t len);

#endif
