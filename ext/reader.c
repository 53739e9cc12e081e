/* ext/reader: the HTTP engine as a Python object. The classes of wsgiref read a
 * request through it, so that both faces of the package have the same rules. */
#include "reader.h"

typedef struct {
    PyObject_HEAD
    wsk_http *http;
    bool eof; /* feed_eof() was called, after which the engine takes nothing */
} ReaderObject;

#define Reader_CAST(op) ((ReaderObject *)(op))

static PyObject *Reader_new(PyTypeObject *type, PyObject *args,
                            PyObject *kwargs)
{
    static char *names[] = {"max_body", "max_request_line", "max_header_bytes",
                            "max_headers", NULL};
    unsigned long long body, line, bytes;
    unsigned int headers;
    wsk_limits limits;
    PyObject *op;

    wsk_limits_init(&limits);
    body = limits.max_body;
    line = limits.max_request_line;
    bytes = limits.max_header_bytes;
    headers = limits.max_headers;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$KKKI:Reader", names,
                                     &body, &line, &bytes, &headers))
        return NULL;
    limits.max_body = body;
    limits.max_request_line = line;
    limits.max_header_bytes = bytes;
    limits.max_headers = headers;
    op = type->tp_alloc(type, 0);
    if (op == NULL)
        return NULL;
    Reader_CAST(op)->http = wsk_http_new(&limits);
    if (Reader_CAST(op)->http == NULL) {
        Py_DECREF(op);
        return PyErr_NoMemory();
    }
    return op;
}

static PyObject *latin1(wsk_str s)
{
    return PyUnicode_DecodeLatin1(s.len > 0 ? s.p : "", (Py_ssize_t)s.len,
                                  NULL);
}

static PyObject *fields_of(const wsk_head *head)
{
    PyObject *list = PyList_New((Py_ssize_t)head->n_headers);

    for (size_t i = 0; list != NULL && i < head->n_headers; i++) {
        const wsk_header *h = &head->headers[i];
        PyObject *pair =
            Py_BuildValue("(NN)", latin1(h->name), latin1(h->value));

        if (pair == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)i, pair);
    }
    return list;
}

static PyObject *head_object(const wsk_head *head)
{
    return Py_BuildValue(
        "{sNsNsNsNsNsNsNsOsOsO}", "method", latin1(head->method), "target",
        latin1(head->target), "path", latin1(head->path), "query",
        latin1(head->query), "host", latin1(head->host), "version",
        latin1(head->version), "fields", fields_of(head), "chunked",
        head->chunked ? Py_True : Py_False, "keep_alive",
        head->keep_alive ? Py_True : Py_False, "expect_continue",
        head->expect_continue ? Py_True : Py_False);
}

static PyObject *event_object(const wsk_http_event *ev)
{
    switch (ev->kind) {
    case WSK_HTTP_HEAD:
        return Py_BuildValue("(sN)", "head", head_object(ev->head));
    case WSK_HTTP_DATA:
        return Py_BuildValue("(sy#)", "data", ev->data, (Py_ssize_t)ev->len);
    case WSK_HTTP_FAILED:
        return Py_BuildValue("(si)", "failed", ev->status);
    case WSK_HTTP_END:
    case WSK_HTTP_NONE:
        break;
    }
    return Py_BuildValue("(sO)", "end", Py_None);
}

/* Return all events that wait. */
static PyObject *take_events(ReaderObject *self)
{
    PyObject *list = PyList_New(0);
    wsk_http_event ev;

    while (list != NULL &&
           (ev = wsk_http_next(self->http)).kind != WSK_HTTP_NONE) {
        PyObject *event = event_object(&ev);

        if (event == NULL || PyList_Append(list, event) < 0)
            Py_CLEAR(list);
        Py_XDECREF(event);
    }
    return list;
}

static PyObject *Reader_feed(PyObject *op, PyObject *data)
{
    ReaderObject *self = Reader_CAST(op);
    wsk_status st = WSK_OK;
    PyObject *events = NULL;
    Py_buffer view;
    size_t used = 0;

    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    if (!self->eof && !wsk_http_done(self->http))
        st = wsk_http_feed(self->http, view.buf, (size_t)view.len, &used);
    if (st == WSK_E_NOMEM)
        PyErr_NoMemory();
    else
        events = take_events(self); /* they point into the buffer */
    PyBuffer_Release(&view);
    if (events == NULL)
        return NULL;
    return Py_BuildValue("(nN)", (Py_ssize_t)used, events);
}

static PyObject *Reader_feed_eof(PyObject *op, PyObject *unused)
{
    (void)unused;
    Reader_CAST(op)->eof = true;
    wsk_http_feed_eof(Reader_CAST(op)->http);
    return take_events(Reader_CAST(op));
}

static void Reader_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    wsk_http_free(Reader_CAST(op)->http);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Reader_methods[] = {
    {"feed", Reader_feed, METH_O,
     "feed(data) -> (octets taken, events)\n\nFewer are taken where an event "
     "waits, or the request is complete."},
    {"feed_eof", Reader_feed_eof, METH_NOARGS,
     "feed_eof() -> events\n\nThe client sends no more."},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(reader_doc,
             "Reader(*, max_body, max_request_line, max_header_bytes, "
             "max_headers)\n\n"
             "One request, from octets to events: ('head', dict), ('data', "
             "bytes),\n('end', None), ('failed', status).");

static PyType_Slot Reader_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)reader_doc},
    {Py_tp_new, Reader_new},
    {Py_tp_dealloc, Reader_dealloc},
    {Py_tp_methods, Reader_methods},
    {0, NULL},
};

const PyType_Spec ext_reader_spec = {
    .name = "wsocket._wsocket.Reader",
    .basicsize = sizeof(ReaderObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Reader_slots,
};
