/* ext/ws_stream: messages too long to be held at once.
 *
 * A message that is sent in pieces excludes others (RFC 6455 5.4): who sends
 * meanwhile finds the engine busy, and waits for stream_lock. */
#include "websocket_object.h"

#include "errors.h"
#include "message.h"

bool ext_ws_await_stream(WebSocketObject *self, unsigned ended)
{
    if (self->streams_ended != ended)
        return true; /* it has ended meanwhile */
    if (self->streamer == 0 || self->streamer == PyThread_get_thread_ident())
        return false;
    Py_BEGIN_ALLOW_THREADS
    PyThread_acquire_lock(self->stream_lock, WAIT_LOCK);
    PyThread_release_lock(self->stream_lock);
    Py_END_ALLOW_THREADS
    return true;
}

/* -1 with an exception set. */
static int begin_stream(WebSocketObject *self)
{
    if (self->streamer == PyThread_get_thread_ident()) {
        PyErr_SetString(self->st->WebSocketError,
                        "send_stream: called from the iterable of another "
                        "send_stream() of this WebSocket");
        return -1;
    }
    if (self->stream_lock == NULL)
        self->stream_lock = PyThread_allocate_lock();
    if (self->stream_lock == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS
    PyThread_acquire_lock(self->stream_lock, WAIT_LOCK);
    Py_END_ALLOW_THREADS
    self->streamer = PyThread_get_thread_ident();
    return 0;
}

static void end_stream(WebSocketObject *self)
{
    self->streamer = 0;
    self->streams_ended++;
    PyThread_release_lock(self->stream_lock);
}

/* Pieces of one kind. *opcode is WSK_CONTINUATION once the first has left. */
static int send_piece(WebSocketObject *self, PyObject *piece, bool *text,
                      wsk_opcode *opcode)
{
    bool is_text = PyUnicode_Check(piece);
    struct ext_octets o;
    wsk_status st;

    if (!is_text && !PyObject_CheckBuffer(piece)) {
        PyErr_Format(PyExc_TypeError,
                     "send_stream: the pieces must be str or bytes, not "
                     "%.100s",
                     Py_TYPE(piece)->tp_name);
        return -1;
    }
    if (*opcode == WSK_CONTINUATION && is_text != *text) {
        PyErr_SetString(PyExc_TypeError,
                        "send_stream: the pieces of one message must be all "
                        "str or all bytes");
        return -1;
    }
    if (ext_octets_get(&o, piece) < 0)
        return -1;
    if (*opcode != WSK_CONTINUATION)
        *opcode = is_text ? WSK_TEXT : WSK_BINARY;
    Py_BEGIN_ALLOW_THREADS
    st = wsk_conn_send_frame(self->conn, *opcode, false, o.p, (size_t)o.len);
    Py_END_ALLOW_THREADS
    ext_octets_release(&o);
    *text = is_text;
    if (st == WSK_OK) {
        *opcode = WSK_CONTINUATION;
        st = ext_ws_wait_for_stream(self);
    }
    if (st == WSK_OK)
        return 0;
    ext_ws_raise_send(self, st, "send_stream");
    return -1;
}

static int send_pieces(WebSocketObject *self, PyObject *iterator)
{
    wsk_opcode opcode = WSK_TEXT;
    bool text = true;
    PyObject *piece;
    wsk_status st;
    int rc = 0;

    while (rc == 0 && (piece = PyIter_Next(iterator)) != NULL) {
        rc = send_piece(self, piece, &text, &opcode);
        Py_DECREF(piece);
    }
    if (!PyErr_Occurred()) {
        Py_BEGIN_ALLOW_THREADS
        st = wsk_conn_send_frame(self->conn, opcode, true, NULL, 0);
        Py_END_ALLOW_THREADS
        if (st == WSK_OK)
            return 0;
        ext_ws_raise_send(self, st, "send_stream");
    }
    /* The peer must see that the message is not whole. */
    if (opcode == WSK_CONTINUATION)
        ext_ws_close_conn(self, 1011, NULL, 0);
    return -1;
}

PyObject *ext_ws_send_stream(PyObject *op, PyObject *iterable)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *iterator = NULL;
    int rc;

    if (!PyUnicode_Check(iterable) && !PyObject_CheckBuffer(iterable))
        iterator = PyObject_GetIter(iterable);
    else
        PyErr_SetString(PyExc_TypeError,
                        "send_stream: takes an iterable of pieces; send() is "
                        "for a message in one");
    if (iterator == NULL)
        return NULL;
    rc = ext_ws_open(self, "send_stream");
    if (rc == 0)
        rc = begin_stream(self);
    if (rc == 0) {
        rc = send_pieces(self, iterator);
        end_stream(self);
    }
    Py_DECREF(iterator);
    if (rc < 0)
        return NULL;
    Py_RETURN_NONE;
}
