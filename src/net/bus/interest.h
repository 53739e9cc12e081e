/* net/bus/interest: which topics a process wants, as bits in a file that its
 * peers map. A bit may stand for several topics, so a peer may send what is
 * wanted by none, but never keeps back what is. */
#ifndef WSK_NET_BUS_INTEREST_H
#define WSK_NET_BUS_INTEREST_H

#include "wsocket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    WSK__INTEREST_BITS = 1 << 18,              /* of topics */
    WSK__INTEREST_BROKER = WSK__INTEREST_BITS, /* all come by a broker */
    WSK__INTEREST_RELAY, /* passes on what others publish */
    WSK__INTEREST_END,
};

typedef _Atomic uint64_t wsk__interest_word;

/* The file of this process, and its counts. */
struct wsk__interest {
    wsk__interest_word *bits; /* mapped; NULL: there is no file */
    pthread_mutex_t lock;     /* taken last */
    uint8_t *counts;          /* topics behind each bit; 255: too many, and the
                                 bit stays */
};

/* Make the table, without a file. False: memory is out. */
bool wsk__interest_init(struct wsk__interest *mine);
void wsk__interest_clear(struct wsk__interest *mine);

/* Make the file, which shows the topics wanted now, instead of the one before.
 * False with errno. */
bool wsk__interest_publish(struct wsk__interest *mine, const char *path);

/* A topic is wanted, or no longer. Any thread; waits for nothing. */
void wsk__interest_add(struct wsk__interest *mine, wsk_str topic);
void wsk__interest_remove(struct wsk__interest *mine, wsk_str topic);

/* Tell that this process has a broker, for good, and whether that takes
 * publications. */
void wsk__interest_set_broker(struct wsk__interest *mine, bool takes);

/* Map the file of a peer. NULL with errno. */
const wsk__interest_word *wsk__interest_map(const char *path);
void wsk__interest_unmap(const wsk__interest_word *bits);

/* Return the bit of a topic. */
uint32_t wsk__interest_bit(wsk_str topic);

static inline bool wsk__interest_has(const wsk__interest_word *bits,
                                     uint32_t bit)
{
    return ((atomic_load(&bits[bit / 64]) >> (bit % 64)) & 1) != 0;
}

#endif
