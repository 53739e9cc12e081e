#include "ws/frame.h"

#include <string.h>

/* Bits of the two octets that every header has (RFC 6455 5.2). */
enum {
    FIN = 0x80,
    RSV = 0x70,
    OPCODE = 0x0f,
    MASKED = 0x80,
    LENGTH = 0x7f,
    LENGTH_16 = 126, /* a length of 16 bits follows */
    LENGTH_64 = 127,
};

static uint64_t load_be(const uint8_t *p, size_t n)
{
    uint64_t x = 0;

    while (n-- > 0)
        x = x << 8 | *p++;
    return x;
}

static void store_be(uint8_t *p, size_t n, uint64_t x)
{
    for (; n > 0; n--, x >>= 8)
        p[n - 1] = (uint8_t)x;
}

/* Return the octets of the extended length that a 7-bit length announces. */
static size_t extended(unsigned length)
{
    return length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0;
}

static bool is_known(unsigned opcode)
{
    return opcode <= WSK_BINARY || (opcode >= WSK_CLOSE && opcode <= WSK_PONG);
}

const char *wsk__frame_start(const uint8_t head[WSK__FRAME_START],
                             enum wsk__masking masking, bool deflate,
                             uint8_t *size)
{
    uint8_t opcode = head[0] & OPCODE;
    unsigned length = head[1] & LENGTH;
    /* RFC 7692 6: on the first frame of a message, and on no other. */
    bool rsv1 = deflate && (opcode == WSK_TEXT || opcode == WSK_BINARY);

    if ((head[0] & (rsv1 ? RSV & ~WSK__RSV1 : RSV)) != 0)
        return "reserved bit set";
    if (!is_known(opcode))
        return "unknown opcode";
    if (wsk__frame_is_control(opcode)) { /* 5.5 */
        if ((head[0] & FIN) == 0)
            return "control frame in fragments";
        if (length > WSK__CONTROL_MAX)
            return "control frame too long";
    }
    if ((head[1] & MASKED) == 0 && masking == WSK__MASK_MUST)
        return "frame not masked"; /* 5.1 */
    if ((head[1] & MASKED) != 0 && masking == WSK__MASK_NEVER)
        return "frame of a server is masked"; /* 5.1 */
    *size = (uint8_t)(WSK__FRAME_START + extended(length) +
                      ((head[1] & MASKED) != 0 ? 4 : 0));
    return NULL;
}

const char *wsk__frame_read(const uint8_t *head, struct wsk__frame *frame)
{
    unsigned length = head[1] & LENGTH;
    size_t n = extended(length);

    frame->fin = (head[0] & FIN) != 0;
    frame->rsv1 = (head[0] & WSK__RSV1) != 0;
    frame->opcode = head[0] & OPCODE;
    frame->len = n > 0 ? load_be(head + WSK__FRAME_START, n) : length;
    memset(frame->key, 0, 4);
    if ((head[1] & MASKED) != 0)
        memcpy(frame->key, head + WSK__FRAME_START + n, 4);
    if (frame->len >> 63 != 0)
        return "length with the top bit set";
    if ((n == 2 && frame->len < LENGTH_16) || (n == 8 && frame->len <= 0xffff))
        return "length not in its shortest form";
    return NULL;
}

size_t wsk__frame_write(uint8_t head[WSK__FRAME_OWN_MAX], wsk_opcode opcode,
                        bool fin, uint64_t len)
{
    unsigned length = len < LENGTH_16 ? (unsigned)len
                      : len <= 0xffff ? LENGTH_16
                                      : LENGTH_64;
    size_t n = extended(length);

    head[0] = (uint8_t)((fin ? FIN : 0) | opcode);
    head[1] = (uint8_t)length;
    store_be(head + WSK__FRAME_START, n, len);
    return WSK__FRAME_START + n;
}

size_t wsk__frame_write_key(uint8_t head[WSK__FRAME_HEAD_MAX], size_t n,
                            const uint8_t key[4])
{
    head[1] |= MASKED;
    memcpy(head + n, key, 4);
    return n + 4;
}
