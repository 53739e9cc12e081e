/* ext/websocket: the WebSocket object that applications see.
 *
 * It is undecided at first. The first use of it sends 101 and makes it open; an
 * answer through start_response refuses it, and then it is as closed as one
 * whose connection has ended. */
#include "websocket_object.h"

#include "args.h"
#include "errors.h"
#include "headers.h"
#include "websocket_doc.h"

/* ------------------------------------------------------------ accepting --- */

/* The head of the handshake; NULL when the request is over without 101, and
 * with an exception when memory is out. *made is for wsk_free(). */
const wsk_head *ext_ws_head(const WebSocketObject *self, wsk_head **made)
{
    *made = NULL;
    if (self->req != NULL)
        return wsk_request_head(self->req);
    if (self->conn == NULL)
        return NULL;
    *made = wsk_conn_head(self->conn);
    if (*made == NULL)
        PyErr_NoMemory();
    return *made;
}

/* RFC 6455 4.2.2: one of the client's subprotocols, or none. The preference is
 * the server's. NULL also when that is none. */
const char *ext_ws_choose_protocol(const WebSocketObject *self,
                                   const wsk_head *head)
{
    Py_ssize_t n = self->protocols == NULL ? 0
                                           : PyTuple_GET_SIZE(self->protocols);

    for (Py_ssize_t i = 0; i < n; i++) {
        const char *name =
            PyUnicode_AsUTF8(PyTuple_GET_ITEM(self->protocols, i));

        if (name != NULL && wsk_ws_offered(head, name))
            return name;
    }
    return NULL;
}

/* Send 101, with the extra headers. `protocol` NULL chooses. */
static wsk_status upgrade(WebSocketObject *self, const char *protocol)
{
    /* The protocol lies in these, which a collection might replace. */
    PyObject *protocols = ext_xref(self->protocols);
    struct ext_headers set = {0};
    wsk_conn *conn;
    wsk_status st = WSK_OK;

    if (protocol == NULL)
        protocol = ext_ws_choose_protocol(self, wsk_request_head(self->req));
    if (self->extra != NULL && ext_headers_fill(NULL, &set, self->extra) < 0) {
        PyErr_Clear(); /* they were checked before */
        st = WSK_E_NOMEM;
    }
    if (st == WSK_OK)
        st = wsk_request_upgrade(self->req, protocol, set.items, set.n, &conn);
    ext_headers_clear(&set);
    Py_XDECREF(protocols);
    if (st == WSK_OK)
        self->conn = wsk_conn_ref(conn);
    return st;
}

/* Open the WebSocket if it is undecided. -1 with an exception set. */
int ext_ws_open(WebSocketObject *self, const char *what)
{
    wsk_status st;

    if (self->conn != NULL)
        return 0;
    if (self->req == NULL) {
        PyErr_Format(self->st->WebSocketError,
                     "%s: the WebSocket was refused, or its client is gone",
                     what);
        return -1;
    }
    if (self->thread != PyThread_get_thread_ident()) {
        PyErr_Format(self->st->WebSocketError,
                     "%s: call accept() in the handler's own thread first",
                     what);
        return -1;
    }
    st = upgrade(self, NULL);
    if (st == WSK_OK)
        return ext_ws_hear(self);
    ext_raise_websocket(self->st, st, what);
    return -1;
}

bool ext_websocket_accepted(PyObject *websocket)
{
    return WebSocket_CAST(websocket)->conn != NULL;
}

int ext_websocket_finish(PyObject *websocket)
{
    WebSocketObject *self = WebSocket_CAST(websocket);
    wsk_status st = self->conn != NULL ? WSK_OK : upgrade(self, NULL);

    if (st == WSK_OK || st == WSK_E_CLOSED)
        return 0;
    ext_raise_websocket(self->st, st, "the WebSocket");
    return -1;
}

bool ext_ws_is_closed(const WebSocketObject *self)
{
    if (self->conn == NULL)
        return self->req == NULL;
    return !wsk_conn_can_send(self->conn) || wsk_conn_closed(self->conn, NULL);
}

bool ext_websocket_has_left(PyObject *websocket)
{
    WebSocketObject *self = WebSocket_CAST(websocket);

    return self->conn != NULL && ext_ws_is_closed(self) &&
           PyErr_ExceptionMatches(self->st->WebSocketError) &&
           !PyErr_ExceptionMatches(self->st->ProtocolError);
}

void ext_websocket_fail(PyObject *websocket)
{
    WebSocketObject *self = WebSocket_CAST(websocket);

    if (self->conn != NULL)
        ext_ws_close_conn(self, 1011, NULL, 0);
}

