/* ws/deflate: messages of ours, compressed (RFC 7692 7.2.1), by ws/fast or by
 * zlib. */
#ifndef WSK_WS_DEFLATE_H
#define WSK_WS_DEFLATE_H

#include "ws/pool.h"
#include "wsocket.h"

struct wsk__fast_past;
struct z_stream_s;

/* What is kept between two messages, with context takeover only. All zero at
 * first. */
struct wsk__deflater {
    struct wsk__fast_past *past;
    struct z_stream_s *zlib;
};

/* Octets of room that wsk__deflate() needs for a message of `len`. */
size_t wsk__deflate_room(const wsk_ws_deflate *how, size_t len);

/*
 * Compress a message of at least one octet; what it returns is sent, or the
 * next one cannot be read. Returns its size, or 0 when memory is out and the
 * message is to be sent as it is. pool may be NULL.
 */
size_t wsk__deflate(struct wsk__deflater *d, const wsk_ws_deflate *how,
                    struct wsk__pool *pool, const uint8_t *data, size_t len,
                    uint8_t *out);

/* Give everything back. */
void wsk__deflater_clear(struct wsk__deflater *d);

/* What both directions of a connection keep between messages, about. */
size_t wsk__deflate_bytes(const wsk_ws_deflate *how);

/* Free all states that wait in a pool which is no longer in use. */
void wsk__pool_clear(struct wsk__pool *pool);

#endif
