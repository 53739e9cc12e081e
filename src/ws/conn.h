/* ws/conn: one WebSocket connection: messages, the close table, and the one
 * fail() door. */
#ifndef WSK_WS_CONN_H
#define WSK_WS_CONN_H

#include "base/buf.h"
#include "ws/pool.h"
#include "wsocket.h"

/* As wsk_ws_new_server(), but limits is borrowed for the engine's life. */
struct wsk_ws *wsk__ws_new(const wsk_limits *limits);

/* As wsk_ws_set_deflate(); states of zlib come from `pool`, which is borrowed
 * for the engine's life. */
wsk_status wsk__ws_set_deflate(struct wsk_ws *ws, const wsk_ws_deflate *agreed,
                               struct wsk__pool *pool);
bool wsk__ws_deflates(const struct wsk_ws *ws);

/*
 * Compress a long message before the caller takes the lock that the engine
 * stands under: nothing is read here but what is fixed since the handshake.
 * NULL when wsk_ws_send_with() is to do it, or nobody. Else a block of *len
 * octets from now on, for wsk__ws_send_packed() and then wsk__free().
 */
uint8_t *wsk__ws_pack(const struct wsk_ws *ws, const uint8_t *data, size_t *len,
                      unsigned flags);

/* Returns of wsk_ws_send_message(). */
wsk_status wsk__ws_send_packed(struct wsk_ws *ws, wsk_opcode opcode,
                               const uint8_t *block, size_t len);

/* The queue behind out_buf(), so that a server can lend it a block while it is
 * empty and take the block back when it is empty again. It is read through
 * out_buf() and out_ack() alone, and an ack may fill it anew: look before. */
struct wsk__buf *wsk__ws_out(struct wsk_ws *ws);

/* A deadline has passed: fail the connection as RFC 6455 7.1.7 says, sending
 * `code` if a Close may still be sent; locally it is 1006. */
void wsk__ws_fail(struct wsk_ws *ws, uint16_t code, const char *reason);

#endif
