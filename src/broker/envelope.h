/*
 * broker/envelope: what surrounds a publication on its way through a broker.
 *
 *     octet  0   magic, which begins no text
 *            1   version
 *            2   kind
 *            3   flags
 *            4   number of names, big-endian as all that follows
 *            6   reserved, 0
 *            8   origin: the node that wrote it
 *           16   except: a WebSocket of the origin that gets no copy; 0: none
 *           24   sequence, of the origin
 *           32   the names, each with an octet for its length before it
 *                the message
 *
 * Octets that do not begin with the magic are a message of another program, as
 * they are.
 */
#ifndef WSK_BROKER_ENVELOPE_H
#define WSK_BROKER_ENVELOPE_H

#include "wsocket.h"

enum wsk__envelope_kind {
    WSK__ENVELOPE_NONE,       /* a plain message, without an envelope */
    WSK__ENVELOPE_MESSAGE,    /* names: all topics, where it is several */
    WSK__ENVELOPE_PROBE,      /* to ourselves */
    WSK__ENVELOPE_GAP,        /* names: topics of which something may be
                                 missed; none: all. The message: 4 octets, the
                                 age of the newest of it in ms */
    WSK__ENVELOPE_DISCONNECT, /* the message: 2 octets of a close code, and the
                                 reason */
};

enum {
    WSK__ENVELOPE_BINARY = 1, /* else text */
    WSK__ENVELOPE_PLAIN = 2,  /* not to be compressed */
};

enum {
    WSK__ENVELOPE_HEAD = 32,
    WSK__ENVELOPE_NAMES_MAX = 65535,
    WSK__ENVELOPE_NAME_MAX = 255, /* bytes of a name */
};

struct wsk__envelope {
    enum wsk__envelope_kind kind;
    uint8_t flags;
    uint16_t n_names;
    uint64_t origin, except, seq;
    wsk_str names; /* as they are written, for wsk__envelope_next_name() */
    wsk_str message;
};

/* Return the octets that wsk__envelope_write() writes. */
size_t wsk__envelope_size(const wsk_str *names, size_t n, size_t len);

/* Write an envelope of the first five fields of *e, the n names, at most
 * WSK__ENVELOPE_NAMES_MAX of at most WSK__ENVELOPE_NAME_MAX bytes each, and the
 * message. e->n_names and e->names do not count. */
void wsk__envelope_write(uint8_t *to, const struct wsk__envelope *e,
                         const wsk_str *names, size_t n);

/* Read octets. False: they begin with the magic, and are no envelope of this
 * version. */
bool wsk__envelope_read(wsk_str octets, struct wsk__envelope *e);

/* Walk the names: *rest begins as e->names. False at the end. */
bool wsk__envelope_next_name(wsk_str *rest, wsk_str *name);

/* Read and write integers, big-endian. */
uint64_t wsk__octets_read(const void *p, size_t n);
void wsk__octets_write(uint8_t *to, uint64_t value, size_t n);

#endif
