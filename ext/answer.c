/* ext/answer: Response, one run of a handler of the Framework.
 *
 * It is what the handler gets as start_response, and, when the result comes
 * item by item, the iterable that the server gets. The server's own
 * start_response is called once there is something to send, for until then the
 * handler may say what it likes. */
#include "answer.h"

#include "args.h"
#include "errors.h"
#include "headers.h"

#define LENGTH_UNKNOWN (-1)

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct ext_state *st;
    PyObject *environ;
    PyObject *start_response; /* the server's */
    PyObject *handler;
    PyObject *debug;
    PyObject *status;   /* str, as PEP 3333 has it; NULL: not called */
    PyObject *headers;  /* list of our own; NULL: not called */
    PyObject *result;   /* what comes item by item, for its close(); or NULL */
    PyObject *iterator; /* of the result; NULL: no more items */
    PyObject *write;    /* the server's, once it has the head */
    bool ours;          /* the server is the one in C */
    bool websocket;     /* of a WebSocket request */
    bool begun;         /* an item was asked for */
    bool has_type;      /* a Content-Type is among the headers */
    bool has_length;
} AnswerObject;

#define Answer_CAST(op) ((AnswerObject *)(op))

/* ------------------------------------------------------- start_response --- */

/* "404 Not Found" of 404; a new reference. */
static PyObject *describe(struct ext_state *st, long code)
{
    if (code == 200)
        return ext_ref(st->names.ok);
    if (code < 200 || code > 599)
        return PyErr_Format(PyExc_ValueError,
                            "the status must be from 200 to 599, not %ld",
                            code);
    return PyUnicode_FromFormat("%d %s", (int)code, wsk_reason((int)code));
}

/* None, 404, "404" and "404 Not Found" are statuses. */
static PyObject *read_status(struct ext_state *st, PyObject *status)
{
    const char *p;
    Py_ssize_t n;
    long code;

    if (status == NULL || status == Py_None)
        return ext_ref(st->names.ok);
    if (PyLong_Check(status)) {
        code = PyLong_AsLong(status);
        return code == -1 && PyErr_Occurred() ? NULL : describe(st, code);
    }
    p = ext_latin1(status, "the status");
    if (p == NULL || ext_check_text(status, p, "the status") < 0)
        return NULL;
    n = PyUnicode_GET_LENGTH(status);
    if (n < 3 || !Py_ISDIGIT(p[0]) || !Py_ISDIGIT(p[1]) || !Py_ISDIGIT(p[2]) ||
        (n > 3 && p[3] != ' '))
        return PyErr_Format(PyExc_ValueError,
                            "the status must be like 200, '200' or '200 OK', "
                            "not %R",
                            status);
    code = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
    if (n <= 4 || code < 200 || code > 599)
        return describe(st, code);
    return ext_ref(status);
}

static bool is_named(wsk_str s, const char *name)
{
    return s.len == strlen(name) &&
           PyOS_strnicmp(s.p, name, (Py_ssize_t)s.len) == 0;
}

/* A dict, or an iterable of (name, value); checked, and a list of our own. */
static PyObject *read_headers(AnswerObject *self, PyObject *headers)
{
    struct ext_headers set = {0};
    PyObject *list;
    int rc;

    self->has_type = self->has_length = false;
    if (headers == NULL || headers == Py_None)
        return PyList_New(0);
    if (!PyDict_Check(headers) && !PyList_Check(headers) &&
        !PyTuple_Check(headers))
        return PyErr_Format(PyExc_TypeError,
                            "the headers must be a dict or a list of tuples, "
                            "not %.100s",
                            Py_TYPE(headers)->tp_name);
    list = PyDict_Check(headers) ? PyDict_Items(headers)
                                 : PySequence_List(headers);
    if (list == NULL)
        return NULL;
    rc = ext_headers_fill(self->st, &set, list);
    for (size_t i = 0; rc == 0 && i < set.n; i++)
        self->has_type |= is_named(set.items[i].name, "content-type");
    self->has_length = set.has_length;
    ext_headers_clear(&set);
    if (rc < 0)
        Py_CLEAR(list);
    return list;
}