/* RFC 6455 4.2.2: what is negotiated; the server says it itself. */
static int check_handshake(const struct ext_headers *set)
{
    static const char prefix[] = "sec-websocket-";
    size_t n = sizeof prefix - 1;

    for (size_t i = 0; i < set->n; i++) {
        wsk_str name = set->items[i].name;

        if (name.len < n || PyOS_strnicmp(name.p, prefix, (Py_ssize_t)n) != 0)
            continue;
        PyErr_Format(PyExc_ValueError,
                     "%.100s is the server's to send; accept() takes a "
                     "subprotocol, and other headers",
                     name.p);
        return -1;
    }
    return 0;
}

PyObject *ext_ws_headers(PyObject *given)
{
    PyObject *list = PyDict_Check(given) ? PyDict_Items(given)
                                         : PySequence_List(given);
    struct ext_headers set = {0};

    if (list != NULL &&
        (ext_headers_fill(NULL, &set, list) < 0 || check_handshake(&set) < 0))
        Py_CLEAR(list);
    ext_headers_clear(&set);
    return list;
}

/* Behind those that are there. */
static int add_headers(WebSocketObject *self, PyObject *given)
{
    PyObject *list = ext_ws_headers(given);
    PyObject *extra = ext_xref(self->extra);

    if (list != NULL && extra != NULL)
        Py_SETREF(list, PySequence_Concat(extra, list));
    Py_XDECREF(extra);
    if (list == NULL)
        return -1;
    Py_XSETREF(self->extra, list);
    return 0;
}

/* Every subprotocol that the client offered, as a str for people. */
static PyObject *list_offers(const wsk_head *head)
{
    PyObject *text = NULL;
    size_t pos = 0;
    wsk_str name;

    while (wsk_ws_next_offer(head, &pos, &name)) {
        PyObject *one =
            PyUnicode_DecodeLatin1(name.p, (Py_ssize_t)name.len, NULL);
        PyObject *more = one != NULL && text != NULL
                             ? PyUnicode_FromFormat("%U, %U", text, one)
                             : ext_xref(one);

        Py_XDECREF(one);
        Py_XSETREF(text, more);
        if (text == NULL)
            return NULL;
    }
    return text != NULL ? text : PyUnicode_FromString("none");
}

/* Why it cannot be opened now; NULL when it can. */
static const char *cannot_accept(const WebSocketObject *self)
{
    if (self->conn != NULL)
        return "the WebSocket is open already; only the first use of it can "
               "accept";
    if (self->req == NULL)
        return "the request is over: it was refused, or its client is gone";
    if (self->thread != PyThread_get_thread_ident())
        return "only the handler's own thread can do that";
    return NULL;
}

/* -1 with an exception set. */
static int check_offered(const WebSocketObject *self, const char *protocol)
{
    const wsk_head *head = wsk_request_head(self->req);
    PyObject *offers;

    if (wsk_ws_offered(head, protocol))
        return 0;
    offers = list_offers(head);
    if (offers != NULL)
        PyErr_Format(PyExc_ValueError,
                     "accept: the client did not offer the subprotocol '%s'; "
                     "it offers: %U",
                     protocol, offers);
    Py_XDECREF(offers);
    return -1;
}

static const struct ext_signature accept_sig = {
    "accept", 0, 2, (const char *const[]){"headers", "subprotocol"}};

