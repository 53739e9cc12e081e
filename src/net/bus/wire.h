/* net/bus/wire: messages between the processes of one host, as octets. Numbers
 * have the machine's own order. */
#ifndef WSK_NET_BUS_WIRE_H
#define WSK_NET_BUS_WIRE_H

#include "net/bus/route.h"

enum {
    WSK__WIRE_HEAD = 16,
    WSK__WIRE_VERSION = 1,
    WSK__WIRE_BODY_MAX = 1 << 30, /* octets behind a head */
};

enum wsk__wire_kind {
    WSK__WIRE_HELLO = 1,  /* the first of who connects: its name as text */
    WSK__WIRE_READY,      /* the answer: publications of the answerer come */
    WSK__WIRE_MESSAGE,    /* names and payload */
    WSK__WIRE_DISCONNECT, /* a name and the reason; `number` is the code */
};

enum {
    WSK__WIRE_TEXT = 1,  /* of a MESSAGE: text, not binary */
    WSK__WIRE_PLAIN = 2, /* of a MESSAGE: never compressed */
    WSK__WIRE_RELAY = 4, /* of a MESSAGE or DISCONNECT: pass it on, by the
                            broker of the receiver */
    WSK__WIRE_GAP = 1,   /* of a HELLO: some before it are gone */
};

/* Head: octet 0xb5, version, kind, flags, and three numbers of 32 bits. */
struct wsk__wire {
    enum wsk__wire_kind kind;
    uint8_t flags;
    uint32_t body;   /* octets behind the head: names, then the rest */
    uint32_t names;  /* octets of the names, each behind its length */
    uint32_t number; /* of names, or a close code */
};

enum wsk__wire_found {
    WSK__WIRE_MORE, /* octets are needed */
    WSK__WIRE_GOOD,
    WSK__WIRE_BAD,
    WSK__WIRE_OTHER_VERSION,
};

void wsk__wire_write(uint8_t to[WSK__WIRE_HEAD], const struct wsk__wire *head);

/* Read the head of the first message in `data`, and check it. GOOD: all of its
 * body is there as well. */
enum wsk__wire_found wsk__wire_read(const uint8_t *data, size_t len,
                                    struct wsk__wire *head);

/* Write a name behind its length. Returns the octets. */
size_t wsk__wire_put_name(uint8_t *to, wsk_str name);

/* Split the names of a good head, which are head->number, or 1 in a DISCONNECT.
 * False: they do not fill their place. */
bool wsk__wire_names(const uint8_t *body, const struct wsk__wire *head,
                     wsk_str *names, size_t n);

#endif
