/* ext/framework: paths to handlers, the part of the Framework that every
 * request goes through. */
#include "framework.h"

#include "answer.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct ext_state *st;
    PyObject *routes; /* dict: path to handler */
    PyObject *debug;  /* true, false, or None: as the logger is set */
} FrameworkObject;

#define Framework_CAST(op) ((FrameworkObject *)(op))

/* ---------------------------------------------------------------- routes ---
 */

/* Decode a path: PEP 3333 has its bytes as latin-1, routes are text. A new
 * reference; NULL without an exception if it is not UTF-8. */
static PyObject *as_text(PyObject *path)
{
    PyObject *bytes = PyUnicode_AsLatin1String(path);
    PyObject *text =
        bytes == NULL ? NULL
                      : PyUnicode_FromEncodedObject(bytes, "utf-8", "strict");

    Py_XDECREF(bytes);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeError))
        PyErr_Clear();
    return text;
}

/* Return the length of `route` if it is the beginning of `path` and a star;
 * else -1. */
static Py_ssize_t match_prefix(PyObject *route, PyObject *path)
{
    Py_ssize_t n;

    if (!PyUnicode_Check(route))
        return -1;
    n = PyUnicode_GET_LENGTH(route) - 1;
    if (n < 0 || n > PyUnicode_GET_LENGTH(path) ||
        PyUnicode_READ_CHAR(route, n) != '*')
        return -1;
    for (Py_ssize_t i = 0; i < n; i++)
        if (PyUnicode_READ_CHAR(route, i) != PyUnicode_READ_CHAR(path, i))
            return -1;
    return n;
}

/* Find the handler of an exact path, or else of the longest beginning.
 * Borrowed; NULL: there is none, or an exception is set. */
static PyObject *find_text(PyObject *routes, PyObject *path)
{
    PyObject *best = PyDict_GetItemWithError(routes, path);
    PyObject *route, *handler;
    Py_ssize_t longest = -1, pos = 0;

    if (best != NULL || PyErr_Occurred())
        return best;
    while (PyDict_Next(routes, &pos, &route, &handler)) {
        Py_ssize_t n = match_prefix(route, path);

        if (n > longest) {
            longest = n;
            best = handler;
        }
    }
    return best;
}

/* Find the handler of a path; a new reference. NULL: there is none, or an
 * exception is set. The routes are held, because a route may compare itself by
 * code of the application. */
static PyObject *find(const FrameworkObject *self, PyObject *path)
{
    PyObject *routes = ext_ref(self->routes);
    PyObject *text = NULL, *found = NULL;

    if (!PyUnicode_IS_ASCII(path))
        text = as_text(path);
    if (text != NULL || !PyErr_Occurred())
        found = ext_xref(find_text(routes, text == NULL ? path : text));
    Py_XDECREF(text);
    Py_DECREF(routes);
    return found;
}

static PyObject *find_in(const FrameworkObject *self, PyObject *environ)
{
    PyObject *path = PyDict_GetItem(environ, self->st->names.path_info);
    PyObject *found = NULL;

    path = ext_ref(path != NULL ? path : self->st->names.empty);
    if (PyUnicode_Check(path) && PyUnicode_GET_LENGTH(path) == 0)
        /* The path is that of the mount itself. */
        Py_SETREF(path, PyUnicode_FromString("/"));
    if (path == NULL)
        return NULL;
    if (PyUnicode_Check(path))
        found = find(self, path);
    else
        PyErr_Format(PyExc_TypeError, "PATH_INFO must be a str, not %R", path);
    Py_DECREF(path);
    return found;
}

PyDoc_STRVAR(find_doc,
             "find_route(environ) -> handler or None\n\n"
             "The handler of the exact path, or of the longest route with a "
             "star that\nthe path begins with.");

static PyObject *Framework_find_route(PyObject *op, PyObject *environ)
{
    PyObject *found;

    if (!PyDict_Check(environ))
        return PyErr_Format(PyExc_TypeError, "environ must be a dict");
    found = find_in(Framework_CAST(op), environ);
    if (found != NULL || PyErr_Occurred())
        return found;
    Py_RETURN_NONE;
}

/* --------------------------------------------------------------- calling ---
 */