/* PEP 3333: a second call brings exc_info, and raises it when the head cannot
 * be changed any more. */
static int check_again(const AnswerObject *self, PyObject *exc_info)
{
    PyObject *error;

    if (exc_info == NULL || exc_info == Py_None) {
        if (self->status == NULL)
            return 0;
        PyErr_SetString(PyExc_RuntimeError,
                        "start_response was called twice without exc_info");
        return -1;
    }
    if (!PyTuple_Check(exc_info) || PyTuple_GET_SIZE(exc_info) != 3 ||
        !PyExceptionInstance_Check(PyTuple_GET_ITEM(exc_info, 1))) {
        PyErr_Format(PyExc_TypeError,
                     "exc_info must be what sys.exc_info() gives inside "
                     "`except`, not %R",
                     exc_info);
        return -1;
    }
    if (self->write == NULL)
        return 0;
    error = PyTuple_GET_ITEM(exc_info, 1);
    PyErr_SetObject(PyExceptionInstance_Class(error), error);
    return -1;
}

static PyMethodDef write_def;

static const struct ext_signature call_sig = {
    "start_response", 0, 3,
    (const char *const[]){"status", "headers", "exc_info"}};

static PyObject *Answer_call(PyObject *op, PyObject *const *args, size_t nargsf,
                             PyObject *kwnames)
{
    AnswerObject *self = Answer_CAST(op);
    PyObject *given[3], *status, *headers;

    if (ext_args(&call_sig, args, PyVectorcall_NARGS(nargsf), kwnames, given) <
            0 ||
        check_again(self, given[2]) < 0)
        return NULL;
    status = read_status(self->st, given[0]);
    headers = status == NULL ? NULL : read_headers(self, given[1]);
    if (headers == NULL) {
        Py_XDECREF(status);
        return NULL;
    }
    Py_XSETREF(self->status, status);
    Py_XSETREF(self->headers, headers);
    return PyCFunction_New(&write_def, op);
}

/* -------------------------------------------------------------- the head ---
 */

/* RFC 9110 15: these have no content, and so no type and no length of it. */
static bool has_no_content(const AnswerObject *self)
{
    const char *p;

    if (self->status == NULL)
        return false;
    p = (const char *)PyUnicode_1BYTE_DATA(self->status);
    return memcmp(p, "204", 3) == 0 || memcmp(p, "304", 3) == 0;
}

static int add_header(PyObject *list, const char *name, PyObject *value)
{
    PyObject *field = value == NULL ? NULL : Py_BuildValue("(sO)", name, value);
    int rc = field == NULL ? -1 : PyList_Append(list, field);

    Py_XDECREF(field);
    return rc;
}

/* The headers that the handler has left out. */
static int complete(AnswerObject *self, PyObject *type, Py_ssize_t length)
{
    PyObject *text;
    int rc;

    if (self->status == NULL)
        self->status = ext_ref(self->st->names.ok);
    if (self->headers == NULL)
        self->headers = PyList_New(0);
    if (self->headers == NULL)
        return -1;
    if (has_no_content(self))
        return 0;
    if (!self->has_type && add_header(self->headers, "Content-Type", type) < 0)
        return -1;
    if (self->has_length || length == LENGTH_UNKNOWN)
        return 0;
    text = PyUnicode_FromFormat("%zd", length);
    rc = add_header(self->headers, "Content-Length", text);
    Py_XDECREF(text);
    return rc;
}

