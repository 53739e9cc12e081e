/* ext/answer: Response, one run of a handler of the Framework.
 *
 * The handler gets it as start_response. For a result that comes item by item
 * it is also the iterable that the server gets. The server's own
 * start_response is called when there is something to send; until then the
 * handler may change status and headers. */
#include "answer_object.h"

#include "args.h"
#include "wsgi.h"

/* ------------------------------------------------------- start_response --- */

static PyMethodDef write_def;

static const struct ext_signature call_sig = {
    "start_response", 0, 3,
    (const char *const[]){"status", "headers", "exc_info"}};

static PyObject *Answer_call(PyObject *op, PyObject *const *args, size_t nargsf,
                             PyObject *kwnames)
{
    PyObject *given[3];

    if (ext_args(&call_sig, args, PyVectorcall_NARGS(nargsf), kwnames, given) <
            0 ||
        ext_answer_set_head(Answer_CAST(op), given[0], given[1], given[2]) < 0)
        return NULL;
    return PyCFunction_New(&write_def, op);
}

/* -------------------------------------------------------------- the body ---
 */

/* Return what may be sent as bytes: str is UTF-8, a number is its text. */
static PyObject *bytes_of(PyObject *item)
{
    PyObject *text, *bytes;

    if (PyBytes_CheckExact(item))
        return ext_ref(item);
    if (PyUnicode_Check(item))
        return PyUnicode_AsUTF8String(item);
    if (item == Py_None)
        return PyBytes_FromStringAndSize(NULL, 0);
    if (PyObject_CheckBuffer(item))
        return PyBytes_FromObject(item);
    if (!PyNumber_Check(item))
        return PyErr_Format(PyExc_TypeError,
                            "a handler may send str, bytes and numbers, not "
                            "%.100s: %R",
                            Py_TYPE(item)->tp_name, item);
    text = PyObject_Str(item);
    bytes = text == NULL ? NULL : PyUnicode_AsUTF8String(text);
    Py_XDECREF(text);
    return bytes;
}

static bool is_single(PyObject *result)
{
    return PyUnicode_Check(result) || PyBytes_Check(result) ||
           result == Py_None || PyByteArray_Check(result) ||
           PyMemoryView_Check(result) ||
           (PyNumber_Check(result) && Py_TYPE(result)->tp_iter == NULL);
}

static bool is_collection(PyObject *result)
{
    return PyList_Check(result) || PyTuple_Check(result) ||
           PyAnySet_Check(result) || PyDict_Check(result);
}

/* Return the items of a collection as a new list of bytes, and their length. */
static PyObject *bytes_of_all(PyObject *result, Py_ssize_t *length)
{
    PyObject *list = PySequence_List(result);

    *length = 0;
    for (Py_ssize_t i = 0; list != NULL && i < PyList_GET_SIZE(list); i++) {
        PyObject *item = PyList_GET_ITEM(list, i);
        PyObject *bytes = bytes_of(item);

        if (bytes == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, bytes);
        Py_DECREF(item);
        *length += PyBytes_GET_SIZE(bytes);
    }
    return list;
}

static bool is_head(const AnswerObject *self)
{
    PyObject *method =
        PyDict_GetItem(self->environ, self->st->names.request_method);

    return method != NULL && PyUnicode_Check(method) &&
           PyUnicode_CompareWithASCIIString(method, "HEAD") == 0;
}

/* True if the answer must have no body, which not every server leaves out. */
static bool wants_no_body(const AnswerObject *self)
{
    return ext_answer_has_no_content(self) || is_head(self);
}

/* A handler's result on a WebSocket is no answer unless the handler has called
 * start_response: a WebSocket that was not answered is accepted by the server.
 */
static bool is_silent(const AnswerObject *self)
{
    return self->websocket && self->status == NULL;
}

