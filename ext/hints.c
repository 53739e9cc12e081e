/* ext/hints: wsgi.early_hints, a 103 ahead of the response (RFC 8297). */
#include "hints.h"

#include "errors.h"
#include "headers.h"

#include <stddef.h>

/* Unknown to the garbage collector: every request has one, and few call it. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct ext_state *st;
    wsk_request *req;     /* NULL once it is over */
    unsigned long thread; /* the handler's, which alone may use req */
} HintsObject;

#define Hints_CAST(op) ((HintsObject *)(op))

static void send_hints(HintsObject *self, PyObject *list)
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

static PyObject *Hints_call(PyObject *op, PyObject *const *args, size_t nargsf,
                            PyObject *kwnames)
{
    HintsObject *self = Hints_CAST(op);

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

static void Hints_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    type->tp_free(op);
    Py_DECREF(type);
}

static PyMemberDef Hints_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(HintsObject, vectorcall),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Hints_slots[] = {
    {Py_tp_doc,
     "early_hints(headers)\n\nSend a 103 (Early Hints) with a list of "
     "(name, value), such as Link, ahead of\nthe response. HTTP/1.0 "
     "clients get none."},
    {Py_tp_new, ext_no_new},
    {Py_tp_dealloc, Hints_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, Hints_members},
    {0, NULL},
};

static PyType_Spec Hints_spec = {
    .name = "wsocket._wsocket.EarlyHints",
    .basicsize = sizeof(HintsObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = Hints_slots,
};

int ext_hints_add(PyObject *module, struct ext_state *st)
{
    return ext_type_add(module, &Hints_spec, &st->hints_type, false);
}

PyObject *ext_hints_new(struct ext_state *st, wsk_request *req)
{
    PyObject *op = ext_spare_take(&st->spare_hints);
    HintsObject *self = Hints_CAST(op);

    if (op == NULL) {
        op = st->hints_type->tp_alloc(st->hints_type, 0);
        if (op == NULL)
            return NULL;
        self = Hints_CAST(op);
        self->vectorcall = Hints_call;
        self->st = st;
    }
    self->req = req;
    self->thread = PyThread_get_thread_ident();
    return op;
}

void ext_hints_end_take(PyObject *hints)
{
    HintsObject *self = Hints_CAST(hints);

    self->req = NULL;
    if (!ext_spare_keep(&self->st->spare_hints, hints, Py_REFCNT(hints) == 1))
        Py_DECREF(hints);
}