static PyObject *WebSocket_accept(PyObject *op, PyObject *const *args,
                                  Py_ssize_t nargs, PyObject *kwnames)
{
    WebSocketObject *self = WebSocket_CAST(op);
    const char *protocol = NULL, *wrong;
    PyObject *given[2];
    wsk_status st;

    if (ext_args(&accept_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    wrong = cannot_accept(self);
    if (wrong != NULL)
        return PyErr_Format(self->st->WebSocketError, "accept: %s", wrong);
    if (given[1] != NULL && given[1] != Py_None) {
        protocol = PyUnicode_AsUTF8(given[1]);
        if (protocol == NULL || check_offered(self, protocol) < 0)
            return NULL;
    }
    if (given[0] != NULL && given[0] != Py_None &&
        add_headers(self, given[0]) < 0)
        return NULL;
    st = upgrade(self, protocol);
    if (st == WSK_E_STATE)
        return PyErr_Format(self->st->WebSocketError,
                            "accept: start_response has answered already");
    if (st != WSK_OK)
        return ext_raise_websocket(self->st, st, "accept");
    if (ext_ws_hear(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ----------------------------------------------------------------- type --- */

static int WebSocket_traverse(PyObject *op, visitproc visit, void *arg)
{
    WebSocketObject *self = WebSocket_CAST(op);

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->owner);
    Py_VISIT(self->environ);
    Py_VISIT(self->protocols);
    Py_VISIT(self->extra);
    Py_VISIT(self->app);
    Py_VISIT(self->on_ping);
    Py_VISIT(self->on_pong);
    Py_VISIT(self->dict);
    return 0;
}

/* owner stays to the end: maker is in it. */
static int WebSocket_clear(PyObject *op)
{
    WebSocketObject *self = WebSocket_CAST(op);

    Py_CLEAR(self->environ);
    Py_CLEAR(self->protocols);
    Py_CLEAR(self->extra);
    Py_CLEAR(self->app);
    Py_CLEAR(self->on_ping);
    Py_CLEAR(self->on_pong);
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
    if (self->stream_lock != NULL)
        PyThread_free_lock(self->stream_lock);
    Py_XDECREF(self->owner);
    type->tp_free(op);
    Py_DECREF(type);
}

#define FAST (METH_FASTCALL | METH_KEYWORDS)

static PyMethodDef WebSocket_methods[] = {
    {"accept", EXT_METHOD(WebSocket_accept), FAST, DOC_ACCEPT},
    {"receive", EXT_METHOD(ext_ws_receive), FAST, DOC_RECEIVE},
    {"receive_stream", EXT_METHOD(ext_ws_receive_stream), FAST,
     DOC_RECEIVE_STREAM},
    {"send", EXT_METHOD(ext_ws_send), FAST, DOC_SEND},
    {"send_frame", EXT_METHOD(ext_ws_send_frame), FAST, DOC_SEND_FRAME},
    {"send_stream", EXT_METHOD(ext_ws_send_stream), FAST, DOC_SEND_STREAM},
    {"ping", EXT_METHOD(ext_ws_ping), FAST, DOC_PING},
    {"pong", EXT_METHOD(ext_ws_pong), FAST, DOC_PONG},
    {"close", EXT_METHOD(ext_ws_close), FAST, DOC_CLOSE},
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

static PyType_Spec WebSocket_spec = {
    .name = "wsocket.WebSocket",
    .basicsize = sizeof(WebSocketObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = WebSocket_slots,
};

int ext_websocket_add(PyObject *module, struct ext_state *st)
{
    return ext_ws_pieces_add(module, st) < 0
               ? -1
               : ext_type_add(module, &WebSocket_spec, &st->websocket_type,
                              true);
}

/* The application's websocket_class, a new reference; or ours, where there is
 * none that will do. NULL: what is no Exception was raised. */
static PyTypeObject *class_for(const struct ext_state *st, PyObject *app)
{
    PyObject *type = PyObject_GetAttr(app, st->names.websocket_class);

    if (type == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_Exception))
            return NULL;
        PyErr_Clear();
    }
    if (type == NULL || !PyType_Check(type) ||
        !PyType_IsSubtype((PyTypeObject *)type, st->websocket_type))
        Py_XSETREF(type, ext_ref((PyObject *)st->websocket_type));
    return (PyTypeObject *)type;
}

PyObject *ext_websocket_new(struct ext_state *st, PyObject *app,
                            wsk_request *req, PyObject *environ,
                            struct ext_environ *maker, PyObject *owner)
{
    PyTypeObject *type = class_for(st, app);
    PyObject *op = type == NULL ? NULL : type->tp_alloc(type, 0);
    WebSocketObject *self = WebSocket_CAST(op);

    Py_XDECREF(type);
    if (op == NULL)
        return NULL;
    self->st = st;
    self->req = req;
    self->thread = PyThread_get_thread_ident();
    self->maker = maker;
    self->owner = ext_ref(owner);
    self->environ = environ == NULL ? NULL : ext_ref(environ);
    return op;
}

int ext_websocket_announce(PyObject *websocket, PyObject *environ)
{
    const struct ext_state *st = WebSocket_CAST(websocket)->st;
    PyObject *version = ext_ws_version(websocket, NULL);
    int rc = -1;

    if (version != NULL &&
        PyDict_SetItem(environ, st->names.websocket, websocket) == 0)
        rc = PyDict_SetItem(environ, st->names.websocket_version, version);
    Py_XDECREF(version);
    return rc;
}

void ext_websocket_prefer(PyObject *websocket, PyObject *protocols)
{
    Py_XINCREF(protocols);
    Py_XSETREF(WebSocket_CAST(websocket)->protocols, protocols);
}

void ext_websocket_end(PyObject *websocket, const PyObject *events)
{
    WebSocketObject *self = WebSocket_CAST(websocket);

    self->req = NULL;
    Py_CLEAR(self->extra);
    /* environ and WebSocket hold each other, which ends here, unless events may
     * still ask for what was put there. Where nobody can have put anything it
     * is not worth its memory: it is made again when they ask. */
    if (self->app == NULL || (self->app == events && !self->shown))
        Py_CLEAR(self->environ);
}