/* Send a complete body. Takes the reference to `list`. */
static PyObject *send_whole(AnswerObject *self, PyObject *list,
                            Py_ssize_t length)
{
    /* The server in C adds the length of a single item. */
    bool known = self->ours && length > 0 && PyList_GET_SIZE(list) == 1;

    if (!is_silent(self) &&
        ext_answer_give_head(self, self->st->names.html,
                             known ? LENGTH_UNKNOWN : length, NULL) < 0)
        Py_CLEAR(list);
    else if (is_silent(self) || (!known && wants_no_body(self)))
        Py_SETREF(list, PyList_New(0));
    return list;
}

static PyObject *send_single(AnswerObject *self, PyObject *result)
{
    PyObject *bytes = bytes_of(result);
    PyObject *list = bytes == NULL ? NULL : PyList_New(1);

    if (list == NULL) {
        Py_XDECREF(bytes);
        return NULL;
    }
    PyList_SET_ITEM(list, 0, bytes);
    return send_whole(self, list, PyBytes_GET_SIZE(bytes));
}

static PyObject *send_collection(AnswerObject *self, PyObject *result)
{
    Py_ssize_t length;
    PyObject *list = bytes_of_all(result, &length);

    return list == NULL ? NULL : send_whole(self, list, length);
}

/* Send a result item by item: this object is the iterable. */
static PyObject *send_iterable(AnswerObject *self, PyObject *result)
{
    if (self->result != NULL)
        return PyErr_Format(PyExc_RuntimeError,
                            "process_response() is called once");
    self->result = ext_ref(result);
    self->iterator = PyObject_GetIter(result);
    return self->iterator == NULL ? NULL : ext_ref((PyObject *)self);
}

/* Send a file that wsocket.framework has looked at: its type, its length, and
 * whether the server offers to send it. */
static PyObject *send_opened(AnswerObject *self, PyObject *opened)
{
    PyObject *body, *type;
    Py_ssize_t length;
    int by_server;

    if (!PyArg_ParseTuple(opened, "OOnp", &body, &type, &length, &by_server))
        return NULL;
    if (!is_silent(self) && ext_answer_give_head(self, type, length, NULL) < 0)
        return NULL;
    if (by_server && !is_silent(self) && !wants_no_body(self))
        return ext_ref(body);
    return send_iterable(self, body);
}

static PyObject *send_file(AnswerObject *self, PyObject *file)
{
    PyObject *module = PyImport_ImportModule("wsocket.framework");
    PyObject *opened = NULL, *sent = NULL;

    if (module != NULL)
        opened = PyObject_CallMethod(module, "_open_file", "OO", file,
                                     self->environ);
    if (opened != NULL)
        sent = send_opened(self, opened);
    if (sent == NULL && self->result == NULL)
        self->result = ext_ref(file); /* is closed all the same */
    Py_XDECREF(module);
    Py_XDECREF(opened);
    return sent;
}

static PyObject *send_result(AnswerObject *self, PyObject *result)
{
    if (is_single(result))
        return send_single(self, result);
    if (is_collection(result))
        return send_collection(self, result);
    if (PyObject_HasAttrString(result, "read"))
        return send_file(self, result);
    if (Py_TYPE(result)->tp_iter != NULL || PySequence_Check(result))
        return send_iterable(self, result);
    return PyErr_Format(PyExc_TypeError,
                        "the handler returned %.100s; it may return str, "
                        "bytes, a number, a file, or an iterable of such",
                        Py_TYPE(result)->tp_name);
}

/* ------------------------------------------------------------- iterating ---
 */

/* Close the iterable that the application returned, once, and also after an
 * error. */
static int close_result(AnswerObject *self)
{
    PyObject *result = self->result;
    int rc;

    self->result = NULL;
    Py_CLEAR(self->iterator);
    if (result == NULL)
        return 0;
    rc = ext_close_result(self->st, result);
    Py_DECREF(result);
    return rc;
}

