/* ext/response: start_response, one per request (PEP 3333). */
#include "response_object.h"

#include "wsgi.h"

/* The object and the collector's two words are small enough for pymalloc. */
_Static_assert(sizeof(ResponseObject) + 2 * sizeof(void *) <= 512,
               "EXT_FEW_HEADERS is too large");

/* ------------------------------------------------------------ the head --- */

/* The arguments of start_response, until they are found good. Meanwhile code of
 * the application may run, such as the repr() of a wrong header, and call
 * start_response again; and so may another thread. */
struct head {
    int code;
    const char *reason; /* in `status` */
    PyObject *status;   /* borrowed from the caller */
    struct ext_headers headers;
};

static void forget_head(ResponseObject *self)
{
    ext_headers_clear(&self->headers);
    self->reason = NULL;
    Py_CLEAR(self->status);
}

/* "404 Not Found". */
static int read_status(struct head *head, PyObject *status)
{
    const char *p = ext_latin1(status, "the status");
    int code = 0;

    if (p == NULL || ext_check_text(status, p, "the status") < 0)
        return -1;
    for (int i = 0; i < 3; i++) {
        if (p[i] < '0' || p[i] > '9')
            goto malformed;
        code = code * 10 + (p[i] - '0');
    }
    if (code < 200 || code > 599 || (p[3] != ' ' && p[3] != '\0'))
        goto malformed;
    head->code = code;
    head->reason = p[3] == '\0' || p[4] == '\0' ? NULL : p + 4;
    head->status = status;
    return 0;

malformed:
    PyErr_Format(PyExc_ValueError,
                 "the status must be like '200 OK', with a code of 200 to 599,"
                 " not %R",
                 status);
    return -1;
}

/* Move the head to the object. */
static void set_head(ResponseObject *self, struct head *head)
{
    struct ext_headers *h = &self->headers;

    forget_head(self);
    self->code = head->code;
    self->reason = head->reason;
    self->status = ext_ref(head->status);
    ext_headers_move(h, &head->headers);
}

/* ------------------------------------------------------------ the end --- */

/* True if the application has kept neither the object nor its write(). */
static bool is_ours_alone(ResponseObject *self)
{
    if (self->write == NULL)
        return Py_REFCNT(self) == 1;
    return Py_REFCNT(self) == 2 && Py_REFCNT(self->write) == 1;
}

void ext_response_end_take(struct ext_thread *here, PyObject *response)
{
    ResponseObject *self = Response_CAST(response);

    self->stage = STAGE_OVER;
    self->req = NULL;
    forget_head(self);
    Py_CLEAR(self->websocket);
    if (ext_spare_keep(&here->response, response, is_ours_alone(self)))
        return;
    Py_CLEAR(self->write);
    Py_DECREF(response);
}

void ext_response_clear_spare(struct ext_thread *thread)
{
    PyObject *spare = ext_spare_take(&thread->response);

    if (spare == NULL)
        return;
    Py_CLEAR(Response_CAST(spare)->write);
    Py_DECREF(spare);
}

/* -------------------------------------------------------------- calling --- */

static PyMethodDef write_def = {
    "write", ext_response_write, METH_O,
    "write(data)\n\nSend bytes at once; for old applications."};

/* Raise the exception of exc_info: it is too late to show it to the client in
 * another way (PEP 3333). */
static void raise_again(PyObject *exc_info)
{
    PyObject *error = PyTuple_GET_ITEM(exc_info, 1);
    PyObject *traceback = PyTuple_GET_ITEM(exc_info, 2);

    PyErr_Restore(ext_ref(PyExceptionInstance_Class(error)), ext_ref(error),
                  traceback == Py_None ? NULL : ext_ref(traceback));
}

/* Check whether the head may be set now. -1 with an exception set. */
static int check_call(const ResponseObject *self, PyObject *exc_info)
{
    if (self->stage == STAGE_OVER) {
        PyErr_SetString(PyExc_RuntimeError,
                        "start_response was called after its request had "
                        "ended");
        return -1;
    }
    if (exc_info == NULL && self->stage != STAGE_SILENT) {
        PyErr_SetString(PyExc_RuntimeError,
                        "start_response was called twice without exc_info");
        return -1;
    }
    if (exc_info == NULL)
        return 0;
    if (ext_check_exc_info(exc_info) < 0)
        return -1;
    if (self->stage != STAGE_READY && self->stage != STAGE_SILENT) {
        raise_again(exc_info);
        return -1;
    }
    return 0;
}

