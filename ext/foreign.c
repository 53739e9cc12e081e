/* ext/foreign: WebSockets on the sockets of other servers.
 * python/wsocket/middleware.py decides how a server's socket is reached. */
#include "foreign.h"

#include "ask.h"
#include "options.h"
#include "pysocket.h"
#include "upgrade.h"
#include "websocket_object.h"

#include <unistd.h>

typedef struct {
    PyObject_HEAD
    struct ext_site site;
    wsk_server_config cfg;
    PyObject *kept; /* list; the texts in cfg */
} ForeignObject;

#define Foreign_CAST(op) ((ForeignObject *)(op))

/* ----------------------------------------------------------- admission --- */

/* Duplicate the descriptor, so that it lives as long as the WebSocket. */
static const wsk_transport *plain(PyObject *socket, void **io)
{
    int fd = PyObject_AsFileDescriptor(socket);
    const wsk_transport *transport;

    fd = fd < 0 ? -1 : dup(fd);
    if (fd < 0) {
        if (!PyErr_Occurred())
            PyErr_SetFromErrno(PyExc_OSError);
        return NULL;
    }
    transport = wsk_transport_fd(fd, io);
    if (transport == NULL) {
        close(fd);
        PyErr_NoMemory();
    }
    return transport;
}

static const wsk_transport *transport_of(PyObject *socket, const char *kind,
                                         void **io)
{
    if (strcmp(kind, "plain") == 0)
        return plain(socket, io);
    return ext_pysocket(socket, strcmp(kind, "green") == 0, io);
}

static PyObject *refusal(const wsk_ws_verdict *verdict)
{
    return Py_BuildValue("is", verdict->status, verdict->reason);
}

/* True if the server, or a middleware around us, says https (PEP 3333). */
static bool came_by_https(PyObject *environ)
{
    PyObject *scheme = PyDict_GetItemString(environ, "wsgi.url_scheme");

    return scheme != NULL && PyUnicode_Check(scheme) &&
           PyUnicode_CompareWithASCIIString(scheme, "https") == 0;
}

PyDoc_STRVAR(
    admit_doc,
    "admit(app, environ, head, socket, kind, early, peer, port)\n"
    "    -> WebSocket, or (status, reason)\n\n"
    "Judge an opening handshake that another server has received.\n"
    "head is the request's head as bytes, early what came behind it;\n"
    "kind is 'plain', 'tls' or 'green'. The WebSocket is for finish().");

static PyObject *Foreign_admit(PyObject *op, PyObject *args)
{
    ForeignObject *self = Foreign_CAST(op);
    wsk_adoption adoption = {.config = &self->cfg, .local = ""};
    PyObject *app, *environ, *socket, *websocket;
    Py_ssize_t head_len, early_len;
    wsk_ws_verdict verdict;
    wsk_request *req;
    const char *kind;
    const char *early;
    unsigned short port;
    wsk_status st;

    if (!PyArg_ParseTuple(args, "OO!y#Osy#sH:admit", &app, &PyDict_Type,
                          &environ, &adoption.head, &head_len, &socket, &kind,
                          &early, &early_len, &adoption.peer, &port))
        return NULL;
    adoption.head_len = (size_t)head_len;
    adoption.early = early;
    adoption.early_len = (size_t)early_len;
    adoption.peer_port = port;
    adoption.https = came_by_https(environ);
    adoption.transport = transport_of(socket, kind, &adoption.io);
    if (adoption.transport == NULL)
        return NULL;
    st = wsk_request_adopt(&adoption, &req, &verdict);
    if (st != WSK_OK) {
        adoption.transport->free(adoption.io);
        return st == WSK_E_ARG ? refusal(&verdict) : PyErr_NoMemory();
    }
    websocket = ext_websocket_new(&self->site, app, req, environ);
    if (websocket == NULL) {
        wsk_request_disown(req);
        return NULL;
    }
    WebSocket_CAST(websocket)->standalone = true;
    if (ext_websocket_announce(websocket, environ) < 0 ||
        ext_upgrade_show(self->site.st, environ,
                         ext_upgrade_mode(self->cfg.ws_hide_upgrade)) < 0) {
        ext_websocket_end(websocket, NULL);
        wsk_request_disown(req);
        Py_CLEAR(websocket);
    }
    return websocket;
}

