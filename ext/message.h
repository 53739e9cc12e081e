/* ext/message: between str or bytes and the octets of a message. */
#ifndef WSK_EXT_MESSAGE_H
#define WSK_EXT_MESSAGE_H

#include "state.h"

/* A new str or bytes; the message may be masked. What claims to be text and is
 * none fails the connection, with UnicodeDecodeError set. */
PyObject *ext_message_object(wsk_conn *conn, const wsk_message *msg);

/* What is sent: octets, and whether they are known to be UTF-8. */
struct ext_octets {
    const char *p;
    Py_ssize_t len;
    bool text;
    PyObject *held;   /* the str of something else, or NULL */
    Py_buffer buffer; /* buffer.obj is NULL when unused */
};

/* A str is its UTF-8, bytes-like objects are what they hold, everything else
 * is str(object). Release it. -1 with an exception set. */
int ext_octets_get(struct ext_octets *o, PyObject *message);
void ext_octets_release(struct ext_octets *o);

#endif