static PyObject *Answer_close(PyObject *op, PyObject *unused)
{
    (void)unused;
    if (close_result(Answer_CAST(op)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Return the next item that is not empty, as bytes; NULL at the end or with an
 * exception. Items of a silent WebSocket are dropped. */
static PyObject *next_bytes(AnswerObject *self)
{
    PyObject *iterator = ext_ref(self->iterator);
    PyObject *item, *bytes = NULL;

    while (bytes == NULL && (item = PyIter_Next(iterator)) != NULL) {
        bytes = bytes_of(item);
        Py_DECREF(item);
        if (bytes == NULL)
            break;
        if (PyBytes_GET_SIZE(bytes) == 0 || is_silent(self))
            Py_CLEAR(bytes);
    }
    Py_DECREF(iterator);
    return bytes;
}

static PyObject *Answer_next(PyObject *op)
{
    AnswerObject *self = Answer_CAST(op);
    PyObject *bytes;
    bool first = !self->begun;

    if (self->iterator == NULL)
        return NULL;
    self->begun = true;
    bytes = next_bytes(self);
    if (bytes == NULL)
        Py_CLEAR(self->iterator);
    if (bytes != NULL || (!PyErr_Occurred() && !is_silent(self)))
        if (ext_answer_give_head(self, self->st->names.html, LENGTH_UNKNOWN,
                                 NULL) < 0)
            Py_CLEAR(bytes);
    if (PyErr_Occurred()) {
        Py_CLEAR(self->iterator);
        return ext_answer_fail(self);
    }
    if (bytes != NULL && first && wants_no_body(self)) {
        Py_CLEAR(self->iterator);
        Py_CLEAR(bytes);
    }
    return bytes;
}

/* write(data), which start_response returns; for old applications. */
static PyObject *Answer_write(PyObject *op, PyObject *data)
{
    AnswerObject *self = Answer_CAST(op);
    PyObject *bytes = bytes_of(data);
    PyObject *sent = NULL;

    if (bytes != NULL && ext_answer_give_head(self, self->st->names.html,
                                              LENGTH_UNKNOWN, NULL) == 0)
        sent = PyObject_CallOneArg(self->write, bytes);
    Py_XDECREF(bytes);
    return sent;
}

static PyMethodDef write_def = {
    "write", Answer_write, METH_O,
    "write(data)\n\nSend str, bytes or a number at once."};

/* --------------------------------------------------------------- running ---
 */

/* Close a result that is not sent; an exception may be set, and stays so. */
static void close_failed(AnswerObject *self)
{
    PyObject *type, *error, *traceback;

    PyErr_Fetch(&type, &error, &traceback);
    if (close_result(self) < 0)
        ext_answer_log(self, "close() of the response failed");
    PyErr_Restore(type, error, traceback);
}

static PyObject *process(AnswerObject *self)
{
    PyObject *args[] = {self->environ, (PyObject *)self};
    PyObject *result = PyObject_Vectorcall(self->handler, args, 2, NULL);
    PyObject *sent = NULL, *page;

    if (result != NULL) {
        sent = send_result(self, result);
        Py_DECREF(result);
    }
    if (sent != NULL)
        return sent;
    page = ext_answer_fail(self);
    close_failed(self);
    if (page == NULL)
        return NULL;
    sent = PyList_New(1);
    if (sent == NULL)
        Py_DECREF(page);
    else
        PyList_SET_ITEM(sent, 0, page);
    return sent;
}

static PyObject *Answer_process_response(PyObject *op, PyObject *unused)
{
    (void)unused;
    return process(Answer_CAST(op));
}

static PyObject *make(PyTypeObject *type, struct ext_state *st,
                      PyObject *environ, PyObject *start_response,
                      PyObject *handler, PyObject *debug)
{
    PyObject *op = type->tp_alloc(type, 0);
    AnswerObject *self = Answer_CAST(op);
    PyObject *websocket;

    if (op == NULL)
        return NULL;
    websocket = PyDict_GetItem(environ, st->names.websocket);
    self->vectorcall = Answer_call;
    self->st = st;
    self->environ = ext_ref(environ);
    self->start_response = ext_ref(start_response);
    self->handler = ext_ref(handler);
    self->debug = ext_ref(debug);
    self->ours = Py_TYPE(start_response) == st->types.response;
    self->websocket = websocket != NULL && websocket != Py_None;
    return op;
}

PyObject *ext_answer(struct ext_state *st, PyObject *environ,
                     PyObject *start_response, PyObject *handler,
                     PyObject *debug)
{
    PyObject *op =
        make(st->types.answer, st, environ, start_response, handler, debug);
    PyObject *sent = op == NULL ? NULL : process(Answer_CAST(op));

    Py_XDECREF(op);
    return sent;
}

/* ------------------------------------------------------------------ type ---
 */

static PyObject *Answer_new(PyTypeObject *type, PyObject *args,
                            PyObject *kwargs)
{
    static char *names[] = {"environ", "start_response", "app", "debug", NULL};
    PyObject *environ, *start_response, *handler, *debug = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!OO|O:Response", names,
                                     &PyDict_Type, &environ, &start_response,
                                     &handler, &debug))
        return NULL;
    if (!PyCallable_Check(start_response) || !PyCallable_Check(handler))
        return PyErr_Format(PyExc_TypeError,
                            "start_response and app must be callable");
    return make(type, ext_state_of(type), environ, start_response, handler,
                debug);
}

static int Answer_traverse(PyObject *op, visitproc visit, void *arg)
{
    AnswerObject *self = Answer_CAST(op);

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->environ);
    Py_VISIT(self->start_response);
    Py_VISIT(self->handler);
    Py_VISIT(self->debug);
    Py_VISIT(self->headers);
    Py_VISIT(self->result);
    Py_VISIT(self->iterator);
    Py_VISIT(self->write);
    return 0;
}

