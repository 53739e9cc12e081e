/* ext/errors: the only map from a status to an exception, and the door to the
 * logger. */
#include "errors.h"

#define DOC_WEBSOCKET_ERROR                                                    \
    "A WebSocket cannot do what was asked: it is closed, or never opened."
#define DOC_PROTOCOL_ERROR "A frame that RFC 6455 does not allow."
#define DOC_FRAME_TOO_LARGE "A frame longer than RFC 6455 or a limit allows."

static int add_exception(PyObject *module, PyObject **slot, const char *name,
                         const char *doc, PyObject *base)
{
    const char *last = strrchr(name, '.') + 1;

    *slot = PyErr_NewExceptionWithDoc(name, doc, base, NULL);
    if (*slot == NULL)
        return -1;
    Py_INCREF(*slot); /* PyModule_AddObject() takes one */
    if (PyModule_AddObject(module, last, *slot) < 0) {
        Py_DECREF(*slot);
        return -1;
    }
    return 0;
}

int ext_errors_add(PyObject *module, struct ext_state *st)
{
    if (add_exception(module, &st->WebSocketError, "wsocket.WebSocketError",
                      DOC_WEBSOCKET_ERROR, PyExc_OSError) < 0 ||
        add_exception(module, &st->ProtocolError, "wsocket.ProtocolError",
                      DOC_PROTOCOL_ERROR, st->WebSocketError) < 0 ||
        add_exception(module, &st->FrameTooLargeException,
                      "wsocket.FrameTooLargeException", DOC_FRAME_TOO_LARGE,
                      st->ProtocolError) < 0)
        return -1;
    return 0;
}

static PyObject *exception_of(const struct ext_state *st, wsk_status status)
{
    switch (status) {
    case WSK_OK: /* no error: the caller has made a mistake */
        return PyExc_SystemError;
    case WSK_E_NOMEM:
        return PyExc_MemoryError;
    case WSK_E_SYS:
        return PyExc_OSError;
    case WSK_E_STATE:
        return PyExc_RuntimeError;
    case WSK_E_ARG:
        return PyExc_ValueError;
    case WSK_E_AGAIN:
        return PyExc_BlockingIOError;
    case WSK_E_TIMEOUT:
        return PyExc_TimeoutError;
    case WSK_E_CLOSED:
        return st->WebSocketError;
    case WSK_E_CUT:
        return PyExc_ConnectionAbortedError;
    }
    return PyExc_SystemError;
}

/* OSError(errno, text) turns itself into PermissionError and the like. Steals
 * `text`, which may be NULL. */
static PyObject *raise_os_take(int number, PyObject *text)
{
    PyObject *args = Py_BuildValue("iN", number, text);

    if (args != NULL)
        PyErr_SetObject(PyExc_OSError, args);
    Py_XDECREF(args);
    return NULL;
}

PyObject *ext_raise_os(const char *text)
{
    int number = errno;

    return raise_os_take(number, PyUnicode_FromString(text));
}

static PyObject *raise_as(PyObject *type, wsk_status status, const char *what)
{
    int number = errno;

    if (status == WSK_E_SYS)
        return raise_os_take(
            number, PyUnicode_FromFormat("%s: %s", what, strerror(number)));
    return PyErr_Format(type, "%s: %s", what, wsk_status_text(status));
}

PyObject *ext_raise(const struct ext_state *st, wsk_status status,
                    const char *what)
{
    return raise_as(exception_of(st, status), status, what);
}

PyObject *ext_raise_websocket(const struct ext_state *st, wsk_status status,
                              const char *what)
{
    PyObject *type = status == WSK_E_STATE ? st->WebSocketError
                                           : exception_of(st, status);

    return raise_as(type, status, what);
}

/* log.report(what, error, errors) or log.depart(what, error); false with an
 * exception set. */
static bool report(const char *name, const char *what, PyObject *error,
                   PyObject *errors)
{
    PyObject *log = PyImport_ImportModule("wsocket.log");
    PyObject *result = NULL;

    if (log != NULL)
        result = PyObject_CallMethod(log, name, "sOO", what, error,
                                     errors == NULL ? Py_None : errors);
    Py_XDECREF(log);
    Py_XDECREF(result);
    return result != NULL;
}

static void log_exception(const struct ext_state *st, const char *name,
                          const char *what, PyObject *errors)
{
    PyObject *type, *error, *traceback;

    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL && PyException_SetTraceback(error, traceback) < 0)
        PyErr_Clear();

    if (!report(name, what, error, errors)) {
        PyErr_WriteUnraisable(st->logger);
        PyErr_Restore(type, error, traceback);
        PyErr_WriteUnraisable(NULL);
        return;
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
}

void ext_log_exception(const struct ext_state *st, const char *what)
{
    log_exception(st, "report", what, NULL);
}

void ext_log_exception_to(const struct ext_state *st, const char *what,
                          PyObject *errors)
{
    log_exception(st, "report", what, errors);
}

void ext_log_departure(const struct ext_state *st)
{
    log_exception(st, "depart", "a handler ended because its client has left",
                  NULL);
}

PyObject *ext_unsupported(const char *what)
{
    PyObject *type = ext_import("io", "UnsupportedOperation");

    if (type != NULL)
        PyErr_SetString(type, what);
    Py_XDECREF(type);
    return NULL;
}

void ext_log_warning(const struct ext_state *st, const char *what)
{
    if (!report("warn", what, Py_None, NULL))
        PyErr_WriteUnraisable(st->logger);
}

void ext_log_no_websocket(const struct ext_state *st)
{
    ext_log_warning(
        st,
        "a view has asked for environ['wsgi.websocket'], but the request was "
        "no WebSocket: a plain request, or a proxy on the way does not pass "
        "Upgrade and Connection on with HTTP/1.1; environ.get() tells "
        "the two apart");
}