/* ---------------------------------------------------------------- ends --- */

PyDoc_STRVAR(
    finish_doc,
    "finish(websocket, accept=False, abort=False)\n\n"
    "The handler is through. An attached WebSocket is served now, until "
    "it\nends; an open one is closed, with abort=True without waiting for "
    "the\npeer, and its transport shut down. What was not\ndecided is refused, "
    "or with accept=True opened and closed. "
    "Returns\nwhether it was open.");

static PyObject *Foreign_finish(PyObject *op, PyObject *args)
{
    PyObject *websocket;
    WebSocketObject *ws;
    wsk_request *req;
    int accept = 0, abort = 0;

    if (!PyArg_ParseTuple(args, "O!|pp:finish",
                          Foreign_CAST(op)->site.st->types.websocket,
                          &websocket, &accept, &abort))
        return NULL;
    ws = WebSocket_CAST(websocket);
    req = ext_ws_request(ws);
    if (req == NULL || !ws->standalone)
        return PyErr_Format(PyExc_ValueError,
                            "finish() was called before, or for another "
                            "server's WebSocket");
    if (accept)
        ext_websocket_finish(websocket);
    if (!PyErr_Occurred() && !abort && ws->conn != NULL && ws->app != NULL)
        ext_ws_serve(ws);
    if (ws->conn != NULL) {
        PyObject *type, *error, *traceback;

        PyErr_Fetch(&type, &error, &traceback);
        if (ext_ws_finish(ws, abort || type != NULL) < 0 && type != NULL)
            PyErr_Clear();
        if (type != NULL)
            PyErr_Restore(type, error, traceback);
    }
    if (ext_ws_request(ws) ==
        req) { /* not finished by another call meanwhile */
        ext_websocket_end(websocket, NULL);
        wsk_request_disown(req);
    }
    if (PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(ws->conn != NULL);
}

/* -------------------------------------------------------------- client --- */

PyDoc_STRVAR(open_doc,
             "open(ask, data, socket, kind, peer, port, seed) -> WebSocket\n\n"
             "The WebSocket of a client whose ask.read(data) found it open.");

static PyObject *Foreign_open(PyObject *op, PyObject *args)
{
    ForeignObject *self = Foreign_CAST(op);
    wsk_adoption adoption = {.config = &self->cfg, .local = ""};
    PyObject *ask, *socket, *websocket;
    const char *data, *kind, *seed;
    Py_ssize_t len, seed_len;
    wsk_ws_answer answer;
    unsigned short port;
    size_t used;

    if (!PyArg_ParseTuple(args, "O!y#OssHy#:open", self->site.st->types.ask,
                          &ask, &data, &len, &socket, &kind, &adoption.peer,
                          &port, &seed, &seed_len))
        return NULL;
    if (seed_len != WSK_WS_SEED_LEN ||
        ext_ask_read(ask, data, (size_t)len, &used, &answer) != WSK_OK)
        return PyErr_Format(PyExc_ValueError, "this WebSocket is not open");
    adoption.head = ext_ask_head(ask, &adoption.head_len);
    adoption.early = data + used;
    adoption.early_len = (size_t)len - used;
    adoption.peer_port = port;
    websocket = ext_websocket_new(&self->site, Py_None, NULL, NULL);
    if (websocket == NULL)
        return NULL;
    WebSocket_CAST(websocket)->standalone = true;
    WebSocket_CAST(websocket)->client = true;
    adoption.transport = transport_of(socket, kind, &adoption.io);
    if (adoption.transport == NULL) {
        Py_DECREF(websocket);
        return NULL;
    }
    if (wsk_conn_adopt_client(&adoption, &answer, (const uint8_t *)seed,
                              &WebSocket_CAST(websocket)->conn) != WSK_OK) {
        adoption.transport->free(adoption.io);
        Py_DECREF(websocket);
        return PyErr_NoMemory();
    }
    return websocket;
}

/* ---------------------------------------------------------------- more --- */

PyDoc_STRVAR(crash_doc,
             "crash(websocket)\n\n"
             "The application failed: close with 1011 if it is open.");

static PyObject *Foreign_crash(PyObject *op, PyObject *websocket)
{
    if (!PyObject_TypeCheck(websocket,
                            Foreign_CAST(op)->site.st->types.websocket))
        return PyErr_Format(PyExc_TypeError, "crash() takes a WebSocket");
    ext_websocket_fail(websocket);
    if (PyErr_Occurred()) /* of a green socket, as a timeout is */
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *Foreign_accepted(PyObject *op, PyObject *websocket)
{
    if (!PyObject_TypeCheck(websocket,
                            Foreign_CAST(op)->site.st->types.websocket))
        return PyErr_Format(PyExc_TypeError, "accepted() takes a WebSocket");
    return PyBool_FromLong(ext_websocket_accepted(websocket));
}

/* ---------------------------------------------------------------- type --- */

/* Refuse other options: a port or a number of threads would mean nothing. */
static int check_names(PyObject *kwargs)
{
    PyObject *name, *value;
    Py_ssize_t pos = 0;

    while (kwargs != NULL && PyDict_Next(kwargs, &pos, &name, &value)) {
        const char *text = PyUnicode_AsUTF8(name);

        if (text == NULL)
            return -1;
        if (strncmp(text, "ws_", 3) == 0)
            continue;
        PyErr_Format(PyExc_TypeError,
                     "%s is no option of a WebSocket; those begin with ws_",
                     text);
        return -1;
    }
    return 0;
}

static PyObject *Foreign_new(PyTypeObject *type, PyObject *args,
                             PyObject *kwargs)
{
    PyObject *op;
    ForeignObject *self;

    if (PyTuple_GET_SIZE(args) > 0)
        return PyErr_Format(PyExc_TypeError, "options are keywords");
    if (check_names(kwargs) < 0)
        return NULL;
    op = type->tp_alloc(type, 0);
    self = Foreign_CAST(op);
    if (op == NULL)
        return NULL;
    self->site.st = ext_state_of(type);
    self->site.owner = op;
    self->kept = PyList_New(0);
    if (self->kept == NULL ||
        ext_options_fill(&self->cfg, self->kept, kwargs) < 0) {
        Py_DECREF(op);
        return NULL;
    }
    if (self->cfg.ws_subprotocols != NULL) {
        self->site.protocols = ext_options_names(self->cfg.ws_subprotocols);
        if (self->site.protocols == NULL)
            Py_CLEAR(op);
    }
    return op;
}

static void Foreign_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    Py_XDECREF(Foreign_CAST(op)->kept);
    Py_XDECREF(Foreign_CAST(op)->site.protocols);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Foreign_methods[] = {
    {"admit", Foreign_admit, METH_VARARGS, admit_doc},
    {"finish", Foreign_finish, METH_VARARGS, finish_doc},
    {"open", Foreign_open, METH_VARARGS, open_doc},
    {"crash", Foreign_crash, METH_O, crash_doc},
    {"accepted", Foreign_accepted, METH_O,
     "accepted(websocket) -> whether 101 has left"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Foreign_slots[] = {
    {Py_tp_doc, "Foreign(**options)\n\nWebSockets on the sockets of other "
                "servers; the options are a Server's."},
    {Py_tp_new, Foreign_new},
    {Py_tp_dealloc, Foreign_dealloc},
    {Py_tp_methods, Foreign_methods},
    {0, NULL},
};

const PyType_Spec ext_foreign_spec = {
    .name = "wsocket._wsocket.Foreign",
    .basicsize = sizeof(ForeignObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Foreign_slots,
};