/* Keep the fields that the methods rely on: an object whose cycle is being
 * broken may still be called. */
static int Answer_clear(PyObject *op)
{
    AnswerObject *self = Answer_CAST(op);

    Py_CLEAR(self->result);
    Py_CLEAR(self->iterator);
    Py_CLEAR(self->write);
    return 0;
}

static void Answer_dealloc(PyObject *op)
{
    AnswerObject *self = Answer_CAST(op);
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    Answer_clear(op);
    Py_XDECREF(self->environ);
    Py_XDECREF(self->start_response);
    Py_XDECREF(self->handler);
    Py_XDECREF(self->debug);
    Py_XDECREF(self->status);
    Py_XDECREF(self->headers);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Answer_methods[] = {
    {"process_response", Answer_process_response, METH_NOARGS,
     "process_response() -> iterable of bytes\n\n"
     "Run the handler and begin the answer."},
    {"close", Answer_close, METH_NOARGS, "Close what the handler returned."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef Answer_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(AnswerObject, vectorcall),
     READONLY, NULL},
    {"environ", T_OBJECT, offsetof(AnswerObject, environ), READONLY,
     "Of the request."},
    {"app", T_OBJECT, offsetof(AnswerObject, handler), READONLY,
     "The handler."},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(
    Answer_doc,
    "Response(environ, start_response, app, debug=None)\n\n"
    "One run of a handler of the Framework: process_response() calls it and\n"
    "gives what a WSGI application returns. The handler gets environ and this\n"
    "object, as its start_response(status=200, headers=None).");

static PyType_Slot Answer_slots[] = {
    {Py_tp_doc, (void *)Answer_doc},
    {Py_tp_new, Answer_new},
    {Py_tp_dealloc, Answer_dealloc},
    {Py_tp_traverse, Answer_traverse},
    {Py_tp_clear, Answer_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, Answer_next},
    {Py_tp_methods, Answer_methods},
    {Py_tp_members, Answer_members},
    {0, NULL},
};

const PyType_Spec ext_answer_spec = {
    .name = "wsocket.Response",
    .basicsize = sizeof(AnswerObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = Answer_slots,
};