/* Give the server the head. `type` is used where the handler says none. */
static int give_head(AnswerObject *self, PyObject *type, Py_ssize_t length,
                     PyObject *exc_info)
{
    PyObject *args[3] = {NULL, NULL, exc_info};
    PyObject *write;

    if (self->write != NULL)
        return 0;
    /* The server in C changes no list, so that this one can serve for all. */
    if (self->ours && self->headers == NULL && length == LENGTH_UNKNOWN &&
        type == self->st->names.html)
        self->headers = ext_ref(self->st->html_headers);
    else if (complete(self, type, length) < 0)
        return -1;
    if (self->status == NULL)
        self->status = ext_ref(self->st->names.ok);
    /* The server's code may call this object again, which replaces them. */
    args[0] = ext_ref(self->status);
    args[1] = ext_ref(self->headers);
    write = PyObject_Vectorcall(self->start_response, args,
                                exc_info == NULL ? 2 : 3, NULL);
    Py_DECREF(args[0]);
    Py_DECREF(args[1]);
    if (write != NULL)
        Py_XSETREF(self->write, write);
    return write == NULL ? -1 : 0;
}

/* -------------------------------------------------------------- the body ---
 */

/* What may be sent, as bytes: str is UTF-8, numbers are their text. */
static PyObject *octets_of(PyObject *item)
{
    PyObject *text, *octets;

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
    octets = text == NULL ? NULL : PyUnicode_AsUTF8String(text);
    Py_XDECREF(text);
    return octets;
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

/* The items of a collection as a new list of bytes, and their length. */
static PyObject *octets_of_all(PyObject *result, Py_ssize_t *length)
{
    PyObject *list = PySequence_List(result);

    *length = 0;
    for (Py_ssize_t i = 0; list != NULL && i < PyList_GET_SIZE(list); i++) {
        PyObject *item = PyList_GET_ITEM(list, i);
        PyObject *octets = octets_of(item);

        if (octets == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, octets);
        Py_DECREF(item);
        *length += PyBytes_GET_SIZE(octets);
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

/* Not every server leaves the body of these out. */
static bool wants_no_body(const AnswerObject *self)
{
    return has_no_content(self) || is_head(self);
}

/* What a handler on a WebSocket returns is no answer, unless it has called
 * start_response: the server accepts the WebSocket when nobody has answered. */
static bool is_silent(const AnswerObject *self)
{
    return self->websocket && self->status == NULL;
}

/* A body that is there whole; takes the reference to `list`. */
static PyObject *send_whole(AnswerObject *self, PyObject *list,
                            Py_ssize_t length)
{
    /* The server in C finds the length of one item by itself. */
    bool known = self->ours && length > 0 && PyList_GET_SIZE(list) == 1;

    if (!is_silent(self) &&
        give_head(self, self->st->names.html, known ? LENGTH_UNKNOWN : length,
                  NULL) < 0)
        Py_CLEAR(list);
    else if (is_silent(self) || (!known && wants_no_body(self)))
        Py_SETREF(list, PyList_New(0));
    return list;
}

static PyObject *send_single(AnswerObject *self, PyObject *result)
{
    PyObject *octets = octets_of(result);
    PyObject *list = octets == NULL ? NULL : PyList_New(1);

    if (list == NULL) {
        Py_XDECREF(octets);
        return NULL;
    }
    PyList_SET_ITEM(list, 0, octets);
    return send_whole(self, list, PyBytes_GET_SIZE(octets));
}

static PyObject *send_collection(AnswerObject *self, PyObject *result)
{
    Py_ssize_t length;
    PyObject *list = octets_of_all(result, &length);

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

/* wsocket.framework looks at a file: what can be known of its type and length,
 * and whether the server offers to send it. */
static PyObject *send_opened(AnswerObject *self, PyObject *opened)
{
    PyObject *body, *type;
    Py_ssize_t length;
    int by_server;

    if (!PyArg_ParseTuple(opened, "OOnp", &body, &type, &length, &by_server))
        return NULL;
    if (!is_silent(self) && give_head(self, type, length, NULL) < 0)
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

/* ---------------------------------------------------------------- errors ---
 */

/* debug=True, or the logger itself was set to DEBUG. */
static int shows_errors(const AnswerObject *self)
{
    PyObject *level;
    long number;

    if (self->debug != Py_None)
        return PyObject_IsTrue(self->debug);
    level = PyObject_GetAttrString(self->st->logger, "level");
    number = level == NULL ? -1 : PyLong_AsLong(level);
    Py_XDECREF(level);
    return number == -1 ? -1 : number > 0 && number <= 10;
}

static PyObject *error_page(PyObject *error, bool shown)
{
    PyObject *module, *page;

    if (!shown)
        return PyBytes_FromString("Internal Server Error\n");
    module = PyImport_ImportModule("wsocket.framework");
    page = module == NULL
               ? NULL
               : PyObject_CallMethod(module, "_error_page", "O", error);
    Py_XDECREF(module);
    return page;
}

/* Log the exception that is set, and clear it. Other servers than ours have a
 * log of their own. */
static void log_to_errors(const AnswerObject *self, const char *what)
{
    PyObject *errors =
        ext_xref(PyDict_GetItem(self->environ, self->st->names.errors));

    ext_log_exception_to(self->st, what, errors);
    Py_XDECREF(errors);
}

/* The same for one of the handler. */
static void log_failure(const AnswerObject *self)
{
    PyObject *type, *error, *traceback, *method, *path, *what;
    const char *text;

    PyErr_Fetch(&type, &error, &traceback);
    /* Their __str__ may be the application's, and environ is. */
    method =
        ext_xref(PyDict_GetItem(self->environ, self->st->names.request_method));
    path = ext_xref(PyDict_GetItem(self->environ, self->st->names.path_info));
    what = PyUnicode_FromFormat("error in the application: %S %A",
                                method == NULL ? Py_None : method,
                                path == NULL ? Py_None : path);
    Py_XDECREF(method);
    Py_XDECREF(path);
    text = what == NULL ? NULL : PyUnicode_AsUTF8(what);
    PyErr_Clear();
    PyErr_Restore(type, error, traceback);
    log_to_errors(self, text == NULL ? "error in the application" : text);
    Py_XDECREF(what);
}

/* The exception stays the server's: what is no Exception; what happens on a
 * WebSocket, for it knows whether that is open; what comes after the head, so
 * that the answer is visibly cut; and what its own input and write() raise. */
static bool is_the_servers(const AnswerObject *self)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception) || self->websocket ||
        self->write != NULL)
        return true;
    return self->ours && (PyErr_ExceptionMatches(PyExc_BrokenPipeError) ||
                          PyErr_ExceptionMatches(PyExc_ConnectionAbortedError));
}

/* Other servers log where they like; the server in C logs what it is given to
 * the same logger. */
static void log_once(const AnswerObject *self)
{
    PyObject *type, *error, *traceback;

    if (self->ours || self->websocket ||
        !PyErr_ExceptionMatches(PyExc_Exception))
        return;
    PyErr_Fetch(&type, &error, &traceback);
    Py_XINCREF(type);
    Py_XINCREF(error);
    Py_XINCREF(traceback);
    PyErr_Restore(type, error, traceback);
    log_failure(self);
    PyErr_Restore(type, error, traceback);
}

/* Answer 500 with a page, in place of whatever the handler said. */
static PyObject *send_error(AnswerObject *self, PyObject *error)
{
    int shown = shows_errors(self);
    PyObject *page = shown < 0 ? NULL : error_page(error, shown);
    PyObject *traceback = PyException_GetTraceback(error);
    PyObject *exc_info = PyTuple_Pack(3, PyExceptionInstance_Class(error),
                                      error,
                                      traceback == NULL ? Py_None : traceback);

    Py_XSETREF(self->status, PyUnicode_FromString("500 Internal Server Error"));
    Py_CLEAR(self->headers);
    self->has_type = self->has_length = false;
    if (page == NULL || exc_info == NULL || self->status == NULL ||
        give_head(self, shown ? self->st->names.html : self->st->names.text,
                  PyBytes_GET_SIZE(page), exc_info) < 0)
        Py_CLEAR(page);
    Py_XDECREF(traceback);
    Py_XDECREF(exc_info);
    return page;
}

/* The exception that is set becomes a page, which is returned as bytes; or it
 * stays set. */
static PyObject *fail(AnswerObject *self)
{
    PyObject *type, *error, *traceback, *page;

    if (is_the_servers(self)) {
        log_once(self);
        return NULL;
    }
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(error, traceback);
    Py_INCREF(error);
    PyErr_Restore(type, error, traceback);
    log_failure(self);
    page = send_error(self, error);
    Py_DECREF(error);
    return page;
}

/* ------------------------------------------------------------- iterating ---
 */

/* Close what was returned, whatever happened to it, and once. */
static int close_result(AnswerObject *self)
{
    PyObject *result = self->result;
    PyObject *method, *closed = NULL;
    int rc = 0;

    self->result = NULL;
    Py_CLEAR(self->iterator);
    if (result == NULL)
        return 0;
    method = PyObject_GetAttr(result, self->st->names.close);
    Py_DECREF(result);
    if (method == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError))
            return -1;
        PyErr_Clear();
        return 0;
    }
    closed = PyObject_CallNoArgs(method);
    rc = closed == NULL ? -1 : 0;
    Py_DECREF(method);
    Py_XDECREF(closed);
    return rc;
}

