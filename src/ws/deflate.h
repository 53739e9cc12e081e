/* ws/deflate: compress messages (RFC 7692 7.2.1), with ws/fast or zlib. */
#ifndef WSK_WS_DEFLATE_H
#define WSK_WS_DEFLATE_H

#include "ws/pool.h"
#include "wsocket.h"

struct wsk__fast_past;
struct z_stream_s;

/* State between two messages, with context takeover only. All zero at first. */
struct wsk__deflater {
    union {
        struct wsk__fast_past *past; /* of level 0 */
        struct z_stream_s *zlib;     /* of the others */
    };
};

/* Return the bytes of room that wsk__deflate() needs for a message of `len`. */
size_t wsk__deflate_room(const wsk_ws_deflate *how, size_t len);

/*
 * Compress a message of at least one byte. The result must be sent: the next
 * message may refer to it. Returns its size, or 0 when memory is out and the
 * message must be sent uncompressed. pool may be NULL.
 */
size_t wsk__deflate(struct wsk__deflater *d, const wsk_ws_deflate *how,
                    struct wsk__pool *pool, const uint8_t *data, size_t len,
                    uint8_t *out);

/* Free all memory. `how` is that of its messages. */
void wsk__deflater_clear(struct wsk__deflater *d, const wsk_ws_deflate *how);

/* Return about the bytes that both directions keep between messages. */
size_t wsk__deflate_bytes(const wsk_ws_deflate *how);

/* Return the version of zlib that is in use. */
const char *wsk__deflate_zlib(void);

/* Free all states that wait in a pool which is no longer in use. */
void wsk__pool_clear(struct wsk__pool *pool);

#endif
