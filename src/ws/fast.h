/* ws/fast: DEFLATE (RFC 1951) for short messages. One block of fixed Huffman
 * codes, matches found through a hash of four octets: no trees are built, which
 * is where zlib spends the time of a short message. */
#ifndef WSK_WS_FAST_H
#define WSK_WS_FAST_H

#include <stddef.h>
#include <stdint.h>

/* Octets of messages before, which the next may refer to. */
struct wsk__fast_past;

/* Room that `len` octets need while they are compressed. What does not become
 * shorter is stored as it is then, in 6 octets more (RFC 1951 3.2.4), or 5 for
 * each further 64 KiB. */
static inline size_t wsk__fast_room(size_t len)
{
    return len + len / 8 + 16;
}

/*
 * Compress a message that refers to nothing but itself, and no further back
 * than 2^bits octets, 8..15. out has wsk__fast_room(len) octets. Returns how
 * many it took; the four octets that RFC 7692 7.2.1 takes away are not there.
 */
size_t wsk__fast_alone(uint8_t *out, const uint8_t *data, size_t len,
                       unsigned bits);

/* An empty past for windows of `bits`; NULL when memory is out. Free it with
 * wsk__free(). It takes wsk__fast_bytes(). */
struct wsk__fast_past *wsk__fast_new(unsigned bits);
size_t wsk__fast_bytes(unsigned bits);

/* As wsk__fast_alone(), but what came before may be referred to, and the
 * message becomes part of the past. */
size_t wsk__fast_next(struct wsk__fast_past *past, uint8_t *out,
                      const uint8_t *data, size_t len);
#endif
