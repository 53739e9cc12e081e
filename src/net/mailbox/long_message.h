/* net/mailbox/long_message: long messages are read to where they grow. */
#ifndef WSK_NET_MAILBOX_LONG_MESSAGE_H
#define WSK_NET_MAILBOX_LONG_MESSAGE_H

#include "net/os/locks.h"
#include "wsocket.h"

struct wsk__buf;
struct wsk__conn;

/* A message that a thread reads into without the lock. It belongs to that
 * thread meanwhile, so that a thread which closes the connection does not free
 * it. */
struct wsk__long_message {
    struct wsk__buf
        *msg; /* NULL: there is none, or it cannot be read in place */
    uint8_t *room;
    size_t size;
};

/* ---- lock held ---- */

/* Return where to read the next bytes of the message being received, at most
 * *size; NULL if there is none, or it cannot be read in place. */
uint8_t *wsk__long_message_room_locked(struct wsk__conn *conn,
                                       size_t *size) WSK__CONN_LOCKED;

/* Parse n bytes that were read to that place. */
void wsk__long_message_came_locked(struct wsk__conn *conn, const uint8_t *room,
                                   size_t n) WSK__CONN_LOCKED;
/* Lift the open message out of the engine, to read into it without the lock. */
struct wsk__long_message
wsk__long_message_begin_locked(struct wsk__conn *conn) WSK__CONN_LOCKED;

/* Give the message back with n more bytes; or free it, if the connection has
 * given it up. */
void wsk__long_message_end_locked(struct wsk__conn *conn,
                                  struct wsk__long_message *lifted,
                                  size_t n) WSK__CONN_LOCKED;

#endif
