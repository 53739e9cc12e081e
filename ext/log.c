/* ext/log: wsgi.errors, a text stream that ends in the server's log. */
#include "log.h"

#include "errors.h"

typedef struct {
    PyObject_HEAD
    struct ext_state *st;
    wsk_server *srv;   /* NULL once the server is gone */
    PyObject *pending; /* str: a line that has not ended yet, or NULL */
} LogObject;

#define Log_CAST(op) ((LogObject *)(op))

/* One line of UTF-8, without its end. */
static void put_line(LogObject *self, const char *line, size_t len)
{
    PyObject *text;

    if (self->srv != NULL) {
        wsk_server_log(self->srv, WSK_LOG_ERROR, line, len);
        return;
    }
    text = PyUnicode_DecodeUTF8(line, (Py_ssize_t)len, "replace");
    if (text == NULL || PyUnicode_AsUTF8(text) == NULL)
        PyErr_WriteUnraisable((PyObject *)self);
    else
        ext_log_warning(self->st, PyUnicode_AsUTF8(text));
    Py_XDECREF(text);
}

/* Log the complete lines of `text`, keep the rest. */
static int put_text(LogObject *self, PyObject *text)
{
    /* Lone surrogates must not keep an error out of the log. */
    PyObject *utf8 =
        PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    const char *p, *end, *eol;

    if (utf8 == NULL)
        return -1;
    p = PyBytes_AS_STRING(utf8);
    end = p + PyBytes_GET_SIZE(utf8);
    while (p < end && (eol = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        put_line(self, p, (size_t)(eol - p));
        p = eol + 1;
    }
    Py_CLEAR(self->pending);
    if (p < end)
        self->pending = PyUnicode_DecodeUTF8(p, end - p, NULL);
    Py_DECREF(utf8);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *Log_write(PyObject *op, PyObject *text)
{
    LogObject *self = Log_CAST(op);
    PyObject *whole;
    int rc;

    if (!PyUnicode_Check(text))
        return PyErr_Format(PyExc_TypeError,
                            "write() argument must be str, not %.100s",
                            Py_TYPE(text)->tp_name);
    whole = self->pending == NULL ? ext_ref(text)
                                  : PyUnicode_Concat(self->pending, text);
    if (whole == NULL)
        return NULL;
    rc = put_text(self, whole);
    Py_DECREF(whole);
    return rc < 0 ? NULL : PyLong_FromSsize_t(PyUnicode_GET_LENGTH(text));
}

static PyObject *Log_writelines(PyObject *op, PyObject *lines)
{
    PyObject *iterator = PyObject_GetIter(lines);
    PyObject *line;

    if (iterator == NULL)
        return NULL;
    while ((line = PyIter_Next(iterator)) != NULL) {
        PyObject *written = Log_write(op, line);

        Py_DECREF(line);
        if (written == NULL)
            break;
        Py_DECREF(written);
    }
    Py_DECREF(iterator);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *Log_flush(PyObject *op, PyObject *unused)
{
    LogObject *self = Log_CAST(op);

    (void)unused;
    if (self->pending != NULL) {
        PyObject *end = PyUnicode_FromString("\n");
        PyObject *written = end == NULL ? NULL : Log_write(op, end);

        Py_XDECREF(end);
        if (written == NULL)
            return NULL;
        Py_DECREF(written);
    }
    Py_RETURN_NONE;
}

static void Log_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    Py_XDECREF(Log_CAST(op)->pending);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Log_methods[] = {
    {"write", Log_write, METH_O, "Log the lines of a str."},
    {"writelines", Log_writelines, METH_O, "Log an iterable of str."},
    {"flush", Log_flush, METH_NOARGS, "Log a line that has not ended yet."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Log_slots[] = {
    {Py_tp_doc, "wsgi.errors: a text stream into the server's log."},
    {Py_tp_new, ext_no_new},
    {Py_tp_dealloc, Log_dealloc},
    {Py_tp_methods, Log_methods},
    {0, NULL},
};

static PyType_Spec Log_spec = {
    .name = "wsocket._wsocket.ErrorStream",
    .basicsize = sizeof(LogObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Log_slots,
};

int ext_log_add(PyObject *module, struct ext_state *st)
{
    return ext_type_add(module, &Log_spec, &st->log_type, false);
}

PyObject *ext_log_new(struct ext_state *st, wsk_server *srv)
{
    PyObject *op = st->log_type->tp_alloc(st->log_type, 0);

    if (op != NULL) {
        Log_CAST(op)->st = st;
        Log_CAST(op)->srv = srv;
    }
    return op;
}

void ext_log_detach(PyObject *stream)
{
    Log_CAST(stream)->srv = NULL;
}
