/* ws/frame: the header of a frame (RFC 6455 5.2). Each fault that a header
 * alone can have is found here, before any of the payload has come. */
#ifndef WSK_WS_FRAME_H
#define WSK_WS_FRAME_H

#include "wsocket.h"

enum {
    WSK__FRAME_START = 2,     /* octets that tell how long the header is */
    WSK__FRAME_HEAD_MAX = 14, /* the longest header */
    WSK__FRAME_OWN_MAX = 10,  /* the longest without a masking key */
    WSK__CONTROL_MAX = 125,   /* payload of a control frame (5.5) */
    WSK__WHOLE_TEXT = 0x81,   /* first octet of a message in one frame */
    WSK__WHOLE_BINARY = 0x82,
    WSK__RSV1 = 0x40, /* bit of the first octet: compressed (RFC 7692 6) */
};

struct wsk__frame {
    uint64_t len;   /* octets of payload, below 2^63 */
    uint8_t key[4]; /* masking key; all zero without one */
    uint8_t opcode; /* a wsk_opcode */
    bool fin;
    bool rsv1; /* the frame begins a compressed message */
};

static inline bool wsk__frame_is_control(uint8_t opcode)
{
    return (opcode & 0x8) != 0;
}

/* How the peer masks its frames (RFC 6455 5.1). */
enum wsk__masking { WSK__MASK_MUST, WSK__MASK_MAY, WSK__MASK_NEVER };

/*
 * Judge the first two octets of a peer's frame; `deflate` when messages may be
 * compressed. Returns NULL when they are legal, with the length of the whole
 * header in *size, WSK__FRAME_START..WSK__FRAME_HEAD_MAX. Else what is wrong,
 * in one static line.
 */
const char *wsk__frame_start(const uint8_t head[WSK__FRAME_START],
                             enum wsk__masking masking, bool deflate,
                             uint8_t *size);

/* Read the whole header that wsk__frame_start() has accepted. Returns NULL,
 * with *frame filled; or what is wrong. */
const char *wsk__frame_read(const uint8_t *head, struct wsk__frame *frame);

/* Write the header of a server's frame, which is never masked (RFC 6455 5.1).
 * Returns its length. */
size_t wsk__frame_write(uint8_t head[WSK__FRAME_OWN_MAX], wsk_opcode opcode,
                        bool fin, uint64_t len);

/* Return the octets of payload in a whole frame of ours, of `len` octets. */
static inline size_t wsk__frame_payload(const uint8_t *frame, size_t len)
{
    unsigned said = frame[1] & 0x7f;

    return len - (said == 127 ? 10 : said == 126 ? 4 : 2);
}

/* Make the header of `n` octets a client's, with a masking key behind it.
 * Returns its length. */
size_t wsk__frame_write_key(uint8_t head[WSK__FRAME_HEAD_MAX], size_t n,
                            const uint8_t key[4]);

#endif
