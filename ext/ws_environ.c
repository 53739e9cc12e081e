/* ext/ws_environ: the environ of a WebSocket's handshake, with the WebSocket in
 * it. */
#include "websocket_object.h"

#include "input.h"
#include "thread.h"

PyObject *ext_ws_version(PyObject *op, void *unused)
{
    WebSocketObject *self = WebSocket_CAST(op);
    wsk_head *made;
    const wsk_head *head = ext_ws_head(self, &made);
    PyObject *version = self->site->st->names.thirteen;
    wsk_str said = {NULL, 0};

    (void)unused;
    if (head == NULL && PyErr_Occurred())
        return NULL;
    if (head != NULL)
        said = wsk_head_get(head, "sec-websocket-version");
    if (said.len == 1) /* a draft's, of ws_allow_drafts */
        version = PyUnicode_DecodeLatin1(said.p, 1, NULL);
    else
        Py_INCREF(version);
    wsk_free(made);
    return version;
}

int ext_websocket_announce(PyObject *websocket, PyObject *environ)
{
    const struct ext_state *st = WebSocket_CAST(websocket)->site->st;
    PyObject *version = ext_ws_version(websocket, NULL);
    int rc = -1;

    if (version != NULL &&
        PyDict_SetItem(environ, st->names.websocket, websocket) == 0)
        rc = PyDict_SetItem(environ, st->names.websocket_version, version);
    Py_XDECREF(version);
    return rc;
}

/* A thread of the server has a cache for that, any other does without. */
static PyObject *environ_from(WebSocketObject *self,
                              const struct ext_source *source)
{
    struct ext_thread *here = ext_thread_here();
    struct ext_environ own = {0};
    PyObject *environ;

    if (here != NULL && here->template == self->site->template)
        return ext_environ_new(&here->environ, self->site->st,
                               self->site->template, source);
    environ =
        ext_environ_new(&own, self->site->st, self->site->template, source);
    ext_environ_clear(&own);
    return environ;
}

static PyObject *make_environ(WebSocketObject *self)
{
    wsk_head *head = wsk_conn_head(self->conn);
    struct ext_source source = {.head = head};
    PyObject *input, *environ;

    if (head == NULL)
        return PyErr_NoMemory();
    input = ext_input_new_empty(self->site->st);
    if (input == NULL) {
        wsk_free(head);
        return NULL;
    }
    source.peer = wsk_conn_peer(self->conn, &source.peer_port);
    source.local = wsk_conn_local(self->conn, &source.local_port);
    source.scheme = wsk_conn_scheme(self->conn);
    source.prefix = wsk_conn_prefix(self->conn);
    source.tls = wsk_conn_tls_variables(self->conn, &source.n_tls);
    environ = environ_from(self, &source);
    if (environ != NULL &&
        (PyDict_SetItem(environ, self->site->st->names.input, input) < 0 ||
         ext_websocket_announce((PyObject *)self, environ) < 0))
        Py_CLEAR(environ);
    Py_DECREF(input);
    wsk_free(head);
    return environ;
}

PyObject *ext_ws_get_environ(PyObject *op, void *unused)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *environ;

    (void)unused;
    if (self->environ == NULL && (self->conn == NULL || self->standalone))
        return PyErr_Format(self->site->st->WebSocketError,
                            "environ: the request is over");
    if (self->environ == NULL) {
        environ = make_environ(self);
        if (environ == NULL)
            return NULL;
        if (self->environ == NULL) /* no collection has asked meanwhile */
            self->environ = ext_ref(environ);
        Py_DECREF(environ);
    }
    self->shown = true;
    return ext_ref(self->environ);
}
