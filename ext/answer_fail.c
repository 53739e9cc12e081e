/* ext/answer_fail: the page for a handler of the Framework that raises. */
#include "answer_object.h"

#include "errors.h"

/* True with debug=True, or if the logger itself was set to DEBUG. */
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
void ext_answer_log(const AnswerObject *self, const char *what)
{
    PyObject *errors =
        ext_xref(PyDict_GetItem(self->environ, self->st->names.errors));

    ext_log_exception_to(self->st, what, errors);
    Py_XDECREF(errors);
}

/* Log the handler's exception with method and path, and clear it. */
static void log_failure(const AnswerObject *self)
{
    PyObject *type, *error, *traceback, *method, *path, *what;
    const char *text;

    PyErr_Fetch(&type, &error, &traceback);
    /* Hold both: their __str__ may be the application's, and may change
     * environ. */
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
    ext_answer_log(self, text == NULL ? "error in the application" : text);
    Py_XDECREF(what);
}

/* True if the exception is left to the server: one that is no Exception; one on
 * a WebSocket, because the server knows whether that is open; one after the
 * head, so that the answer is visibly cut; and those that the server's own
 * input and write() raise. */
static bool is_the_servers(const AnswerObject *self)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception) || self->websocket ||
        self->write != NULL)
        return true;
    return self->ours && (PyErr_ExceptionMatches(PyExc_BrokenPipeError) ||
                          PyErr_ExceptionMatches(PyExc_ConnectionAbortedError));
}

/* Log an exception that is left to another server, which may log it anywhere.
 * The server in C logs to the same logger, so its exceptions are not logged
 * twice. */
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

/* Answer 500 with a page, in place of the handler's status and headers. */
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
        ext_answer_give_head(
            self, shown ? self->st->names.html : self->st->names.text,
            PyBytes_GET_SIZE(page), exc_info) < 0)
        Py_CLEAR(page);
    Py_XDECREF(traceback);
    Py_XDECREF(exc_info);
    return page;
}

/* The exception that is set becomes a page, which is returned as bytes; or it
 * stays set. */
PyObject *ext_answer_fail(AnswerObject *self)
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
