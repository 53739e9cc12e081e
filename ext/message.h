/* ext/message: str and bytes as the bytes of a message, and back. */
#ifndef WSK_EXT_MESSAGE_H
#define WSK_EXT_MESSAGE_H

#include "state.h"

/* Return a message, which may be masked, as a new str or bytes. Text that is
 * not UTF-8 fails the connection, with UnicodeDecodeError set. */
PyObject *ext_message_object(wsk_conn *conn, const wsk_message *msg);

/* The bytes to send, and whether they are known to be UTF-8. */
struct ext_bytes {
    const char *p;
    Py_ssize_t len;
    bool text;
    PyObject *held;   /* the str of something else, or NULL */
    Py_buffer buffer; /* buffer.obj is NULL when unused */
};

/* Get the bytes of an object: the UTF-8 of a str, the content of a bytes-like
 * object, str(object) for any other. Release them afterwards. -1 with an
 * exception set. */
int ext_bytes_get(struct ext_bytes *o, PyObject *message);
void ext_bytes_release(struct ext_bytes *o);

#endif
