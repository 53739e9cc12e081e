/* ext/event: Event, a list of handlers that is called like a function.
 *
 * Each handler gets as many of the arguments as it takes, from the first on. A
 * handler that wants one more than there are, as the method-like
 * on_close(self, message, client) does, gets the event's owner in front. */
#include "event.h"

#include "errors.h"

#define MOST_ARGS 4

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct ext_state *st;
    /* Tuple of (callable, least, most): how many positional arguments it needs
     * and takes. A change makes a new tuple, so that a call under way goes
     * through the handlers it began with. */
    PyObject *handlers;
    PyObject *owner; /* or NULL */
    PyObject *weakrefs;
} EventObject;

#define Event_CAST(op) ((EventObject *)(op))

/* ----------------------------------------------------------- signatures --- */

/* Add one inspect.Parameter to *least and *most. */
static int count_parameter(PyObject *parameter, Py_ssize_t *least,
                           Py_ssize_t *most)
{
    enum { ONLY_POSITIONAL, POSITIONAL, VAR_POSITIONAL };
    PyObject *kind = PyObject_GetAttrString(parameter, "kind");
    PyObject *value = PyObject_GetAttrString(parameter, "default");
    PyObject *empty = PyObject_GetAttrString(parameter, "empty");
    long number = kind == NULL ? -1 : PyLong_AsLong(kind);

    if (number == VAR_POSITIONAL) {
        *most = PY_SSIZE_T_MAX;
    } else if (number == ONLY_POSITIONAL || number == POSITIONAL) {
        ++*most;
        *least += value == empty;
    }
    Py_XDECREF(kind);
    Py_XDECREF(value);
    Py_XDECREF(empty);
    return PyErr_Occurred() ? -1 : 0;
}

/* Return inspect.signature(handler).parameters.values(), as an iterator. */
static PyObject *parameters_of(PyObject *handler)
{
    PyObject *inspect = PyImport_ImportModule("inspect");
    PyObject *signature = NULL, *parameters = NULL, *values = NULL,
             *iter = NULL;

    if (inspect != NULL)
        signature = PyObject_CallMethod(inspect, "signature", "O", handler);
    if (signature != NULL)
        parameters = PyObject_GetAttrString(signature, "parameters");
    if (parameters != NULL)
        values = PyObject_CallMethod(parameters, "values", NULL);
    if (values != NULL)
        iter = PyObject_GetIter(values);
    Py_XDECREF(inspect);
    Py_XDECREF(signature);
    Py_XDECREF(parameters);
    Py_XDECREF(values);
    return iter;
}

static int count_arguments(PyObject *handler, Py_ssize_t *least,
                           Py_ssize_t *most)
{
    PyObject *iter = parameters_of(handler);
    PyObject *parameter;

    *least = *most = 0;
    if (iter == NULL) {
        /* Some callables of C have no signature: let them have everything. */
        if (!PyErr_ExceptionMatches(PyExc_ValueError) &&
            !PyErr_ExceptionMatches(PyExc_TypeError))
            return -1;
        PyErr_Clear();
        *most = PY_SSIZE_T_MAX;
        return 0;
    }
    while ((parameter = PyIter_Next(iter)) != NULL) {
        int rc = count_parameter(parameter, least, most);

        Py_DECREF(parameter);
        if (rc < 0 || *most == PY_SSIZE_T_MAX)
            break;
    }
    Py_DECREF(iter);
    return PyErr_Occurred() ? -1 : 0;
}

/* -------------------------------------------------------------- changes --- */

static int add_handler(EventObject *self, PyObject *handler)
{
    Py_ssize_t least, most;
    PyObject *more, *was, *all;

    if (!PyCallable_Check(handler)) {
        PyErr_Format(PyExc_TypeError,
                     "an event handler must be callable, not %.100s",
                     Py_TYPE(handler)->tp_name);
        return -1;
    }
    if (count_arguments(handler, &least, &most) < 0)
        return -1;
    more = Py_BuildValue("((Onn))", handler, least, most);
    if (more == NULL)
        return -1;
    was = ext_ref(self->handlers); /* a collection may run anything */
    all = PySequence_Concat(was, more);
    Py_DECREF(was);
    Py_DECREF(more);
    if (all == NULL)
        return -1;
    Py_SETREF(self->handlers, all);
    return 0;
}

/* Find the row of a handler; borrowed. NULL, with an exception set unless it is
 * absent. */
