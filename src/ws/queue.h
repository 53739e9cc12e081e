/* ws/queue: frames and other bytes that have been queued for the peer, until
 * the transport has taken them. Which frames may be queued is decided by its
 * callers, ws/conn and ws/send. */
#ifndef WSK_WS_QUEUE_H
#define WSK_WS_QUEUE_H

#include "base/buf.h"
#include "ws/frame.h"
#include "ws/mask.h"

/* One queue. A connection that owes nothing needs none, so each function takes
 * the address of the pointer, which is NULL then. */
struct wsk__out {
    struct wsk__buf buf;
    size_t pong_end;   /* bytes of buf up to the end of its last pong */
    size_t pong_bytes; /* bytes of all pongs in buf, until the last has left */
};

/* Return room for n more bytes behind the last, or NULL when memory is out.
 * Follow with wsk__out_grow(). */
uint8_t *wsk__out_room(struct wsk__out **out, size_t n);
static inline void wsk__out_grow(struct wsk__out *out, size_t n)
{
    wsk__buf_grow_tail(&out->buf, n);
}

/* Append bytes as they are. False, and nothing is queued, when memory is out.
 */
bool wsk__out_put(struct wsk__out **out, const uint8_t *data, size_t len);

/* Append a frame, masked where `keys` is not NULL (RFC 6455 5.3). `opcode` may
 * have the bit WSK__RSV1. False, and nothing is queued, when memory is out. */
bool wsk__out_put_frame(struct wsk__out **out, struct wsk__keys *keys,
                        wsk_opcode opcode, bool fin, const uint8_t *data,
                        size_t len);

/* Append a pong. False also when 4,096 bytes of pongs have not left yet: the
 * caller may then answer a later ping instead (RFC 6455 5.5.3). */
bool wsk__out_put_pong(struct wsk__out **out, struct wsk__keys *keys,
                       const uint8_t *payload, uint8_t len);

/* Return the bytes to send next; NULL and *len = 0 when there are none. */
static inline const uint8_t *wsk__out_data(const struct wsk__out *out,
                                           size_t *len)
{
    *len = out != NULL ? wsk__buf_len(&out->buf) : 0;
    return *len > 0 ? wsk__buf_data(&out->buf) : NULL;
}

/* Drop the first n bytes, which have left; there are as many. */
void wsk__out_ack(struct wsk__out *out, size_t n);

/* Return the bytes of memory that unsent bytes take. */
static inline size_t wsk__out_held(const struct wsk__out *out)
{
    return out != NULL && wsk__buf_len(&out->buf) > 0 ? out->buf.size : 0;
}

/* Move *spare to *out if *out is NULL, so that queueing takes no memory. */
void wsk__out_lend(struct wsk__out **out, struct wsk__out **spare);

/* If all bytes have left, move *out to *spare, or free it when *spare is not
 * NULL or the queue has grown large. */
void wsk__out_return(struct wsk__out **out, struct wsk__out **spare);

/* Free a queue with all it holds; NULL is legal. */
void wsk__out_free(struct wsk__out *out);

#endif
