/* ws/fast: DEFLATE (RFC 1951) for short messages. One block of fixed Huffman
 * codes, matches found through a hash of four bytes: it builds no trees, on
 * which zlib spends the time of a short message. */
#ifndef WSK_WS_FAST_H
#define WSK_WS_FAST_H

#include <stddef.h>
#include <stdint.h>

/* Earlier messages, to which the next may refer. */
struct wsk__fast_past;

/* Return the bytes of room that a message of `len` needs while it is
 * compressed. One that does not become shorter is stored as it is, in 6 bytes
 * more (RFC 1951 3.2.4), or 5 for each further 64 KiB. */
static inline size_t wsk__fast_room(size_t len)
{
    return len + len / 8 + 16;
}

/*
 * Compress a message that refers only to itself, and back by at most 2^bits
 * bytes, 8..15. out has wsk__fast_room(len) bytes. Returns the bytes written;
 * the four that RFC 7692 7.2.1 removes are left out.
 */
size_t wsk__fast_alone(uint8_t *out, const uint8_t *data, size_t len,
                       unsigned bits);

/* Make an empty past for windows of `bits`; NULL when memory is out. Free it
 * with wsk__free(). Its size is wsk__fast_bytes(). */
struct wsk__fast_past *wsk__fast_new(unsigned bits);
size_t wsk__fast_bytes(unsigned bits);

/* As wsk__fast_alone(), but the message may refer to those before, and becomes
 * part of the past. */
size_t wsk__fast_next(struct wsk__fast_past *past, uint8_t *out,
                      const uint8_t *data, size_t len);
#endif
