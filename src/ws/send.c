/* Messages of the application become frames in the queue. ws/conn decides
 * whether any may be sent. */
#include "ws/send.h"

#include "base/mem.h"
#include "ws/queue.h"

#include <string.h>

enum {
    PACK_LEAST = 4096, /* bytes of a message that is worth compressing without
                          the lock */
    PACK_TAIL = 4,     /* bytes that end a flush, see end_piece() */
};

/* ---------------------------------------------------------- compressed --- */

/* Mark the first frame of a message as compressed: only that has the bit (RFC
 * 7692 6.1). */
static wsk_opcode marked(wsk_opcode opcode)
{
    return opcode == WSK_CONTINUATION ? opcode
                                      : (wsk_opcode)(opcode | WSK__RSV1);
}

/* Put the end of a flush between two pieces of a message, so that each can be
 * read when it comes; RFC 7692 7.2.1 removes it from the last. */
static size_t end_piece(uint8_t *at, bool fin)
{
    static const uint8_t TAIL[PACK_TAIL] = {0, 0, 0xff, 0xff};

    if (fin)
        return 0;
    memcpy(at, TAIL, sizeof(TAIL));
    return sizeof(TAIL);
}

static size_t pack_room(const wsk_ws *ws, size_t len)
{
    return wsk__deflate_room(&ws->deflate, len) + PACK_TAIL;
}

/* Compress a client's message, which is masked while it is copied to the queue.
 * Bytes that were compressed into a context must be sent, or the next message
 * cannot be read (RFC 7692 7.1.1). */
static bool queue_deflated_masked(wsk_ws *ws, wsk_opcode opcode, bool fin,
                                  const uint8_t *data, size_t len)
{
    uint8_t *block = wsk__alloc(pack_room(ws, len));
    size_t size = 0;

    if (block != NULL)
        size = wsk__deflate(&ws->deflater, &ws->deflate, ws->pool, data, len,
                            block);
    if (size > 0) {
        size += end_piece(block + size, fin);
        if (!wsk__out_put_frame(&ws->out, ws->keys, marked(opcode), fin, block,
                                size))
            wsk__ws_fail(ws, 1011, "out of memory");
    }
    wsk__free(block);
    return size > 0;
}

/* Queue a piece without bytes: none are needed, but at the end of a message,
 * behind a flush, RFC 7692 7.2.3.6 has one byte stand for it. */
static bool queue_nothing(wsk_ws *ws, wsk_opcode opcode, bool fin)
{
    static const uint8_t END[] = {0};

    return wsk__out_put_frame(&ws->out, ws->keys, opcode, fin, END,
                              fin ? sizeof(END) : 0);
}

/* Compress straight into the queue; the header is written once the size is
 * known. False, and nothing is queued, when memory is out. */
static bool queue_deflated(wsk_ws *ws, wsk_opcode opcode, bool fin,
                           const uint8_t *data, size_t len)
{
    uint8_t *room, *block;
    size_t size, n;

    if (len == 0)
        return queue_nothing(ws, opcode, fin);
    if (len > WSK__BUF_CAP_MAX / 2)
        return false;
    if (ws->keys != NULL)
        return queue_deflated_masked(ws, opcode, fin, data, len);
    room = wsk__out_room(&ws->out, WSK__FRAME_OWN_MAX + pack_room(ws, len));
    if (room == NULL)
        return false;
    block = room + WSK__FRAME_OWN_MAX;
    size =
        wsk__deflate(&ws->deflater, &ws->deflate, ws->pool, data, len, block);
    if (size == 0)
        return false;
    size += end_piece(block + size, fin);
    n = wsk__frame_write(room, marked(opcode), fin, size);
    memmove(room + n, block, size);
    wsk__out_grow(ws->out, n + size);
    return true;
}

static bool is_compressed(const wsk_ws *ws, size_t len, unsigned flags)
{
    return ws->deflates && (flags & WSK_SEND_PLAIN) == 0 && len > 0 &&
           len >= ws->deflate.threshold && len <= WSK__BUF_CAP_MAX / 2;
}

uint8_t *wsk__ws_pack_piece(const wsk_ws *ws, const uint8_t *data, size_t *len)
{
    struct wsk__deflater none = {0};
    uint8_t *block;
    size_t size;

    if (*len < PACK_LEAST || *len > WSK__BUF_CAP_MAX / 2 ||
        ws->deflate.server_takeover)
        return NULL;
    block = wsk__alloc(pack_room(ws, *len));
    if (block == NULL)
        return NULL;
    size = wsk__deflate(&none, &ws->deflate, ws->pool, data, *len, block);
    if (size == 0) {
        wsk__free(block);
        return NULL;
    }
    *len = size;
    return block;
}

