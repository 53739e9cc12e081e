/* ext/ws_hooks: pings and pongs as an application sees them. */
#include "websocket_object.h"

static PyObject **slot(struct ext_ws_rare *rare, const void *pong)
{
    return pong == NULL ? &rare->on_ping : &rare->on_pong;
}

/* A subclass may have them as methods, so the attribute is asked for. */
static PyObject *find_hook(PyObject *op, wsk_opcode opcode)
{
    struct ext_state *st = WebSocket_CAST(op)->site->st;
    PyObject *hook = PyObject_GetAttr(
        op, opcode == WSK_PING ? st->names.on_ping : st->names.on_pong);

    if (hook == Py_None)
        Py_CLEAR(hook);
    return hook;
}

int ext_ws_hear(WebSocketObject *self)
{
    PyObject *op = (PyObject *)self;
    PyObject *hook = find_hook(op, WSK_PING);

    if (hook == NULL && !PyErr_Occurred())
        hook = find_hook(op, WSK_PONG);
    if (hook == NULL && PyErr_Occurred())
        return -1;
    if (self->conn != NULL)
        wsk_conn_hear_pings(self->conn, hook != NULL);
    Py_XDECREF(hook);
    return 0;
}

int ext_ws_tell(WebSocketObject *self, const wsk_message *msg)
{
    PyObject *hook = find_hook((PyObject *)self, msg->opcode);
    PyObject *result = NULL;

    if (hook == NULL)
        return PyErr_Occurred() ? -1 : 0;
    result = PyObject_CallFunction(hook, "y#", (const char *)msg->data,
                                   (Py_ssize_t)msg->len);
    Py_DECREF(hook);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

PyObject *ext_ws_get_hook(PyObject *op, void *pong)
{
    struct ext_ws_rare *rare = WebSocket_CAST(op)->rare;
    PyObject *hook = rare != NULL ? *slot(rare, pong) : NULL;

    return ext_ref(hook != NULL ? hook : Py_None);
}

int ext_ws_set_hook(PyObject *op, PyObject *hook, void *pong)
{
    WebSocketObject *self = WebSocket_CAST(op);
    struct ext_ws_rare *rare;

    if (hook == Py_None)
        hook = NULL;
    if (hook != NULL && !PyCallable_Check(hook)) {
        PyErr_Format(PyExc_TypeError,
                     "a hook is called with the payload, or None: not %.100s",
                     Py_TYPE(hook)->tp_name);
        return -1;
    }
    rare = ext_ws_rare(self);
    if (rare == NULL)
        return -1;
    Py_XINCREF(hook);
    Py_XSETREF(*slot(rare, pong), hook);
    return ext_ws_hear(self);
}

PyObject *ext_ws_get_latency(PyObject *op, void *unused)
{
    WebSocketObject *self = WebSocket_CAST(op);
    uint32_t us;

    (void)unused;
    if (self->conn == NULL || !wsk_conn_latency(self->conn, &us))
        Py_RETURN_NONE;
    return PyFloat_FromDouble(us / 1e6);
}
