/* ext/ws_send: what a WebSocket sends. */
#include "websocket_object.h"

#include "args.h"
#include "errors.h"
#include "gil.h"
#include "message.h"

/* Messages from here on are sent with the GIL dropped: they are checked and
 * copied. */
#define LONG_MESSAGE 16384

/* RFC 6455 5.5. */
#define CONTROL_LONGEST 125

/* ------------------------------------------------------------- mistakes --- */

PyObject *ext_ws_raise_send(WebSocketObject *self, wsk_status st,
                            const char *what)
{
    PyObject *error = self->site->st->WebSocketError;
    wsk_close_info info;
    char how[EXT_HOW_MAX];

    if (st == WSK_E_CLOSED && wsk_conn_closed(self->conn, &info)) {
        ext_ws_how(&info, how);
        return PyErr_Format(error, "%s: the WebSocket is closed (%s)", what,
                            how);
    }
    if (st == WSK_E_STATE)
        return PyErr_Format(
            self->site->st->ProtocolError,
            "%s: a message that was begun in pieces is not finished; "
            "end it with send_frame(b'', 0)",
            what);
    if (st == WSK_E_ARG)
        return PyErr_Format(PyExc_ValueError,
                            "%s: these bytes are not UTF-8, so they cannot be "
                            "sent as text; send them as binary",
                            what);
    return ext_raise_websocket(self->site->st, st, what);
}

/* -------------------------------------------------------------- sending --- */

/* A handler that answers wakes its peer, whose next message may wake another
 * handler before the call is over: that one must not find the GIL taken. But a
 * handler that has more to answer keeps the GIL, or all would take turns at
 * every message; and so does one that sends to other connections, maybe to very
 * many. */
static bool keeps_gil(const WebSocketObject *self, size_t len)
{
    return len < LONG_MESSAGE && !self->standalone &&
           (self->app != NULL || !ext_ws_in_handler(self) ||
            wsk_conn_has_more(self->conn));
}

static wsk_status send_once(WebSocketObject *self, const struct ext_bytes *o,
                            wsk_opcode opcode, unsigned flags)
{
    size_t len = (size_t)o->len;
    PyThreadState *left;
    wsk_status st;

    if (keeps_gil(self, len))
        return wsk_conn_send_with(self->conn, opcode, o->p, len, flags);
    left = PyEval_SaveThread();
    st = wsk_conn_send_with(self->conn, opcode, o->p, len, flags);
    ext_gil_return(left);
    return st;
}

static wsk_status send_bytes(WebSocketObject *self, const struct ext_bytes *o,
                             wsk_opcode opcode, bool compress)
{
    unsigned flags = (o->text ? WSK_SEND_VALID : 0) |
                     (compress ? 0 : WSK_SEND_PLAIN) |
                     (self->policy == EXT_POLICY_CLOSE ? WSK_SEND_KEEP : 0);
    bool drops = self->policy == EXT_POLICY_DROP;
    unsigned ended;
    wsk_status st;

    if (drops && wsk_conn_is_full(self->conn))
        return WSK_OK;
    do {
        ended = ext_ws_streams_ended(self);
        st = ext_ws_resume(self, send_once(self, o, opcode, flags));
    } while (st == WSK_E_STATE && ext_ws_await_stream(self, ended));
    if (st == WSK_E_AGAIN)
        return WSK_OK; /* ws_send_policy wants it dropped */
    return st == WSK_OK && !drops ? ext_ws_wait_for_reader(self) : st;
}

static const struct ext_signature send_sig = {
    "send", 1, 3, (const char *const[]){"message", "binary", "do_compress"}};

