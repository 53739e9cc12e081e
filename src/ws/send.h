/* ws/send: messages and frames of the application become frames in the queue.
 * Besides what wsocket.h declares. */
#ifndef WSK_WS_SEND_H
#define WSK_WS_SEND_H

#include "ws/conn.h"

/*
 * Compress a long message before the caller takes the lock that the engine
 * stands under: nothing is read here but what is fixed since the handshake.
 * NULL when wsk_ws_send_with() is to do it, or nobody. Else a block of *len
 * octets from now on, for wsk__ws_send_packed() and then wsk__free().
 */
uint8_t *wsk__ws_pack(const struct wsk_ws *ws, const uint8_t *data, size_t *len,
                      unsigned flags);

/* The same for another piece of a message, if wsk__ws_packs() says so. */
uint8_t *wsk__ws_pack_piece(const struct wsk_ws *ws, const uint8_t *data,
                            size_t *len);
static inline bool wsk__ws_packs(const struct wsk_ws *ws)
{
    return ws->packing;
}

/* Returns of wsk_ws_send_frame(). */
wsk_status wsk__ws_send_packed(struct wsk_ws *ws, wsk_opcode opcode, bool fin,
                               uint8_t *block, size_t len);

/* For a message that the caller writes itself, now: the header of its frame,
 * *n octets. Returns of wsk_ws_send_message(); WSK_E_AGAIN when it is to be
 * compressed, or something is owed already. */
wsk_status wsk__ws_send_beside(struct wsk_ws *ws, wsk_opcode opcode, size_t len,
                               unsigned flags, uint8_t head[WSK__FRAME_OWN_MAX],
                               size_t *n);

#endif