uint8_t *wsk__ws_pack(const wsk_ws *ws, const uint8_t *data, size_t *len,
                      unsigned flags)
{
    if (!is_compressed(ws, *len, flags))
        return NULL;
    return wsk__ws_pack_piece(ws, data, len);
}

/* ------------------------------------------------------------ messages --- */

/* Note that a data frame has been queued. */
static void went(wsk_ws *ws, bool fin, bool packed)
{
    ws->sending = !fin;
    ws->packing = !fin && packed;
}

wsk_status wsk_ws_send_frame(wsk_ws *ws, wsk_opcode opcode, bool fin,
                             const uint8_t *data, size_t len)
{
    bool control = opcode == WSK_PING || opcode == WSK_PONG, queued;

    if (!control && opcode > WSK_BINARY)
        return WSK_E_ARG; /* a Close has its own function */
    if (control && (!fin || len > WSK__CONTROL_MAX))
        return WSK_E_ARG;
    if (!wsk_ws_can_send(ws))
        return WSK_E_CLOSED;
    if (!control && ws->sending != (opcode == WSK_CONTINUATION))
        return WSK_E_STATE;
    if (control || !ws->packing)
        queued = wsk__out_put_frame(&ws->out, ws->keys, opcode, fin, data, len);
    else
        queued = queue_deflated(ws, opcode, fin, data, len);
    if (!queued)
        return WSK_E_NOMEM;
    if (!control)
        went(ws, fin, ws->packing);
    return WSK_OK;
}

void wsk__ws_forget_past(wsk_ws *ws)
{
    if (ws->deflate.server_takeover)
        wsk__deflater_clear(&ws->deflater, &ws->deflate);
}

wsk_status wsk__ws_send_packed(wsk_ws *ws, wsk_opcode opcode, bool fin,
                               uint8_t *block, size_t len)
{
    if (!wsk_ws_can_send(ws))
        return WSK_E_CLOSED;
    if (ws->sending != (opcode == WSK_CONTINUATION) ||
        (ws->sending && !ws->packing))
        return WSK_E_STATE;
    len += end_piece(block + len, fin);
    if (!wsk__out_put_frame(&ws->out, ws->keys, marked(opcode), fin, block,
                            len))
        return WSK_E_NOMEM;
    went(ws, fin, true);
    return WSK_OK;
}

/* Send a message, or the first piece of one. */
static wsk_status send_some(wsk_ws *ws, wsk_opcode opcode, bool fin,
                            const uint8_t *data, size_t len, unsigned flags)
{
    if (opcode != WSK_TEXT && opcode != WSK_BINARY)
        return WSK_E_ARG;
    if (!is_compressed(ws, len, flags) || !wsk_ws_can_send(ws) || ws->sending ||
        !queue_deflated(ws, opcode, fin, data, len))
        return wsk_ws_send_frame(ws, opcode, fin, data, len);
    went(ws, fin, true);
    return WSK_OK;
}

wsk_status wsk_ws_send_with(wsk_ws *ws, wsk_opcode opcode, const uint8_t *data,
                            size_t len, unsigned flags)
{
    return send_some(ws, opcode, true, data, len, flags);
}

wsk_status wsk_ws_send_first(wsk_ws *ws, wsk_opcode opcode, const uint8_t *data,
                             size_t len, unsigned flags)
{
    return send_some(ws, opcode, false, data, len, flags);
}

wsk_status wsk_ws_send_message(wsk_ws *ws, wsk_opcode opcode,
                               const uint8_t *data, size_t len)
{
    return wsk_ws_send_with(ws, opcode, data, len, 0);
}

wsk_status wsk__ws_send_beside(wsk_ws *ws, wsk_opcode opcode, size_t len,
                               unsigned flags, uint8_t head[WSK__FRAME_OWN_MAX],
                               size_t *n)
{
    if (!wsk_ws_can_send(ws))
        return WSK_E_CLOSED;
    if (ws->sending)
        return WSK_E_STATE;
    if (wsk__out_data(ws->out, n) != NULL || is_compressed(ws, len, flags))
        return WSK_E_AGAIN;
    *n = wsk__frame_write(head, opcode, true, len);
    return WSK_OK;
}
