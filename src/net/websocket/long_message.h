/* net/websocket/long_message: the bytes of a long message, read to where it
 * grows. */
#ifndef WSK_NET_WEBSOCKET_LONG_MESSAGE_H
#define WSK_NET_WEBSOCKET_LONG_MESSAGE_H

#include "wsocket.h"

struct wsk__buf;
struct wsk__conn;

/*
 * The same for who reads without the lock: meanwhile the message is his, so
 * that nobody frees it who closes the connection.
 */
struct wsk__long_message {
    struct wsk__buf *msg; /* NULL: read elsewhere */
    uint8_t *room;
    size_t size;
};

/* ---- lock held ---- */

/* Where the next octets of a message that is under way are to be read to, at
 * most *size of them; NULL: none is, or not one that can be read so. */
uint8_t *wsk__long_message_room_locked(struct wsk__conn *conn, size_t *size);

/* n octets came there. */
void wsk__long_message_came_locked(struct wsk__conn *conn, const uint8_t *room,
                                   size_t n);
struct wsk__long_message wsk__long_message_begin_locked(struct wsk__conn *conn);

/* It goes back, with n octets more; or is freed, if it was given up. */
void wsk__long_message_end_locked(struct wsk__conn *conn,
                                  struct wsk__long_message *direct, size_t n);

#endif