static PyObject *find_handler(PyObject *handlers, PyObject *handler)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(handlers); i++) {
        PyObject *row = PyTuple_GET_ITEM(handlers, i);
        int same =
            PyObject_RichCompareBool(PyTuple_GET_ITEM(row, 0), handler, Py_EQ);

        if (same != 0)
            return same < 0 ? NULL : row;
    }
    return NULL;
}

/* Return the place of a row, or -1 if it is gone. */
static Py_ssize_t place_of(PyObject *handlers, const PyObject *row)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(handlers); i++)
        if (PyTuple_GET_ITEM(handlers, i) == row)
            return i;
    return -1;
}

static int remove_handler(EventObject *self, PyObject *handler)
{
    PyObject *was = ext_ref(self->handlers); /* == may run anything */
    PyObject *row = find_handler(was, handler);
    PyObject *now = ext_ref(self->handlers); /* perhaps other ones */
    PyObject *before = NULL, *after = NULL, *all = NULL;
    Py_ssize_t place = row == NULL ? -1 : place_of(now, row);

    if (place >= 0) {
        before = PyTuple_GetSlice(now, 0, place);
        after = PyTuple_GetSlice(now, place + 1, PyTuple_GET_SIZE(now));
        if (before != NULL && after != NULL)
            all = PySequence_Concat(before, after);
    } else if (!PyErr_Occurred()) {
        PyErr_Format(PyExc_ValueError, "%R is no handler of this event",
                     handler);
    }
    Py_XDECREF(before);
    Py_XDECREF(after);
    Py_DECREF(was);
    Py_DECREF(now);
    if (all == NULL)
        return -1;
    Py_SETREF(self->handlers, all);
    return 0;
}

static PyObject *Event_add(PyObject *left, PyObject *right);

/* True if a left operand is an event: a number slot is called for either
 * operand. */
static bool is_event(PyObject *op)
{
    for (PyTypeObject *t = Py_TYPE(op); t != NULL; t = t->tp_base)
        if (t->tp_as_number != NULL && t->tp_as_number->nb_add == Event_add)
            return true;
    return false;
}

/* Change the event for `event + handler` as for `event += handler`: programs
 * write either as a statement. */
static PyObject *Event_add(PyObject *left, PyObject *right)
{
    if (!is_event(left))
        Py_RETURN_NOTIMPLEMENTED;
    return add_handler(Event_CAST(left), right) < 0 ? NULL : ext_ref(left);
}

static PyObject *Event_subtract(PyObject *left, PyObject *right)
{
    if (!is_event(left))
        Py_RETURN_NOTIMPLEMENTED;
    return remove_handler(Event_CAST(left), right) < 0 ? NULL : ext_ref(left);
}

static PyObject *Event_clear_handlers(PyObject *op, PyObject *unused)
{
    PyObject *none = PyTuple_New(0);

    (void)unused;
    if (none == NULL)
        return NULL;
    Py_SETREF(Event_CAST(op)->handlers, none);
    Py_RETURN_NONE;
}

/* -------------------------------------------------------------- calling --- */

/* Call one handler. args[-1] is free, for the owner. */
static PyObject *call_handler(EventObject *self, PyObject *row, PyObject **args,
                              Py_ssize_t n)
{
    PyObject *call = PyTuple_GET_ITEM(row, 0);
    Py_ssize_t least = PyLong_AsSsize_t(PyTuple_GET_ITEM(row, 1));
    Py_ssize_t most = PyLong_AsSsize_t(PyTuple_GET_ITEM(row, 2));
    PyObject *result;

    if (least == n + 1) { /* which may give the event another owner */
        args[-1] = ext_ref(self->owner != NULL ? self->owner : Py_None);
        result = PyObject_Vectorcall(call, args - 1, (size_t)n + 1, NULL);
        Py_DECREF(args[-1]);
        return result;
    }
    return PyObject_Vectorcall(call, args, (size_t)Py_MIN(n, most), NULL);
}

/* Call every handler, even if others fail. The first exception is raised; those
 * after it are logged. */
