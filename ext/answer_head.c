/* ext/answer_head: status and headers as a handler of the Framework gives them,
 * and the head that the server gets. */
#include "answer_object.h"

#include "errors.h"
#include "headers.h"
#include "wsgi.h"

/* Return "404 Not Found" for 404; a new reference. */
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

/* Read a status, which may be None, 404, "404" or "404 Not Found". */
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

/* Read a dict, or a list of (name, value), as a list of our own, checked. */
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
    if (ext_check_exc_info(exc_info) < 0)
        return -1;
    if (self->write == NULL)
        return 0;
    error = PyTuple_GET_ITEM(exc_info, 1);
    PyErr_SetObject(PyExceptionInstance_Class(error), error);
    return -1;
}

int ext_answer_set_head(AnswerObject *self, PyObject *status, PyObject *headers,
                        PyObject *exc_info)
{
    if (check_again(self, exc_info) < 0)
        return -1;
    status = read_status(self->st, status);
    headers = status == NULL ? NULL : read_headers(self, headers);
    if (headers == NULL) {
        Py_XDECREF(status);
        return -1;
    }
    Py_XSETREF(self->status, status);
    Py_XSETREF(self->headers, headers);
    return 0;
}

/* RFC 9110 15: these have no content, and so no type and no length of it. */
bool ext_answer_has_no_content(const AnswerObject *self)
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

/* Add the headers that the handler has left out. */
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
    if (ext_answer_has_no_content(self))
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
int ext_answer_give_head(AnswerObject *self, PyObject *type, Py_ssize_t length,
                         PyObject *exc_info)
{
    PyObject *args[3] = {NULL, NULL, exc_info};
    PyObject *write;

    if (self->write != NULL)
        return 0;
    /* One list serves all answers, because the server in C never changes it. */
    if (self->ours && self->headers == NULL && length == LENGTH_UNKNOWN &&
        type == self->st->names.html)
        self->headers = ext_ref(self->st->html_headers);
    else if (complete(self, type, length) < 0)
        return -1;
    if (self->status == NULL)
        self->status = ext_ref(self->st->names.ok);
    /* Hold both: the server's code may call this object again, which replaces
     * them. */
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
