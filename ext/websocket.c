/* ext/websocket: the WebSocket object that applications see.
 *
 * It is undecided at first. The first use of it sends 101 and makes it open; an
 * answer through start_response refuses it, and then it is as closed as one
 * whose connection has ended. */
#include "websocket_object.h"

#include "websocket_doc.h"

/* ----------------------------------------------------------------- type --- */

static int WebSocket_traverse(PyObject *op, visitproc visit, void *arg)
{
    WebSocketObject *self = WebSocket_CAST(op);

    Py_VISIT(Py_TYPE(op));
    if (self->site != NULL)
        Py_VISIT(self->site->owner);
    Py_VISIT(self->environ);
    if (self->rare != NULL) {
        Py_VISIT(self->rare->protocols);
        Py_VISIT(self->rare->extra);
        Py_VISIT(self->rare->on_ping);
        Py_VISIT(self->rare->on_pong);
    }
    Py_VISIT(self->app);
    Py_VISIT(self->dict);
    return 0;
}

/* Keep the owner to the end: the site is its. */
static int WebSocket_clear(PyObject *op)
{
    WebSocketObject *self = WebSocket_CAST(op);

    Py_CLEAR(self->environ);
    ext_ws_rare_clear(self);
    Py_CLEAR(self->app);
    Py_CLEAR(self->dict);
    return 0;
}

static void WebSocket_dealloc(PyObject *op)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(op);
    WebSocket_clear(op);
    if (self->conn != NULL)
        wsk_conn_unref(self->conn);
    ext_ws_rare_free(self);
    if (self->site != NULL)
        Py_DECREF(self->site->owner);
    type->tp_free(op);
    Py_DECREF(type);
}

#define FAST (METH_FASTCALL | METH_KEYWORDS)

static PyMethodDef WebSocket_methods[] = {
    {"accept", EXT_METHOD(ext_ws_accept), FAST, DOC_ACCEPT},
    {"receive", EXT_METHOD(ext_ws_receive), FAST, DOC_RECEIVE},
    {"receive_stream", EXT_METHOD(ext_ws_receive_stream), FAST,
     DOC_RECEIVE_STREAM},
    {"send", EXT_METHOD(ext_ws_send), FAST, DOC_SEND},
    {"send_frame", EXT_METHOD(ext_ws_send_frame), FAST, DOC_SEND_FRAME},
    {"send_stream", EXT_METHOD(ext_ws_send_stream), FAST, DOC_SEND_STREAM},
    {"ping", EXT_METHOD(ext_ws_ping), FAST, DOC_PING},
    {"pong", EXT_METHOD(ext_ws_pong), FAST, DOC_PONG},
    {"close", EXT_METHOD(ext_ws_close), FAST, DOC_CLOSE},
    {"subscribe", EXT_METHOD(ext_ws_subscribe), FAST, DOC_SUBSCRIBE},
    {"unsubscribe", ext_ws_unsubscribe, METH_O, DOC_UNSUBSCRIBE},
    {"attach", ext_ws_attach, METH_O, DOC_ATTACH},
    {"__enter__", ext_ws_enter, METH_NOARGS, NULL},
    {"__exit__", EXT_METHOD(ext_ws_exit), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef WebSocket_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(WebSocketObject, dict), READONLY,
     NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(WebSocketObject, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot WebSocket_slots[] = {
    {Py_tp_doc, (void *)DOC_WEBSOCKET}, {Py_tp_new, ext_no_new},
    {Py_tp_dealloc, WebSocket_dealloc}, {Py_tp_traverse, WebSocket_traverse},
    {Py_tp_clear, WebSocket_clear},     {Py_tp_repr, ext_ws_repr},
    {Py_tp_iter, PyObject_SelfIter},    {Py_tp_iternext, ext_ws_iternext},
    {Py_tp_methods, WebSocket_methods}, {Py_tp_getset, ext_ws_getset},
    {Py_tp_members, WebSocket_members}, {0, NULL},
};

const PyType_Spec ext_websocket_spec = {
    .name = "wsocket.WebSocket",
    .basicsize = sizeof(WebSocketObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = WebSocket_slots,
};

/* Return the application's websocket_class, a new reference, or our type if it
 * has none that is derived from it. NULL if an exception was raised that is no
 * Exception. */
static PyTypeObject *class_for(const struct ext_state *st, PyObject *app)
{
    PyObject *type = PyObject_GetAttr(app, st->names.websocket_class);

    if (type == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_Exception))
            return NULL;
        PyErr_Clear();
    }
    if (type == NULL || !PyType_Check(type) ||
        !PyType_IsSubtype((PyTypeObject *)type, st->types.websocket))
        Py_XSETREF(type, ext_ref((PyObject *)st->types.websocket));
    return (PyTypeObject *)type;
}

PyObject *ext_websocket_new(const struct ext_site *site, PyObject *app,
                            wsk_request *req, PyObject *environ)
{
    PyTypeObject *type = class_for(site->st, app);
    PyObject *op = type == NULL ? NULL : type->tp_alloc(type, 0);
    WebSocketObject *self = WebSocket_CAST(op);

    Py_XDECREF(type);
    if (op == NULL)
        return NULL;
    Py_INCREF(site->owner);
    self->site = site;
    self->environ = ext_xref(environ);
    if (req == NULL)
        return op;
    if (ext_ws_rare(self) == NULL) {
        Py_DECREF(op);
        return NULL;
    }
    self->rare->req = req;
    self->rare->thread = PyThread_get_thread_ident();
    return op;
}

void ext_websocket_end(PyObject *websocket, const PyObject *events)
{
    WebSocketObject *self = WebSocket_CAST(websocket);

    ext_ws_rare_end(self);
    /* environ and WebSocket hold each other, which ends here, unless events may
     * still ask for values that the application has put there. If it cannot
     * have put any, environ is not worth its memory: it is made again when they
     * ask. */
    if (self->app == NULL || (self->app == events && !self->shown))
        Py_CLEAR(self->environ);
}