/* Read start_response(status, headers, exc_info=None); *exc_info is NULL for
 * None. */
static int parse_call(PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames, PyObject **exc_info)
{
    Py_ssize_t given = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);

    if (nargs < 2 || nargs + given > 3) {
        PyErr_Format(PyExc_TypeError,
                     "start_response() takes 2 or 3 arguments, not %zd",
                     nargs + given);
        return -1;
    }
    if (given == 1 && PyUnicode_CompareWithASCIIString(
                          PyTuple_GET_ITEM(kwnames, 0), "exc_info") != 0) {
        PyErr_Format(PyExc_TypeError,
                     "start_response() has no keyword argument %R",
                     PyTuple_GET_ITEM(kwnames, 0));
        return -1;
    }
    *exc_info = nargs + given == 3 && args[2] != Py_None ? args[2] : NULL;
    return 0;
}

static PyObject *Response_call(PyObject *op, PyObject *const *args,
                               size_t nargsf, PyObject *kwnames)
{
    ResponseObject *self = Response_CAST(op);
    struct head head;
    PyObject *exc_info, *write;

    if (parse_call(args, PyVectorcall_NARGS(nargsf), kwnames, &exc_info) < 0 ||
        check_call(self, exc_info) < 0)
        return NULL;
    forget_head(self);
    self->stage = STAGE_SILENT;
    if (read_status(&head, args[0]) < 0)
        return NULL;
    ext_headers_init(&head.headers);
    head.headers.upgrades = head.code == 426;
    if (ext_headers_fill(self->st, &head.headers, args[1]) < 0 ||
        check_call(self, exc_info) < 0) {
        ext_headers_clear(&head.headers);
        return NULL;
    }
    set_head(self, &head);
    self->stage = STAGE_READY;
    /* After 101 this is how a framework reports that the handler crashed. */
    if (ext_response_accepted(self) && (exc_info != NULL || self->code >= 500))
        ext_websocket_fail(self->websocket);
    write = ext_xref(self->write);
    if (write == NULL)
        write = PyCFunction_New(&write_def, op);
    if (write != NULL && self->write == NULL) /* a collection runs anything */
        self->write = ext_ref(write);
    return write;
}

/* ---------------------------------------------------------------- type --- */

static int Response_traverse(PyObject *op, visitproc visit, void *arg)
{
    ResponseObject *self = Response_CAST(op);

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->websocket);
    Py_VISIT(self->write);
    Py_VISIT(self->headers.fields);
    return 0;
}

static int Response_clear(PyObject *op)
{
    forget_head(Response_CAST(op));
    Py_CLEAR(Response_CAST(op)->websocket);
    Py_CLEAR(Response_CAST(op)->write);
    return 0;
}

static void Response_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    Response_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMemberDef Response_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(ResponseObject, vectorcall),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot Response_slots[] = {
    {Py_tp_doc, "start_response(status, headers, exc_info=None) -> write"},
    {Py_tp_new, ext_no_new},
    {Py_tp_dealloc, Response_dealloc},
    {Py_tp_traverse, Response_traverse},
    {Py_tp_clear, Response_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, Response_members},
    {0, NULL},
};

const PyType_Spec ext_response_spec = {
    .name = "wsocket._wsocket.StartResponse",
    .basicsize = sizeof(ResponseObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = Response_slots,
};

static PyObject *make(struct ext_state *st)
{
    PyObject *op = st->types.response->tp_alloc(st->types.response, 0);

    if (op != NULL) {
        Response_CAST(op)->vectorcall = Response_call;
        Response_CAST(op)->st = st;
    }
    return op;
}

PyObject *ext_response_new(struct ext_thread *here, struct ext_state *st,
                           wsk_request *req, PyObject *websocket)
{
    PyObject *op = ext_spare_take(&here->response);
    ResponseObject *self;

    if (op == NULL)
        op = make(st);
    if (op == NULL)
        return NULL;
    self = Response_CAST(op);
    self->stage = STAGE_SILENT;
    self->full = self->sated = false;
    self->waiting = 0;
    self->req = req;
    self->websocket = websocket == NULL ? NULL : ext_ref(websocket);
    self->thread = PyThread_get_thread_ident();
    return op;
}
