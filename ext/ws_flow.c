/* ext/ws_flow: waiting while a WebSocket sends: for a slow reader, for the end
 * of a message in pieces, and again after a signal. */
#include "websocket_object.h"

#include "gil.h"

static const char *const POLICIES[] = {"wait", "drop", "close"};

static enum ext_policy policy_of(const WebSocketObject *self)
{
    if (self->policy != EXT_POLICY_DEFAULT)
        return (enum ext_policy)self->policy;
    return self->app != NULL ? EXT_POLICY_CLOSE : EXT_POLICY_WAIT;
}

PyObject *ext_ws_get_policy(PyObject *op, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(
        POLICIES[policy_of(WebSocket_CAST(op)) - EXT_POLICY_WAIT]);
}

int ext_ws_set_policy(PyObject *op, PyObject *value, void *unused)
{
    (void)unused;
    for (size_t i = 0; value != NULL && i < Py_ARRAY_LENGTH(POLICIES); i++)
        if (PyUnicode_Check(value) &&
            PyUnicode_CompareWithASCIIString(value, POLICIES[i]) == 0) {
            WebSocket_CAST(op)->policy = (uint8_t)(EXT_POLICY_WAIT + (int)i);
            return 0;
        }
    PyErr_SetString(PyExc_ValueError,
                    "send_policy must be 'wait', 'drop' or 'close'");
    return -1;
}

PyObject *ext_ws_get_buffered(PyObject *op, void *unused)
{
    WebSocketObject *self = WebSocket_CAST(op);

    (void)unused;
    return PyLong_FromSize_t(self->conn != NULL ? wsk_conn_buffered(self->conn)
                                                : 0);
}

PyObject *ext_ws_get_full(PyObject *op, void *unused)
{
    WebSocketObject *self = WebSocket_CAST(op);

    (void)unused;
    return PyBool_FromLong(self->conn != NULL && wsk_conn_is_full(self->conn));
}

static wsk_status drain(WebSocketObject *self)
{
    PyThreadState *left = PyEval_SaveThread();
    wsk_status st = wsk_conn_drain(self->conn, -1);

    ext_gil_return(left);
    return st;
}

static wsk_status drain_if_full(WebSocketObject *self)
{
    return wsk_conn_is_full(self->conn) ? drain(self) : WSK_OK;
}

/* The server bounds the bytes that wait for a slow reader, and closes with
 * 1013; so the policy `close` needs nothing more. */
wsk_status ext_ws_wait_for_reader(WebSocketObject *self)
{
    return policy_of(self) == EXT_POLICY_CLOSE ? WSK_OK : drain_if_full(self);
}

/* A piece of a message cannot be dropped, and a stream is longer than the bytes
 * that may wait. So this waits in an event, too, which delays only its
 * connection. */
wsk_status ext_ws_wait_for_stream(WebSocketObject *self)
{
    return self->policy == EXT_POLICY_CLOSE ? WSK_OK : drain_if_full(self);
}

/* The bytes of a standalone WebSocket are sent in this thread until a signal
 * interrupts that: its handler runs, and the rest is sent (PEP 475), or stays
 * if the handler has raised. An interrupted coroutine has raised already. */
wsk_status ext_ws_resume(WebSocketObject *self, wsk_status st)
{
    while (st == WSK_E_AGAIN && self->standalone && !PyErr_Occurred() &&
           PyErr_CheckSignals() == 0)
        st = drain(self);
    return st;
}

bool ext_ws_await_stream(WebSocketObject *self, unsigned ended)
{
    PyThread_type_lock lock;

    if (ext_ws_streams_ended(self) != ended)
        return true; /* the stream has ended meanwhile */
    if (self->rare == NULL || self->rare->streamer == 0 ||
        ext_ws_in_own_stream(self))
        return false;
    lock = self->rare->stream_lock;
    Py_BEGIN_ALLOW_THREADS
    PyThread_acquire_lock(lock, WAIT_LOCK);
    PyThread_release_lock(lock);
    Py_END_ALLOW_THREADS
    return true;
}