static PyObject *Event_vectorcall(PyObject *op, PyObject *const *given,
                                  size_t nargsf, PyObject *kwnames)
{
    EventObject *self = Event_CAST(op);
    Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    PyObject *type = NULL, *error = NULL, *traceback = NULL;
    PyObject *args[1 + MOST_ARGS];
    PyObject *handlers;

    if (kwnames != NULL || n > MOST_ARGS)
        return PyErr_Format(PyExc_TypeError,
                            "an event takes up to %d positional arguments",
                            MOST_ARGS);
    for (Py_ssize_t i = 0; i < n; i++)
        args[1 + i] = given[i];
    handlers = ext_ref(self->handlers);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(handlers); i++) {
        PyObject *result =
            call_handler(self, PyTuple_GET_ITEM(handlers, i), args + 1, n);

        Py_XDECREF(result);
        if (result != NULL)
            continue;
        if (type == NULL)
            PyErr_Fetch(&type, &error, &traceback);
        else
            ext_log_exception(self->st, "error in an event handler");
    }
    Py_DECREF(handlers);
    if (type != NULL) {
        PyErr_Restore(type, error, traceback);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ----------------------------------------------------------------- type --- */

/* Ignore the arguments: they are for __init__, which a subclass may define as
 * it likes. */
static PyObject *Event_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *op = type->tp_alloc(type, 0);
    EventObject *self = Event_CAST(op);

    (void)args;
    (void)kwargs;
    if (op == NULL)
        return NULL;
    self->vectorcall = Event_vectorcall;
    self->st = ext_state_of(type);
    self->handlers = PyTuple_New(0);
    if (self->handlers == NULL)
        Py_CLEAR(op);
    return op;
}

static int Event_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    PyObject *none;

    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0) {
        PyErr_SetString(PyExc_TypeError,
                        "Event() takes handlers, no keyword arguments");
        return -1;
    }
    none = PyTuple_New(0);
    if (none == NULL)
        return -1;
    Py_SETREF(Event_CAST(op)->handlers, none);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++)
        if (add_handler(Event_CAST(op), PyTuple_GET_ITEM(args, i)) < 0)
            return -1;
    return 0;
}

static Py_ssize_t Event_length(PyObject *op)
{
    return PyTuple_GET_SIZE(Event_CAST(op)->handlers);
}

static PyObject *Event_iter(PyObject *op)
{
    PyObject *rows = ext_ref(Event_CAST(op)->handlers);
    Py_ssize_t n = PyTuple_GET_SIZE(rows);
    PyObject *calls = PyTuple_New(n);
    PyObject *iter = NULL;

    for (Py_ssize_t i = 0; calls != NULL && i < n; i++) {
        PyObject *row = PyTuple_GET_ITEM(rows, i);

        PyTuple_SET_ITEM(calls, i, ext_ref(PyTuple_GET_ITEM(row, 0)));
    }
    if (calls != NULL)
        iter = PyObject_GetIter(calls);
    Py_XDECREF(calls);
    Py_DECREF(rows);
    return iter;
}

static PyObject *Event_repr(PyObject *op)
{
    Py_ssize_t n = Event_length(op);

    return PyUnicode_FromFormat("<Event with %zd handler%s>", n,
                                n == 1 ? "" : "s");
}

static int Event_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(Event_CAST(op)->handlers);
    Py_VISIT(Event_CAST(op)->owner);
    return 0;
}

/* Keep the handlers: an event whose cycle is being broken may still be called.
 */
static int Event_clear(PyObject *op)
{
    Py_CLEAR(Event_CAST(op)->owner);
    return 0;
}

static void Event_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    if (Event_CAST(op)->weakrefs != NULL)
        PyObject_ClearWeakRefs(op);
    Event_clear(op);
    Py_XDECREF(Event_CAST(op)->handlers);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Event_methods[] = {
    {"clear", Event_clear_handlers, METH_NOARGS, "Remove every handler."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef Event_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(EventObject, vectorcall),
     READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(EventObject, weakrefs),
     READONLY, NULL},
    {"owner", T_OBJECT, offsetof(EventObject, owner), 0,
     "Passed first to a handler that takes one argument more."},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(Event_doc,
             "Event(*handlers)\n\n"
             "Handlers that are called in order, by calling the event. += and "
             "+ add a\nhandler, -= and - remove one. Each gets as many of the "
             "arguments as it takes.");

static PyType_Slot Event_slots[] = {
    {Py_tp_doc, (void *)Event_doc},
    {Py_tp_new, Event_new},
    {Py_tp_init, Event_init},
    {Py_tp_dealloc, Event_dealloc},
    {Py_tp_traverse, Event_traverse},
    {Py_tp_clear, Event_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_repr, Event_repr},
    {Py_tp_iter, Event_iter},
    {Py_mp_length, Event_length},
    {Py_nb_add, Event_add},
    {Py_nb_subtract, Event_subtract},
    {Py_nb_inplace_add, Event_add},
    {Py_nb_inplace_subtract, Event_subtract},
    {Py_tp_methods, Event_methods},
    {Py_tp_members, Event_members},
    {0, NULL},
};

const PyType_Spec ext_event_spec = {
    .name = "wsocket.Event",
    .basicsize = sizeof(EventObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = Event_slots,
};