/* True for a WebSocket, and for a request that a middleware may make one of. */
static bool is_special(const FrameworkObject *self, PyObject *environ)
{
    return PyDict_GetItem(environ, self->st->names.websocket) != NULL ||
           PyDict_GetItem(environ, self->st->names.http_upgrade) != NULL;
}

/* Serve plain requests for a route here, and all others, which are rarer or
 * slower, by serve(). */
static PyObject *Framework_call(PyObject *op, PyObject *const *args,
                                size_t nargsf, PyObject *kwnames)
{
    FrameworkObject *self = Framework_CAST(op);
    PyObject *handler, *debug, *sent;

    if (PyVectorcall_NARGS(nargsf) != 2 || kwnames != NULL)
        return PyErr_Format(PyExc_TypeError,
                            "a WSGI application is called with environ and "
                            "start_response");
    if (!PyDict_Check(args[0]))
        return PyErr_Format(PyExc_TypeError, "environ must be a dict");
    if (!is_special(self, args[0])) {
        handler = find_in(self, args[0]);
        if (handler != NULL) {
            debug = ext_xref(self->debug);
            sent = ext_answer(self->st, args[0], args[1], handler,
                              debug != NULL ? debug : Py_None);
            Py_XDECREF(debug);
            Py_DECREF(handler);
            return sent;
        }
        if (PyErr_Occurred())
            return NULL;
    }
    return PyObject_CallMethodObjArgs(op, self->st->names.serve, args[0],
                                      args[1], NULL);
}

/* ------------------------------------------------------------------ type ---
 */

static PyObject *Framework_new(PyTypeObject *type, PyObject *args,
                               PyObject *kwargs)
{
    PyObject *op = type->tp_alloc(type, 0);
    FrameworkObject *self = Framework_CAST(op);

    (void)args;
    (void)kwargs;
    if (op == NULL)
        return NULL;
    self->vectorcall = Framework_call;
    self->st = ext_state_of(type);
    self->debug = ext_ref(Py_None);
    self->routes = PyDict_New();
    if (self->routes == NULL)
        Py_CLEAR(op);
    return op;
}

static PyObject *get_routes(PyObject *op, void *unused)
{
    (void)unused;
    return ext_ref(Framework_CAST(op)->routes);
}

static int set_routes(PyObject *op, PyObject *routes, void *unused)
{
    (void)unused;
    if (routes == NULL || !PyDict_Check(routes)) {
        PyErr_SetString(PyExc_TypeError,
                        "routes must be a dict of paths and handlers");
        return -1;
    }
    Py_SETREF(Framework_CAST(op)->routes, ext_ref(routes));
    return 0;
}

static int Framework_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(Framework_CAST(op)->routes);
    Py_VISIT(Framework_CAST(op)->debug);
    return 0;
}

/* Empty the dict, which breaks the cycle. The fields stay: an object whose
 * cycle is being broken may still be called. */
static int Framework_clear(PyObject *op)
{
    PyDict_Clear(Framework_CAST(op)->routes);
    return 0;
}

static void Framework_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    Py_XDECREF(Framework_CAST(op)->routes);
    Py_XDECREF(Framework_CAST(op)->debug);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Framework_methods[] = {
    {"find_route", Framework_find_route, METH_O, find_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Framework_getset[] = {
    {"routes", get_routes, set_routes,
     "Paths and their handlers, a dict of this instance.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef Framework_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(FrameworkObject, vectorcall),
     READONLY, NULL},
    {"debug", T_OBJECT, offsetof(FrameworkObject, debug), 0,
     "Whether errors are shown to the client; None: when the logger is set to "
     "DEBUG."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Framework_slots[] = {
    {Py_tp_doc, "Paths to handlers; the base of wsocket.framework.Framework."},
    {Py_tp_new, Framework_new},
    {Py_tp_dealloc, Framework_dealloc},
    {Py_tp_traverse, Framework_traverse},
    {Py_tp_clear, Framework_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_methods, Framework_methods},
    {Py_tp_getset, Framework_getset},
    {Py_tp_members, Framework_members},
    {0, NULL},
};

const PyType_Spec ext_framework_spec = {
    .name = "wsocket._wsocket.Router",
    .basicsize = sizeof(FrameworkObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = Framework_slots,
};
