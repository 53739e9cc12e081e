/* ws/send: the way of a frame into the queue. Between ws/conn, which decides
 * what may be sent, and itself; others see ws/conn.h. */
#ifndef WSK_WS_SEND_H
#define WSK_WS_SEND_H

#include "ws/conn.h"

/* A frame behind what is queued. False when memory is out, and nothing is. */
bool wsk__ws_queue_frame(struct wsk_ws *ws, wsk_opcode opcode, bool fin,
                         const uint8_t *data, size_t len);

/* ws/conn: the pong that had to wait, if it need not any more. */
void wsk__ws_queue_due_pong(struct wsk_ws *ws);

#endif
