#include "functions.h"

#include "errors.h"
#include "headers.h"

#include <stddef.h>

/* One function of one request. The garbage collector does not track it: every
 * request has two, and few applications call them. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct ext_state *st;
    wsk_request *req;     /* NULL once it is over */
    unsigned long thread; /* the handler's, which alone may use req */
} FunctionObject;

#define Function_CAST(op) ((FunctionObject *)(op))

static void send_hints(FunctionObject *self, PyObject *list)
{
    struct ext_headers headers = {0};
    wsk_status st = WSK_OK;

    if (ext_headers_fill(self->st, &headers, list) == 0) {
        st = wsk_request_hints(self->req, headers.items, headers.n);
        if (st == WSK_E_ARG)
            PyErr_SetString(PyExc_ValueError,
                            "early hints hold fields like Link, nothing of "
                            "length or connection");
        else if (st == WSK_E_STATE)
            PyErr_SetString(PyExc_RuntimeError,
                            "early hints come before the response begins");
        else if (st != WSK_OK && st != WSK_E_CLOSED)
            ext_raise(self->st, st, "wsgi.early_hints");
    }
    ext_headers_clear(&headers);
}

static PyObject *hints_call(PyObject *op, PyObject *const *args, size_t nargsf,
                            PyObject *kwnames)
{
    FunctionObject *self = Function_CAST(op);

    if (PyVectorcall_NARGS(nargsf) != 1 ||
        (kwnames != NULL && PyTuple_GET_SIZE(kwnames) > 0))
        return PyErr_Format(PyExc_TypeError,
                            "wsgi.early_hints() takes a list of (name, value), "
                            "by position");
    if (self->req == NULL)
        return PyErr_Format(PyExc_RuntimeError,
                            "wsgi.early_hints() was called after its request "
                            "had ended");
    if (self->thread != PyThread_get_thread_ident())
        return PyErr_Format(
            PyExc_RuntimeError,
            "wsgi.early_hints belongs to the thread of its request");
    send_hints(self, args[0]);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

/* Answer in any thread: while the request runs, its end waits for the GIL, and
 * this call waits for nothing. */
static PyObject *disconnected_call(PyObject *op, PyObject *const *args,
                                   size_t nargsf, PyObject *kwnames)
{
    FunctionObject *self = Function_CAST(op);

    (void)args;
    if (PyVectorcall_NARGS(nargsf) != 0 ||
        (kwnames != NULL && PyTuple_GET_SIZE(kwnames) > 0))
        return PyErr_Format(PyExc_TypeError,
                            "wsocket.client_disconnected() takes no arguments");
    return PyBool_FromLong(self->req == NULL || wsk_request_is_gone(self->req));
}

static void Function_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    type->tp_free(op);
    Py_DECREF(type);
}

static PyMemberDef Function_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(FunctionObject, vectorcall),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Function_slots[] = {
    {Py_tp_doc, "A function of one request, as environ has it:\n\n"
                "wsgi.early_hints(headers) sends a 103 (Early Hints) with a "
                "list of (name,\nvalue), such as Link, ahead of the response. "
                "HTTP/1.0 clients get none.\n\n"
                "wsocket.client_disconnected() says whether nobody waits for "
                "the response\nany more."},
    {Py_tp_new, ext_no_new},
    {Py_tp_dealloc, Function_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, Function_members},
    {0, NULL},
};

const PyType_Spec ext_function_spec = {
    .name = "wsocket._wsocket.RequestFunction",
    .basicsize = sizeof(FunctionObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = Function_slots,
};

static PyObject *make(struct ext_state *st, PyObject **spare,
                      vectorcallfunc call, wsk_request *req)
{
    PyObject *op = ext_spare_take(spare);
    FunctionObject *self = Function_CAST(op);

    if (op == NULL) {
        op = st->types.function->tp_alloc(st->types.function, 0);
        if (op == NULL)
            return NULL;
        self = Function_CAST(op);
        self->vectorcall = call;
        self->st = st;
    }
    self->req = req;
    self->thread = PyThread_get_thread_ident();
    return op;
}

static void end_take(PyObject **spare, PyObject *op)
{
    Function_CAST(op)->req = NULL;
    if (!ext_spare_keep(spare, op, Py_REFCNT(op) == 1))
        Py_DECREF(op);
}

PyObject *ext_hints_new(struct ext_thread *here, struct ext_state *st,
                        wsk_request *req)
{
    return make(st, &here->hints, hints_call, req);
}

void ext_hints_end_take(struct ext_thread *here, PyObject *hints)
{
    end_take(&here->hints, hints);
}

PyObject *ext_disconnected_new(struct ext_thread *here, struct ext_state *st,
                               wsk_request *req)
{
    return make(st, &here->disconnected, disconnected_call, req);
}

void ext_disconnected_end_take(struct ext_thread *here, PyObject *disconnected)
{
    end_take(&here->disconnected, disconnected);
}
