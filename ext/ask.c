/* ext/ask: the client's side of an opening handshake, as a Python object. */
#include "ask.h"

#include "headers.h"

typedef struct {
    PyObject_HEAD
    wsk_ws_ask ask;      /* texts are in the objects below */
    PyObject *protocols; /* str */
    PyObject *head;      /* bytes */
} AskObject;

#define Ask_CAST(op) ((AskObject *)(op))

/* ---------------------------------------------------------------- head --- */

static int make_head(AskObject *self, const char *host, const char *target,
                     PyObject *headers)
{
    struct ext_headers set = {0};
    size_t len;
    char *head;
    wsk_status st;

    if (ext_headers_fill(NULL, &set, headers) < 0) {
        ext_headers_clear(&set);
        return -1;
    }
    self->ask.host = host;
    self->ask.target = target;
    self->ask.headers = set.items;
    self->ask.n_headers = set.n;
    st = wsk_ws_ask_head(&self->ask, &head, &len);
    self->ask.headers = NULL; /* only the head needed these */
    self->ask.n_headers = 0;
    self->ask.host = self->ask.target = NULL;
    ext_headers_clear(&set);
    if (st == WSK_OK) {
        self->head = PyBytes_FromStringAndSize(head, (Py_ssize_t)len);
        wsk_free(head);
    } else if (st == WSK_E_ARG) {
        PyErr_SetString(PyExc_ValueError,
                        "connect: the URL, a subprotocol or a header cannot "
                        "stand in a request; Host, Upgrade, Connection and "
                        "Sec-WebSocket-... are said by the handshake itself");
    } else {
        PyErr_NoMemory();
    }
    return self->head == NULL ? -1 : 0;
}

static PyObject *Ask_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *host, *target, *nonce;
    PyObject *op, *protocols, *headers;
    Py_ssize_t n;
    int deflate, takeover;
    AskObject *self;

    (void)kwargs;
    if (!PyArg_ParseTuple(args, "ssUOppy#:Ask", &host, &target, &protocols,
                          &headers, &deflate, &takeover, &nonce, &n))
        return NULL;
    if (n != (Py_ssize_t)sizeof(self->ask.nonce))
        return PyErr_Format(PyExc_ValueError, "a nonce has 16 octets");
    op = type->tp_alloc(type, 0);
    if (op == NULL)
        return NULL;
    self = Ask_CAST(op);
    self->protocols = ext_ref(protocols);
    self->ask.protocols = PyUnicode_AsUTF8(protocols);
    self->ask.deflate = deflate;
    self->ask.takeover = takeover;
    memcpy(self->ask.nonce, nonce, sizeof(self->ask.nonce));
    if (self->ask.protocols == NULL ||
        make_head(self, host, target, headers) < 0)
        Py_CLEAR(op);
    return op;
}

static void Ask_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    Py_XDECREF(Ask_CAST(op)->protocols);
    Py_XDECREF(Ask_CAST(op)->head);
    type->tp_free(op);
    Py_DECREF(type);
}

const char *ext_ask_head(PyObject *ask, size_t *len)
{
    PyObject *head = Ask_CAST(ask)->head;

    *len = (size_t)PyBytes_GET_SIZE(head);
    return PyBytes_AS_STRING(head);
}

/* -------------------------------------------------------------- answer --- */

wsk_status ext_ask_read(PyObject *ask, const char *data, size_t len,
                        size_t *used, wsk_ws_answer *answer)
{
    return wsk_ws_read_answer(&Ask_CAST(ask)->ask, data, len, used, answer);
}

PyDoc_STRVAR(read_doc,
             "read(data) -> None, or (status, why, location, used)\n\n"
             "Judge all that the server has sent so far. None: not complete. "
             "why is\n'' when the WebSocket is open; status 0 is no HTTP.");

static PyObject *Ask_read(PyObject *op, PyObject *data)
{
    wsk_ws_answer answer;
    Py_buffer view;
    PyObject *result;
    size_t used;
    wsk_status st;

    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    st = ext_ask_read(op, view.buf, (size_t)view.len, &used, &answer);
    if (st == WSK_E_AGAIN) {
        PyBuffer_Release(&view);
        Py_RETURN_NONE;
    }
    result = Py_BuildValue(
        "isNn", answer.status, answer.why != NULL ? answer.why : "",
        PyUnicode_DecodeLatin1(answer.location.p != NULL ? answer.location.p
                                                         : "",
                               (Py_ssize_t)answer.location.len, NULL),
        (Py_ssize_t)used);
    PyBuffer_Release(&view);
    return result;
}

static PyMethodDef Ask_methods[] = {
    {"read", Ask_read, METH_O, read_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef Ask_members[] = {
    {"head", T_OBJECT, offsetof(AskObject, head), READONLY,
     "The head of the request."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Ask_slots[] = {
    {Py_tp_doc, "Ask(host, target, protocols, headers, deflate, takeover, "
                "nonce)\n\nAn opening handshake from the client's side."},
    {Py_tp_new, Ask_new},
    {Py_tp_dealloc, Ask_dealloc},
    {Py_tp_methods, Ask_methods},
    {Py_tp_members, Ask_members},
    {0, NULL},
};

const PyType_Spec ext_ask_spec = {
    .name = "wsocket._wsocket.Ask",
    .basicsize = sizeof(AskObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Ask_slots,
};