PyObject *ext_ws_send(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *given[3];
    struct ext_bytes o;
    wsk_status st = WSK_OK;
    int binary, compress = 1;

    if (ext_args(&send_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    if (given[2] != NULL)
        compress = PyObject_IsTrue(given[2]);
    if (compress < 0 || ext_ws_open(self, "send") < 0 ||
        ext_bytes_get(&o, given[0]) < 0)
        return NULL;
    binary = !o.text;
    if (given[1] != NULL && given[1] != Py_None)
        binary = PyObject_IsTrue(given[1]);
    if (binary >= 0)
        st = send_bytes(self, &o, binary ? WSK_BINARY : WSK_TEXT, compress);
    ext_bytes_release(&o);
    if (PyErr_Occurred())
        return NULL;
    if (st != WSK_OK)
        return ext_ws_raise_send(self, st, "send");
    Py_RETURN_NONE;
}

/* --------------------------------------------------------------- frames --- */

/* One frame, as send_frame() was asked for it. */
struct frame {
    PyObject *message;
    long opcode;
    int compress;
    int fin;
};

/* Raise ProtocolError for a frame that RFC 6455 5.2 to 5.5 forbid in any state.
 */
static int check_frame(const struct ext_state *st, const struct frame *f)
{
    const char *wrong = NULL;

    if (f->opcode == WSK_CLOSE)
        wrong = "close() sends opcode 8, and ends the connection as well";
    else if (f->opcode > WSK_CLOSE && f->opcode <= WSK_PONG && !f->fin)
        wrong = "a ping or pong cannot be in pieces; leave fin=False out";
    else if (f->compress &&
             (f->opcode < WSK_TEXT || f->opcode > WSK_BINARY || !f->fin))
        wrong = "only a whole message (opcode 1 or 2, fin=True) can be "
                "compressed; leave do_compress=True out";
    else if (f->opcode < 0 || f->opcode > WSK_PONG ||
             (f->opcode > WSK_BINARY && f->opcode < WSK_CLOSE)) {
        PyErr_Format(st->ProtocolError,
                     "send_frame: %ld is no opcode; 1 is text, 2 binary, 0 "
                     "continues them, 9 is a ping, 10 a pong",
                     f->opcode);
        return -1;
    }
    if (wrong == NULL)
        return 0;
    PyErr_Format(st->ProtocolError, "send_frame: %s", wrong);
    return -1;
}

static PyObject *raise_frame(WebSocketObject *self, wsk_status st,
                             const struct frame *f)
{
    if (st == WSK_E_STATE && f->opcode == WSK_CONTINUATION)
        return PyErr_Format(
            self->site->st->ProtocolError,
            "send_frame: opcode 0 continues a message, and none was begun "
            "with fin=False");
    return ext_ws_raise_send(self, st, "send_frame");
}

/* Send a frame once. A standalone WebSocket waits until its bytes are sent. */
static wsk_status frame_once(WebSocketObject *self, const struct ext_bytes *o,
                             const struct frame *f)
{
    wsk_opcode opcode = (wsk_opcode)f->opcode;
    size_t len = (size_t)o->len;
    wsk_status st;

    if (!self->standalone)
        return wsk_conn_send_frame(self->conn, opcode, f->fin, o->p, len);
    Py_BEGIN_ALLOW_THREADS
    st = wsk_conn_send_frame(self->conn, opcode, f->fin, o->p, len);
    Py_END_ALLOW_THREADS
    return st;
}

static wsk_status send_bytes_frame(WebSocketObject *self,
                                   const struct ext_bytes *o,
                                   const struct frame *f)
{
    unsigned ended;
    wsk_status st;

    if (f->compress)
        return send_bytes(self, o, (wsk_opcode)f->opcode, true);
    do {
        ended = ext_ws_streams_ended(self);
        st = ext_ws_resume(self, frame_once(self, o, f));
    } while (st == WSK_E_STATE && f->opcode != WSK_CONTINUATION &&
             ext_ws_await_stream(self, ended));
    if (st == WSK_E_AGAIN)
        return WSK_OK; /* dropped, as ws_send_policy wants it */
    return st == WSK_OK && f->opcode < WSK_CLOSE ? ext_ws_wait_for_reader(self)
                                                 : st;
}

static PyObject *send_frame(WebSocketObject *self, const struct frame *f)
{
    struct ext_bytes o;
    wsk_status st = WSK_OK;

    if (ext_bytes_get(&o, f->message) < 0)
        return NULL;
    if (f->opcode > WSK_CLOSE && o.len > CONTROL_LONGEST)
        PyErr_Format(self->site->st->FrameTooLargeException,
                     "a control frame holds at most %d octets, not %zd",
                     CONTROL_LONGEST, o.len);
    else if (f->opcode == WSK_CONTINUATION && ext_ws_in_own_stream(self))
        st = WSK_E_STATE; /* the message is send_stream()'s */
    else
        st = send_bytes_frame(self, &o, f);
    ext_bytes_release(&o);
    if (PyErr_Occurred())
        return NULL;
    if (st != WSK_OK)
        return raise_frame(self, st, f);
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
    struct frame f = {.fin = 1};

    if (ext_args(&send_frame_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    f.message = given[0];
    f.opcode = ext_small_number(given[1]);
    if (f.opcode == -1 && PyErr_Occurred())
        return NULL;
    if (given[2] != NULL)
        f.compress = PyObject_IsTrue(given[2]);
    if (given[3] != NULL)
        f.fin = PyObject_IsTrue(given[3]);
    if (f.compress < 0 || f.fin < 0 || check_frame(self->site->st, &f) < 0 ||
        ext_ws_open(self, "send_frame") < 0)
        return NULL;
    return send_frame(self, &f);
}

static const struct ext_signature ping_sig = {"ping", 0, 1,
                                              (const char *const[]){"payload"}};

static PyObject *send_control(PyObject *op, PyObject *const *args,
                              Py_ssize_t nargs, PyObject *kwnames,
                              wsk_opcode opcode)
{
    WebSocketObject *self = WebSocket_CAST(op);
    struct frame f = {.opcode = (long)opcode, .fin = 1};

    if (ext_args(&ping_sig, args, nargs, kwnames, &f.message) < 0 ||
        ext_ws_open(self, "ping") < 0)
        return NULL;
    if (f.message == NULL)
        f.message = self->site->st->names.empty;
    return send_frame(self, &f);
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
