/* ext/socket: environ["werkzeug.socket"] and environ["gunicorn.socket"].
 *
 * Libraries made for those servers speak WebSocket on the socket themselves.
 * This object stands for it and costs little: its first use makes a real
 * socket.socket, and detaches the connection from the server. */
#include "socket.h"

#include "errors.h"

#include <poll.h>
#include <unistd.h>

/* The poll event of a peer that sends no more. */
#ifdef POLLRDHUP
enum { GONE = POLLRDHUP };
#else
enum { GONE = 0 }; /* POLLHUP and POLLERR are always told */
#endif

typedef struct {
    PyObject_HEAD
    struct ext_state *st;
    wsk_request *req;     /* NULL once it is over */
    unsigned long thread; /* the handler's, which alone may use req */
    PyObject *socket;     /* or NULL: not detached */
} SocketObject;

#define Socket_CAST(op) ((SocketObject *)(op))

/* Return the ends of a connection over TLS, of which the descriptor knows
 * nothing; else None. */
static PyObject *ends_of(const wsk_request *req)
{
    const char *peer, *local;
    uint16_t peer_port, local_port;
    wsk_tls_info info;

    if (!wsk_request_tls(req, &info))
        return ext_ref(Py_None);
    peer = wsk_request_peer(req, &peer_port);
    local = wsk_request_local(req, &local_port);
    return Py_BuildValue("((sH)(sH))", peer, peer_port, local, local_port);
}

/* Call wsocket._detached.make(fd, bytes received before, ends). */
static PyObject *make_socket(const wsk_request *req, int fd,
                             const uint8_t *data, size_t len)
{
    PyObject *module = PyImport_ImportModule("wsocket._detached");
    PyObject *ends = module != NULL ? ends_of(req) : NULL;
    PyObject *made = NULL;

    if (ends != NULL)
        made = PyObject_CallMethod(module, "make", "iy#O", fd, data,
                                   (Py_ssize_t)len, ends);
    Py_XDECREF(ends);
    Py_XDECREF(module);
    if (made == NULL)
        close(fd);
    return made;
}

static int detach(SocketObject *self)
{
    const uint8_t *data;
    wsk_status st;
    size_t len;
    int fd;

    if (self->socket != NULL)
        return 0;
    if (self->req == NULL || self->thread != PyThread_get_thread_ident()) {
        PyErr_SetString(PyExc_OSError,
                        "the socket of a request must first be used by its "
                        "handler, in the handler's own thread");
        return -1;
    }
    st = wsk_request_detach(self->req, &fd, &data, &len);
    if (st == WSK_E_STATE)
        PyErr_SetString(PyExc_OSError,
                        "the request is answered already, or its WebSocket is "
                        "open: use environ['wsgi.websocket']");
    else if (st != WSK_OK)
        ext_raise(self->st, st, "the socket of the request");
    else
        self->socket = make_socket(self->req, fd, data, len);
    return self->socket == NULL ? -1 : 0;
}

/* Look up an attribute, and detach the socket for it. Names with an underscore
 * do not: copiers and debuggers ask every object for those, which must not take
 * the connection from the server. */
static PyObject *Socket_getattro(PyObject *op, PyObject *name)
{
    PyObject *value = PyObject_GenericGetAttr(op, name);

    if (value != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError) ||
        PyUnicode_GET_LENGTH(name) == 0 || PyUnicode_READ_CHAR(name, 0) == '_')
        return value;
    PyErr_Clear();
    return detach(Socket_CAST(op)) < 0
               ? NULL
               : PyObject_GetAttr(Socket_CAST(op)->socket, name);
}

static PyObject *Socket_enter(PyObject *op, PyObject *unused)
{
    (void)unused;
    return ext_ref(op);
}

static PyObject *Socket_exit(PyObject *op, PyObject *unused)
{
    (void)unused;
    return PyObject_CallMethod(op, "close", NULL);
}

bool ext_socket_detached(PyObject *socket)
{
    return Socket_CAST(socket)->socket != NULL;
}

void ext_socket_end(PyObject *socket)
{
    SocketObject *self = Socket_CAST(socket);
    PyObject *done;

    self->req = NULL;
    if (self->socket == NULL || !PyObject_HasAttrString(self->socket, "_end"))
        return;
    done = PyObject_CallMethod(self->socket, "_end", NULL);
    if (done == NULL)
        PyErr_WriteUnraisable(self->socket);
    Py_XDECREF(done);
}

bool ext_socket_is_dead(PyObject *socket)
{
    struct pollfd p = {.fd = -1, .events = GONE};

    if (Socket_CAST(socket)->socket == NULL)
        return false;
    p.fd = PyObject_AsFileDescriptor(Socket_CAST(socket)->socket);
    if (p.fd < 0) { /* the handler has closed it */
        PyErr_Clear();
        return true;
    }
    return poll(&p, 1, 0) > 0 && p.revents != 0;
}

static int Socket_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(Socket_CAST(op)->socket);
    return 0;
}

static int Socket_clear(PyObject *op)
{
    Py_CLEAR(Socket_CAST(op)->socket);
    return 0;
}

static void Socket_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    Socket_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Socket_methods[] = {
    {"__enter__", Socket_enter, METH_NOARGS, NULL},
    {"__exit__", Socket_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    socket_doc,
    "The socket of a WebSocket's handshake, with all that a "
    "socket.socket has.\n\n"
    "    sock = environ['werkzeug.socket']\n"
    "    sock.sendall(b'HTTP/1.1 101 Switching Protocols\\r\\n...')\n\n"
    "The first use takes the connection over: the server sends\n"
    "nothing more on it, and closes it when the handler returns.");

static PyType_Slot Socket_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)socket_doc},
    {Py_tp_new, ext_no_new},
    {Py_tp_dealloc, Socket_dealloc},
    {Py_tp_traverse, Socket_traverse},
    {Py_tp_clear, Socket_clear},
    {Py_tp_getattro, Socket_getattro},
    {Py_tp_methods, Socket_methods},
    {0, NULL},
};

const PyType_Spec ext_socket_spec = {
    .name = "wsocket._wsocket.RequestSocket",
    .basicsize = sizeof(SocketObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Socket_slots,
};

PyObject *ext_socket_new(struct ext_state *st, wsk_request *req)
{
    PyObject *op = st->types.socket->tp_alloc(st->types.socket, 0);
    SocketObject *self = Socket_CAST(op);

    if (op == NULL)
        return NULL;
    self->st = st;
    self->req = req;
    self->thread = PyThread_get_thread_ident();
    return op;
}
