/* ws/send: messages of the application become frames in the queue. The
 * functions besides those of wsocket.h. */
#ifndef WSK_WS_SEND_H
#define WSK_WS_SEND_H

#include "ws/conn.h"

/*
 * Compress a long message before the caller takes the lock that guards the
 * engine: this reads only what is fixed since the handshake. Returns NULL when
 * wsk_ws_send_with() must do it, or the message is sent as it is. Else a block
 * of *len bytes for wsk__ws_send_packed(), and then for wsk__free().
 */
uint8_t *wsk__ws_pack(const struct wsk_ws *ws, const uint8_t *data, size_t *len,
                      unsigned flags);

/* The same for a further piece of a message, if wsk__ws_packs() is true. */
uint8_t *wsk__ws_pack_piece(const struct wsk_ws *ws, const uint8_t *data,
                            size_t *len);
static inline bool wsk__ws_packs(const struct wsk_ws *ws)
{
    return ws->packing;
}

/* Return true inside a message that the application sends in pieces. */
static inline bool wsk__ws_is_sending(const struct wsk_ws *ws)
{
    return ws->sending;
}

/* Compress the next message without referring to those before it. */
void wsk__ws_forget_past(struct wsk_ws *ws);

/* Send a block of wsk__ws_pack(). Returns as wsk_ws_send_frame() does. */
wsk_status wsk__ws_send_packed(struct wsk_ws *ws, wsk_opcode opcode, bool fin,
                               uint8_t *block, size_t len);

/* Write the header of a message that the caller sends itself, now, in *n bytes.
 * Returns as wsk_ws_send_message() does; WSK_E_AGAIN when the message is to be
 * compressed, or the queue is not empty. */
wsk_status wsk__ws_send_beside(struct wsk_ws *ws, wsk_opcode opcode, size_t len,
                               unsigned flags, uint8_t head[WSK__FRAME_OWN_MAX],
                               size_t *n);

#endif
