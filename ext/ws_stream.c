/* ext/ws_stream: messages too long to be held at once.
 *
 * A message that is sent in pieces excludes others (RFC 6455 5.4): a thread
 * that sends meanwhile finds the engine busy, and waits for stream_lock. */
#include "websocket_object.h"

#include "args.h"
#include "message.h"

/* -1 with an exception set. */
static int begin_stream(WebSocketObject *self)
{
    struct ext_ws_rare *rare = ext_ws_rare(self);

    if (rare == NULL)
        return -1;
    if (ext_ws_in_own_stream(self)) {
        PyErr_SetString(self->site->st->WebSocketError,
                        "send_stream: called from the iterable of another "
                        "send_stream() of this WebSocket");
        return -1;
    }
    if (rare->stream_lock == NULL)
        rare->stream_lock = PyThread_allocate_lock();
    if (rare->stream_lock == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS
    PyThread_acquire_lock(rare->stream_lock, WAIT_LOCK);
    Py_END_ALLOW_THREADS
    rare->streamer = PyThread_get_thread_ident();
    return 0;
}

static void end_stream(WebSocketObject *self)
{
    self->rare->streamer = 0;
    self->rare->streams_ended++;
    PyThread_release_lock(self->rare->stream_lock);
}

/* One message: pieces of one kind. */
struct stream {
    wsk_opcode opcode; /* WSK_CONTINUATION once the first has left */
    bool text;
    unsigned flags; /* of the first */
};

static int send_piece(WebSocketObject *self, PyObject *piece, struct stream *s)
{
    bool is_text = PyUnicode_Check(piece);
    struct ext_bytes o;
    wsk_status st;

    if (!is_text && !PyObject_CheckBuffer(piece)) {
        PyErr_Format(PyExc_TypeError,
                     "send_stream: the pieces must be str or bytes, not "
                     "%.100s",
                     Py_TYPE(piece)->tp_name);
        return -1;
    }
    if (s->opcode == WSK_CONTINUATION && is_text != s->text) {
        PyErr_SetString(PyExc_TypeError,
                        "send_stream: the pieces of one message must be all "
                        "str or all bytes");
        return -1;
    }
    if (ext_bytes_get(&o, piece) < 0)
        return -1;
    s->text = is_text;
    Py_BEGIN_ALLOW_THREADS
    if (s->opcode == WSK_CONTINUATION)
        st = wsk_conn_send_frame(self->conn, s->opcode, false, o.p,
                                 (size_t)o.len);
    else
        st = wsk_conn_send_first(self->conn, is_text ? WSK_TEXT : WSK_BINARY,
                                 o.p, (size_t)o.len, s->flags);
    Py_END_ALLOW_THREADS
    st = ext_ws_resume(self, st);
    ext_bytes_release(&o);
    if (PyErr_Occurred())
        return -1;
    if (st == WSK_OK) {
        s->opcode = WSK_CONTINUATION;
        st = ext_ws_wait_for_stream(self);
    }
    if (st == WSK_OK)
        return 0;
    ext_ws_raise_send(self, st, "send_stream");
    return -1;
}

/* Close with 1011, so that the peer sees that the message is not whole. The
 * exception that was the reason stays. */
static void break_off(WebSocketObject *self)
{
    PyObject *type, *error, *traceback;

    PyErr_Fetch(&type, &error, &traceback);
    ext_ws_close_conn(self, 1011, NULL, 0);
    PyErr_Clear();
    PyErr_Restore(type, error, traceback);
}

static int send_pieces(WebSocketObject *self, PyObject *iterator, bool compress)
{
    struct stream s = {.opcode = WSK_TEXT,
                       .flags = compress ? 0 : WSK_SEND_PLAIN};
    PyObject *piece;
    wsk_status st;
    int rc = 0;

    while (rc == 0 && (piece = PyIter_Next(iterator)) != NULL) {
        rc = send_piece(self, piece, &s);
        Py_DECREF(piece);
    }
    if (!PyErr_Occurred()) {
        Py_BEGIN_ALLOW_THREADS
        st = wsk_conn_send_frame(self->conn, s.opcode, true, NULL, 0);
        Py_END_ALLOW_THREADS
        st = ext_ws_resume(self, st);
        if (st == WSK_OK)
            return 0;
        if (!PyErr_Occurred())
            ext_ws_raise_send(self, st, "send_stream");
    }
    if (s.opcode == WSK_CONTINUATION)
        break_off(self);
    return -1;
}

static int send_stream(WebSocketObject *self, PyObject *iterable, bool compress)
{
    PyObject *iterator = NULL;
    int rc;

    if (!PyUnicode_Check(iterable) && !PyObject_CheckBuffer(iterable))
        iterator = PyObject_GetIter(iterable);
    else
        PyErr_SetString(PyExc_TypeError,
                        "send_stream: takes an iterable of pieces; send() is "
                        "for a message in one");
    if (iterator == NULL)
        return -1;
    rc = ext_ws_open(self, "send_stream");
    if (rc == 0)
        rc = begin_stream(self);
    if (rc == 0) {
        rc = send_pieces(self, iterator, compress);
        end_stream(self);
    }
    Py_DECREF(iterator);
    return rc;
}

static const struct ext_signature send_stream_sig = {
    "send_stream", 1, 2, (const char *const[]){"iterable", "do_compress"}};

PyObject *ext_ws_send_stream(PyObject *op, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *given[2];
    int compress = 1;

    if (ext_args(&send_stream_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    if (given[1] != NULL)
        compress = PyObject_IsTrue(given[1]);
    if (compress < 0 || send_stream(WebSocket_CAST(op), given[0], compress) < 0)
        return NULL;
    Py_RETURN_NONE;
}
