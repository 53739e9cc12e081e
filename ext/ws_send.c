/* ext/ws_send: what a WebSocket sends, its Close included. */
#include "websocket_object.h"

#include "args.h"
#include "errors.h"
#include "message.h"

/* Octets that may wait for a slow reader before send() waits too. */
#define SEND_LIMIT (1024 * 1024)

/* Messages from here on are sent with the GIL dropped: they are checked and
 * copied. */
#define LONG_MESSAGE 16384

/* RFC 6455 5.5. */
#define CONTROL_LONGEST 125

/* -------------------------------------------------------------- sending --- */

/* A slow reader slows its own handler down, not a callback for others. */
static wsk_status wait_for_reader(WebSocketObject *self)
{
    wsk_status st;

    if (self->app != NULL || wsk_conn_buffered(self->conn) < SEND_LIMIT)
        return WSK_OK;
    Py_BEGIN_ALLOW_THREADS
    st = wsk_conn_drain(self->conn, -1);
    Py_END_ALLOW_THREADS
    return st;
}

static wsk_status send_octets(WebSocketObject *self, const struct ext_octets *o,
                              wsk_opcode opcode, bool compress)
{
    unsigned flags = (o->text ? WSK_SEND_VALID : 0) |
                     (compress ? 0 : WSK_SEND_PLAIN);
    size_t len = (size_t)o->len;
    wsk_status st;

    if (len < LONG_MESSAGE) {
        st = wsk_conn_send_with(self->conn, opcode, o->p, len, flags);
    } else {
        Py_BEGIN_ALLOW_THREADS
        st = wsk_conn_send_with(self->conn, opcode, o->p, len, flags);
        Py_END_ALLOW_THREADS
    }
    return st == WSK_OK ? wait_for_reader(self) : st;
}

static const struct ext_signature send_sig = {
    "send", 1, 3, (const char *const[]){"message", "binary", "do_compress"}};

PyObject *ext_ws_send(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *given[3];
    struct ext_octets o;
    wsk_status st = WSK_OK;
    int binary, compress = 1;

    if (ext_args(&send_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    if (given[2] != NULL)
        compress = PyObject_IsTrue(given[2]);
    if (compress < 0 || ext_ws_open(self, "send") < 0 ||
        ext_octets_get(&o, given[0]) < 0)
        return NULL;
    binary = !o.text;
    if (given[1] != NULL && given[1] != Py_None)
        binary = PyObject_IsTrue(given[1]);
    if (binary >= 0)
        st = send_octets(self, &o, binary ? WSK_BINARY : WSK_TEXT, compress);
    ext_octets_release(&o);
    if (binary < 0)
        return NULL;
    if (st != WSK_OK)
        return ext_raise_websocket(self->st, st, "send");
    Py_RETURN_NONE;
}

static PyObject *send_frame(WebSocketObject *self, PyObject *message,
                            long opcode, bool fin)
{
    struct ext_octets o;
    wsk_status st = WSK_E_ARG;

    if (ext_octets_get(&o, message) < 0)
        return NULL;
    if (opcode >= WSK_CLOSE && o.len > CONTROL_LONGEST)
        PyErr_Format(self->st->FrameTooLargeException,
                     "a control frame holds at most %d octets, not %zd",
                     CONTROL_LONGEST, o.len);
    else if (opcode >= WSK_CONTINUATION && opcode <= WSK_PONG)
        st = wsk_conn_send_frame(self->conn, (wsk_opcode)opcode, fin, o.p,
                                 (size_t)o.len);
    ext_octets_release(&o);
    if (PyErr_Occurred())
        return NULL;
    if (st == WSK_OK && opcode < WSK_CLOSE)
        st = wait_for_reader(self);
    if (st != WSK_OK)
        return ext_raise_frame(self->st, st, "send_frame");
    Py_RETURN_NONE;
}

static const struct ext_signature send_frame_sig = {
    "send_frame", 2, 4,
    (const char *const[]){"message", "opcode", "do_compress", "fin"}};

PyObject *ext_ws_send_frame(PyObject *op, PyObject *const *args,
                            Py_ssize_t nargs, PyObject *kwnames)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *given[4];
    long opcode;
    int fin = 1;

    if (ext_args(&send_frame_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    opcode = PyLong_AsLong(given[1]);
    if (opcode == -1 && PyErr_Occurred())
        return NULL;
    if (given[3] != NULL)
        fin = PyObject_IsTrue(given[3]);
    if (fin < 0 || ext_ws_open(self, "send_frame") < 0)
        return NULL;
    return send_frame(self, given[0], opcode, fin);
}

static const struct ext_signature ping_sig = {"ping", 0, 1,
                                              (const char *const[]){"payload"}};

static PyObject *send_control(PyObject *op, PyObject *const *args,
                              Py_ssize_t nargs, PyObject *kwnames,
                              wsk_opcode opcode)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *payload;

    if (ext_args(&ping_sig, args, nargs, kwnames, &payload) < 0 ||
        ext_ws_open(self, "ping") < 0)
        return NULL;
    return send_frame(self, payload == NULL ? self->st->names.empty : payload,
                      opcode, true);
}

PyObject *ext_ws_ping(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames)
{
    return send_control(op, args, nargs, kwnames, WSK_PING);
}

PyObject *ext_ws_pong(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames)
{
    return send_control(op, args, nargs, kwnames, WSK_PONG);
}

/* -------------------------------------------------------------- closing --- */

static int close_with(WebSocketObject *self, long code, PyObject *reason)
{
    struct ext_octets o;
    wsk_status st = WSK_E_ARG;

    if (self->conn == NULL && self->req == NULL)
        return 0; /* as closed as it can be */
    if (ext_ws_open(self, "close") < 0 || ext_octets_get(&o, reason) < 0)
        return -1;
    if (code >= 0 && code <= UINT16_MAX)
        st = wsk_conn_close(self->conn, (uint16_t)code, o.p, (size_t)o.len);
    ext_octets_release(&o);
    if (st == WSK_OK || st == WSK_E_CLOSED)
        return 0;
    ext_raise_websocket(self->st, st, "close");
    return -1;
}

static const struct ext_signature close_sig = {
    "close", 0, 2, (const char *const[]){"code", "message"}};

PyObject *ext_ws_close(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *given[2];
    long code = 1000;

    if (ext_args(&close_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    if (given[0] != NULL)
        code = PyLong_AsLong(given[0]);
    if (code == -1 && PyErr_Occurred())
        return NULL;
    if (given[1] == NULL || given[1] == Py_None)
        given[1] = self->st->names.empty;
    if (close_with(self, code, given[1]) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *ext_ws_enter(PyObject *op, PyObject *unused)
{
    (void)unused;
    return ext_ref(op);
}

/* Leaving the block does not decide what the application left undecided. */
PyObject *ext_ws_exit(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    WebSocketObject *self = WebSocket_CAST(op);
    bool failed = nargs > 0 && args[0] != Py_None;

    if (self->conn != NULL &&
        close_with(self, failed ? 1011 : 1000, self->st->names.empty) < 0)
        return NULL;
    Py_RETURN_FALSE;
}
