/* ext/ws_pieces: one message that is received in pieces, as an iterator. */
#include "websocket_object.h"

#include "args.h"
#include "message.h"

typedef struct {
    PyObject_HEAD
    PyObject *websocket; /* NULL once the message is over */
    PyObject *first;     /* the piece that receive_stream() waited for */
    int timeout_ms;
    bool text;
    bool busy; /* a thread waits for the next piece, perhaps without the GIL */
} StreamObject;

#define Stream_CAST(op) ((StreamObject *)(op))

/* Return the piece as an object. The last one frees the WebSocket for other
 * calls. */
static PyObject *take_piece(WebSocketObject *ws, wsk_message *msg)
{
    PyObject *piece = ext_message_object(ws->conn, msg);

    ws->in_stream = msg->more;
    wsk_message_free(msg);
    return piece;
}

static PyObject *raise_broken(WebSocketObject *ws)
{
    wsk_close_info info = {.code = 1006};
    char how[EXT_HOW_MAX];

    wsk_conn_closed(ws->conn, &info);
    ext_ws_how(&info, how);
    ws->told_ended = true;
    return PyErr_Format(ws->site->st->WebSocketError,
                        "receive_stream: the WebSocket was closed (%s) in the "
                        "middle of a message",
                        how);
}

/* Return the next piece that is not empty. NULL at the end, or with an
 * exception. */
static PyObject *next_piece(StreamObject *self, WebSocketObject *ws)
{
    PyObject *piece = NULL;

    while (piece == NULL && self->websocket != NULL) {
        wsk_message msg;
        int got = ext_ws_fetch(ws, self->timeout_ms, true, &msg);

        if (got == 0)
            raise_broken(ws);
        if (got <= 0)
            return NULL;
        piece = take_piece(ws, &msg);
        if (!ws->in_stream)
            Py_CLEAR(self->websocket);
        if (piece == NULL)
            return NULL;
        if (PyObject_Size(piece) == 0) /* a last piece may be empty */
            Py_CLEAR(piece);
    }
    return piece;
}

/* The pieces of one message have an order, so one thread at a time asks for
 * them. The WebSocket is held, for the GIL is given away meanwhile. */
static PyObject *Stream_iternext(PyObject *op)
{
    StreamObject *self = Stream_CAST(op);
    PyObject *piece = self->first, *ws;

    self->first = NULL;
    if (piece != NULL || self->websocket == NULL)
        return piece;
    ws = ext_ref(self->websocket);
    if (self->busy) {
        PyErr_SetString(WebSocket_CAST(ws)->site->st->WebSocketError,
                        "receive_stream: another thread waits for the next "
                        "piece; one at a time can");
    } else {
        self->busy = true;
        piece = next_piece(self, WebSocket_CAST(ws));
        self->busy = false;
    }
    Py_DECREF(ws);
    return piece;
}

static int Stream_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(Stream_CAST(op)->websocket);
    return 0;
}

static int Stream_clear(PyObject *op)
{
    Py_CLEAR(Stream_CAST(op)->websocket);
    Py_CLEAR(Stream_CAST(op)->first);
    return 0;
}

static void Stream_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    Stream_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMemberDef Stream_members[] = {
    {"text", T_BOOL, offsetof(StreamObject, text), READONLY,
     "True: the pieces are str; False: bytes."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Stream_slots[] = {
    {Py_tp_doc, "The pieces of one message, as WebSocket.receive_stream() has "
                "it."},
    {Py_tp_new, ext_no_new},
    {Py_tp_dealloc, Stream_dealloc},
    {Py_tp_traverse, Stream_traverse},
    {Py_tp_clear, Stream_clear},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, Stream_iternext},
    {Py_tp_members, Stream_members},
    {0, NULL},
};

const PyType_Spec ext_stream_spec = {
    .name = "wsocket._wsocket.MessageStream",
    .basicsize = sizeof(StreamObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Stream_slots,
};

static const struct ext_signature stream_sig = {
    "receive_stream", 0, 1, (const char *const[]){"timeout"}};

PyObject *ext_ws_receive_stream(PyObject *op, PyObject *const *args,
                                Py_ssize_t nargs, PyObject *kwnames)
{
    WebSocketObject *ws = WebSocket_CAST(op);
    PyTypeObject *type = ws->site->st->types.stream;
    StreamObject *self;
    wsk_message msg;
    PyObject *first;
    bool text;
    int ms, got;

    if (ext_timeout_arg(&stream_sig, args, nargs, kwnames, &ms) < 0)
        return NULL;
    if (ws->in_stream)
        return PyErr_Format(ws->site->st->WebSocketError,
                            "receive_stream: the last message has not been "
                            "read to its end");
    got = ext_ws_fetch(ws, ms, true, &msg);
    if (got <= 0)
        return got < 0 ? NULL : ext_ws_tell_ended(ws, "receive_stream");
    text = msg.opcode == WSK_TEXT;
    first = take_piece(ws, &msg);
    self = first != NULL ? Stream_CAST(type->tp_alloc(type, 0)) : NULL;
    if (self == NULL) {
        Py_XDECREF(first);
        return NULL;
    }
    if (ws->in_stream)
        self->websocket = ext_ref(op);
    self->timeout_ms = ms;
    self->text = text;
    if (PyObject_Size(first) == 0)
        Py_CLEAR(first);
    self->first = first;
    return (PyObject *)self;
}