static PyObject *Answer_close(PyObject *op, PyObject *unused)
{
    (void)unused;
    if (close_result(Answer_CAST(op)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* The next item that is not empty, as bytes. NULL: the end, or an exception.
 * Items of a silent WebSocket are nobody's. */
static PyObject *next_octets(AnswerObject *self)
{
    PyObject *iterator = ext_ref(self->iterator);
    PyObject *item, *octets = NULL;

    while (octets == NULL && (item = PyIter_Next(iterator)) != NULL) {
        octets = octets_of(item);
        Py_DECREF(item);
        if (octets == NULL)
            break;
        if (PyBytes_GET_SIZE(octets) == 0 || is_silent(self))
            Py_CLEAR(octets);
    }
    Py_DECREF(iterator);
    return octets;
}

static PyObject *Answer_next(PyObject *op)
{
    AnswerObject *self = Answer_CAST(op);
    PyObject *octets;
    bool first = !self->begun;

    if (self->iterator == NULL)
        return NULL;
    self->begun = true;
    octets = next_octets(self);
    if (octets == NULL)
        Py_CLEAR(self->iterator);
    if (octets != NULL || (!PyErr_Occurred() && !is_silent(self)))
        if (give_head(self, self->st->names.html, LENGTH_UNKNOWN, NULL) < 0)
            Py_CLEAR(octets);
    if (PyErr_Occurred()) {
        Py_CLEAR(self->iterator);
        return fail(self);
    }
    if (octets != NULL && first && wants_no_body(self)) {
        Py_CLEAR(self->iterator);
        Py_CLEAR(octets);
    }
    return octets;
}

/* write(data), which start_response returns; for old applications. */
static PyObject *Answer_write(PyObject *op, PyObject *data)
{
    AnswerObject *self = Answer_CAST(op);
    PyObject *octets = octets_of(data);
    PyObject *sent = NULL;

    if (octets != NULL &&
        give_head(self, self->st->names.html, LENGTH_UNKNOWN, NULL) == 0)
        sent = PyObject_CallOneArg(self->write, octets);
    Py_XDECREF(octets);
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
        log_to_errors(self, "close() of the response failed");
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
    page = fail(self);
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

/* What the methods rely on stays: an object whose cycle is being broken may
 * still be called. */
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
