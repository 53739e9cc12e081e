/* ext/ws_close: the end of a WebSocket: close(), and how it has ended. */
#include "websocket_object.h"

#include "args.h"
#include "errors.h"
#include "message.h"

/* Write the code and reason that were sent to a peer that was given up. */
static void put_sent(const wsk_close_info *info, char *to, size_t size)
{
    bool limit = info->option != NULL;

    PyOS_snprintf(to, size, "sent %d: %.*s%s%s%s", (int)info->sent_code,
                  (int)info->sent_len, info->sent_reason, limit ? " (" : "",
                  limit ? info->option : "", limit ? ")" : "");
}

void ext_ws_how(const wsk_close_info *info, char how[EXT_HOW_MAX])
{
    int n = PyOS_snprintf(how, EXT_HOW_MAX, "%d%s", (int)info->code,
                          info->failed ? "; " : "");

    if (info->failed)
        put_sent(info, how + n, EXT_HOW_MAX - (size_t)n);
}

PyObject *ext_ws_reason(const wsk_close_info *info)
{
    char sent[EXT_HOW_MAX];

    if (!info->failed)
        return PyUnicode_DecodeUTF8(info->reason, info->len, "replace");
    put_sent(info, sent, sizeof sent);
    return PyUnicode_FromString(sent);
}

bool ext_ws_is_closed(const WebSocketObject *self)
{
    if (self->conn == NULL)
        return ext_ws_request(self) == NULL;
    return !wsk_conn_can_send(self->conn) || wsk_conn_closed(self->conn, NULL);
}

bool ext_websocket_has_left(PyObject *websocket)
{
    WebSocketObject *self = WebSocket_CAST(websocket);

    return self->conn != NULL && ext_ws_is_closed(self) &&
           PyErr_ExceptionMatches(self->site->st->WebSocketError) &&
           !PyErr_ExceptionMatches(self->site->st->ProtocolError);
}

wsk_status ext_ws_close_conn(WebSocketObject *self, uint16_t code,
                             const char *reason, size_t len)
{
    wsk_status st;

    if (!self->standalone)
        return wsk_conn_close(self->conn, code, reason, len);
    Py_BEGIN_ALLOW_THREADS
    st = wsk_conn_close(self->conn, code, reason, len);
    Py_END_ALLOW_THREADS
    return st;
}

void ext_websocket_fail(PyObject *websocket)
{
    WebSocketObject *self = WebSocket_CAST(websocket);

    if (self->conn != NULL)
        ext_ws_close_conn(self, 1011, NULL, 0);
}

int ext_ws_finish(WebSocketObject *self, bool at_once)
{
    wsk_status st;

    do {
        Py_BEGIN_ALLOW_THREADS
        st = wsk_conn_finish(self->conn, at_once);
        Py_END_ALLOW_THREADS
    } while (st == WSK_E_AGAIN && !PyErr_Occurred() &&
             PyErr_CheckSignals() == 0);
    if (st != WSK_E_AGAIN)
        return 0;
    ext_ws_finish(self, true);
    return -1;
}

static int raise_close(WebSocketObject *self, wsk_status st, long code)
{
    bool known = (code >= 1000 && code <= 1003) ||
                 (code >= 1007 && code <= 1014) ||
                 (code >= 3000 && code <= 4999);

    if (st != WSK_E_ARG)
        ext_raise_websocket(self->site->st, st, "close");
    else if (known)
        PyErr_SetString(PyExc_ValueError, "close: the reason is not UTF-8");
    else
        PyErr_Format(PyExc_ValueError,
                     "close: %ld cannot be sent; 1000 is a normal end, 1011 "
                     "an error here, 3000 to 4999 are yours (1001-1003 and "
                     "1007-1014 are in RFC 6455 7.4)",
                     code);
    return -1;
}

static int close_with(WebSocketObject *self, long code, PyObject *reason)
{
    struct ext_bytes o;
    wsk_status st = WSK_E_ARG;

    if (self->conn == NULL && ext_ws_request(self) == NULL)
        return 0; /* as closed as it can be */
    if (ext_ws_open(self, "close") < 0 || ext_bytes_get(&o, reason) < 0)
        return -1;
    if (code >= 0 && code <= UINT16_MAX && code != 1005) /* "none came" */
        st = ext_ws_resume(
            self, ext_ws_close_conn(self, (uint16_t)code, o.p, (size_t)o.len));
    ext_bytes_release(&o);
    if (PyErr_Occurred())
        return -1;
    if (st != WSK_OK && st != WSK_E_CLOSED)
        return raise_close(self, st, code);
    /* No other thread would complete a client's closing handshake. */
    return self->client ? ext_ws_finish(self, false) : 0;
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
        code = ext_small_number(given[0]);
    if (code == -1 && PyErr_Occurred())
        return NULL;
    if (given[1] == NULL || given[1] == Py_None)
        given[1] = self->site->st->names.empty;
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
        close_with(self, failed ? 1011 : 1000, self->site->st->names.empty) < 0)
        return NULL;
    Py_RETURN_FALSE;
}
