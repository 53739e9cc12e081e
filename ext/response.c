/* ext/response: start_response, and the way of a result to the client, as
 * PEP 3333 orders them. */
#include "response.h"

#include "errors.h"
#include "file.h"
#include "headers.h"
#include "websocket.h"

/* Byte strings from here on are lent to the server instead of copied. */
#define LEND_ITEM 8192

/* So many octets are sent with the GIL dropped. */
#define LONG_SEND 65536

enum stage {
    STAGE_SILENT,  /* start_response was not called */
    STAGE_READY,   /* it was; nothing can have left */
    STAGE_STARTED, /* the head is with the server */
    STAGE_GONE,    /* the client is gone; nobody listens */
    STAGE_OVER,    /* the request has ended */
};

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct ext_state *st;
    wsk_request *req;     /* NULL once it is over */
    PyObject *websocket;  /* NULL: a plain request */
    PyObject *write;      /* the method; it refers to this object */
    unsigned long thread; /* the handler's, which alone may use req */
    enum stage stage;
    bool full;      /* a slow reader: make room before the next item */
    bool sated;     /* there was more than `room`: the rest is for nobody */
    uint64_t room;  /* octets of the body that may still be sent */
    size_t waiting; /* octets since the last flush */
    int code;
    const char *reason; /* in `status` */
    PyObject *status;   /* str; keeps the reason alive */
    struct ext_headers headers;
} ResponseObject;

#define Response_CAST(op) ((ResponseObject *)(op))

/* With the collector's two words: what pymalloc serves. */
_Static_assert(sizeof(ResponseObject) + 2 * sizeof(void *) <= 512,
               "EXT_FEW_HEADERS is too large");

/* ------------------------------------------------------------ the head --- */

/* What start_response was called with, until it is found good. Meanwhile code
 * of the application may run, such as the repr() of a wrong header, and call
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

/* The set of fields leaves `head`. */
static void set_head(ResponseObject *self, struct head *head)
{
    struct ext_headers *h = &self->headers;

    forget_head(self);
    self->code = head->code;
    self->reason = head->reason;
    self->status = ext_ref(head->status);
    ext_headers_move(h, &head->headers);
}

/* ------------------------------------------------------------- sending --- */

/* The client went away, which is no error of anybody's; and whatever else the
 * server may answer. */
static int check_sent(ResponseObject *self, wsk_status st)
{
    if (st == WSK_OK)
        return 0;
    if (st == WSK_E_CLOSED) {
        self->stage = STAGE_GONE;
        return 0;
    }
    ext_raise(self->st, st, "the response");
    return -1;
}

static bool is_to_head(const ResponseObject *self)
{
    wsk_str method = wsk_request_head(self->req)->method;

    return method.len == 4 && memcmp(method.p, "HEAD", 4) == 0;
}

/* How much of a body the answer may have; `length` is it, where it is known. */
static uint64_t room_for(const ResponseObject *self, uint64_t length)
{
    int code = self->code;

    if (code == 204 || code == 205 || code == 304 || is_to_head(self))
        return 0;
    return self->headers.has_length ? self->headers.length : length;
}

/* Give the head to the server. It may have answered by itself, when the body of
 * the request broke a rule: then nobody waits for ours. */
static int start(ResponseObject *self, uint64_t length)
{
    wsk_status st;

    if (self->stage == STAGE_SILENT) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the application sent a body before it called "
                        "start_response");
        return -1;
    }
    if (self->stage != STAGE_READY)
        return 0;
    self->room = room_for(self, length);
    if (self->headers.has_length)
        length = WSK_LENGTH_UNKNOWN; /* the headers say it */
    st = wsk_request_start(self->req, self->code, self->reason,
                           self->headers.items, self->headers.n, length);
    if (st == WSK_E_STATE)
        st = WSK_E_CLOSED;
    if (st == WSK_OK)
        self->stage = STAGE_STARTED;
    return check_sent(self, st);
}

static void release_item(void *item)
{
    Py_DECREF((PyObject *)item);
}

static int write_item(ResponseObject *self, PyObject *item)
{
    const char *data = PyBytes_AS_STRING(item);
    size_t len = (size_t)PyBytes_GET_SIZE(item);
    wsk_status st;

    if (self->stage != STAGE_STARTED)
        return 0;
    self->sated |= len > self->room;
    self->room -= len < self->room ? len : self->room;
    self->waiting += len;
    /* The end of a subclass may run code, which belongs to this thread. */
    if (len < LEND_ITEM || !PyBytes_CheckExact(item))
        return check_sent(self, wsk_request_write(self->req, data, len));
    st = wsk_request_lend(self->req, data, len, release_item, ext_ref(item));
    if (st != WSK_OK)
        Py_DECREF(item);
    return check_sent(self, st);
}

/* What was written leaves now, as far as the client takes it. */
static int flush(ResponseObject *self)
{
    wsk_status st;

    if (self->stage != STAGE_STARTED)
        return 0;
    if (self->waiting < LONG_SEND) {
        st = wsk_request_flush(self->req);
    } else {
        Py_BEGIN_ALLOW_THREADS
        st = wsk_request_flush(self->req);
        Py_END_ALLOW_THREADS
    }
    self->waiting = 0;
    self->full = st == WSK_E_AGAIN;
    return check_sent(self, self->full ? WSK_OK : st);
}

/* There is more for a slow reader: wait until it has read on. Only now, for
 * after its last item a handler is free. */
static int make_room(ResponseObject *self)
{
    wsk_status st;

    if (!self->full || self->stage != STAGE_STARTED)
        return 0;
    Py_BEGIN_ALLOW_THREADS
    st = wsk_request_drain(self->req);
    Py_END_ALLOW_THREADS
    self->full = false;
    return check_sent(self, st);
}

/* A body of another length than was announced is not raised: the server has
 * cut it or closes the connection, and has logged it. */
static int finish(ResponseObject *self)
{
    wsk_status st;

    if (self->stage != STAGE_STARTED)
        return 0;
    if (self->waiting < LONG_SEND) {
        st = wsk_request_finish(self->req);
    } else {
        Py_BEGIN_ALLOW_THREADS
        st = wsk_request_finish(self->req);
        Py_END_ALLOW_THREADS
    }
    return check_sent(self, st == WSK_E_ARG ? WSK_OK : st);
}

static bool accepted(const ResponseObject *self)
{
    return self->websocket != NULL && ext_websocket_accepted(self->websocket);
}

static int check_item(PyObject *item)
{
    if (PyBytes_Check(item))
        return 0;
    PyErr_Format(PyExc_TypeError,
                 "the application must yield bytes, not %.100s%s",
                 Py_TYPE(item)->tp_name,
                 PyUnicode_Check(item) ? "; encode the text first" : "");
    return -1;
}

/* One item of the result. PEP 3333: the head leaves with the first that is not
 * empty. `length` is that of the whole body where it is known. */
static int send_item(ResponseObject *self, PyObject *item, uint64_t length)
{
    if (accepted(self))
        return 0;
    if (check_item(item) < 0)
        return -1;
    if (PyBytes_GET_SIZE(item) == 0)
        return 0;
    if (self->stage == STAGE_SILENT && self->websocket != NULL)
        return 0; /* it may be accepted yet, and then no answer is sent */
    if (start(self, length) < 0)
        return -1;
    return write_item(self, item);
}

/* An iterator's code runs between two items, so each is flushed before the next
 * is asked for. PEP 3333: it is asked no more once there is enough; but only
 * what exceeds that says so, for code may stand behind the last item. */
static int send_iterable(ResponseObject *self, PyObject *result, bool single)
{
    PyObject *iterator = PyObject_GetIter(result);
    PyObject *item;

    if (iterator == NULL)
        return -1;
    while (self->stage != STAGE_GONE && !self->sated &&
           (item = PyIter_Next(iterator)) != NULL) {
        uint64_t length = single && PyBytes_Check(item)
                              ? (uint64_t)PyBytes_GET_SIZE(item)
                              : WSK_LENGTH_UNKNOWN;
        int rc = make_room(self);

        if (rc == 0)
            rc = send_item(self, item, length);
        Py_DECREF(item);
        if (rc < 0 || flush(self) < 0)
            break;
    }
    Py_DECREF(iterator);
    return PyErr_Occurred() ? -1 : 0;
}

/* A list or tuple runs no code between its items, so small ones leave together,
 * and nobody is waited for: they exist already, and a wrong one is found before
 * anything has left. It may be changed by another thread while the GIL is
 * dropped. */
static int send_sequence(ResponseObject *self, PyObject *result, bool single)
{
    if (accepted(self))
        return 0;
    for (Py_ssize_t i = 1; i < PySequence_Fast_GET_SIZE(result); i++)
        if (check_item(PySequence_Fast_GET_ITEM(result, i)) < 0)
            return -1;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(result); i++) {
        PyObject *item = ext_ref(PySequence_Fast_GET_ITEM(result, i));
        uint64_t length = single && PyBytes_Check(item)
                              ? (uint64_t)PyBytes_GET_SIZE(item)
                              : WSK_LENGTH_UNKNOWN;
        int rc = send_item(self, item, length);

        if (rc == 0 && self->waiting >= LONG_SEND && !self->full)
            rc = flush(self);
        Py_DECREF(item);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* Whether len(result) is 1; not every iterable has a length. */
static int has_one_item(PyObject *result)
{
    PyTypeObject *type = Py_TYPE(result);
    Py_ssize_t n;

    if ((type->tp_as_sequence == NULL ||
         type->tp_as_sequence->sq_length == NULL) &&
        (type->tp_as_mapping == NULL || type->tp_as_mapping->mp_length == NULL))
        return 0;
    n = PyObject_Size(result);
    if (n >= 0)
        return n == 1;
    if (!PyErr_ExceptionMatches(PyExc_TypeError) &&
        !PyErr_ExceptionMatches(PyExc_AttributeError) &&
        !PyErr_ExceptionMatches(PyExc_NotImplementedError))
        return -1;
    PyErr_Clear(); /* a wrapper of something that has no length */
    return 0;
}

/* The result is exhausted. An upgrade that nobody answered is accepted now; a
 * body without octets gets its head at last. `last`: no code of the application
 * follows, and the server finishes by itself when the handler has returned. */
static int send_rest(ResponseObject *self, bool last)
{
    if (self->websocket != NULL &&
        (self->stage == STAGE_SILENT || accepted(self)))
        return ext_websocket_finish(self->websocket);
    if (self->stage == STAGE_SILENT) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the application returned without having called "
                        "start_response");
        return -1;
    }
    /* A HEAD result says nothing about the length that GET would have. */
    if (start(self, is_to_head(self) ? WSK_LENGTH_UNKNOWN : 0) < 0)
        return -1;
    if (last && self->websocket == NULL && self->waiting < LONG_SEND)
        return 0;
    return finish(self);
}

/* PEP 3333: close() is called whatever happened, and once. */
static void close_result(const struct ext_state *st, PyObject *result)
{
    PyObject *type, *error, *traceback, *method, *closed;

    PyErr_Fetch(&type, &error, &traceback);
    method = PyObject_GetAttr(result, st->names.close);
    if (method != NULL) {
        closed = PyObject_CallNoArgs(method);
        Py_DECREF(method);
        Py_XDECREF(closed);
    } else if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
    }
    if (PyErr_Occurred())
        ext_log_exception(st, "close() of the response failed");
    PyErr_Restore(type, error, traceback);
}

/* A file, from where it is to its end or as far as Content-Length says. The
 * server goes on with a descriptor of its own when the handler has returned, so
 * that the application may close the file in its own thread. */
static int send_file(ResponseObject *self, const struct ext_file *file)
{
    uint64_t n = file->length;
    wsk_status st;

    if (accepted(self))
        return 0;
    if (self->headers.has_length && self->headers.length < n)
        n = self->headers.length;
    if (start(self, file->length) < 0 || self->stage != STAGE_STARTED)
        return -(PyErr_Occurred() != NULL);
    self->waiting = LONG_SEND; /* it may have to wait for the disk */
    Py_BEGIN_ALLOW_THREADS
    st = wsk_request_send_file(self->req, file->fd, file->offset, n);
    Py_END_ALLOW_THREADS
    return check_sent(self, st);
}

/* Mistakes that the error of iteration itself would not explain. */
static int check_result(PyObject *result)
{
    if (PyUnicode_Check(result) || PyBytes_Check(result)) {
        PyErr_Format(PyExc_TypeError,
                     "the application returned %.100s; it must return an "
                     "iterable of bytes, such as a list with one item",
                     Py_TYPE(result)->tp_name);
        return -1;
    }
    if (Py_TYPE(result)->tp_iter == NULL && !PySequence_Check(result)) {
        PyErr_Format(PyExc_TypeError,
                     "the application returned %.100s, not an iterable of "
                     "bytes",
                     Py_TYPE(result)->tp_name);
        return -1;
    }
    return 0;
}

int ext_response_send(PyObject *response, PyObject *result)
{
    ResponseObject *self = Response_CAST(response);
    bool plain = PyList_CheckExact(result) || PyTuple_CheckExact(result);
    bool closed = plain; /* lists and tuples have no close() */
    struct ext_file file;
    int rc = check_result(result);
    int single = rc < 0 ? -1 : has_one_item(result);

    if (single < 0) {
        rc = -1;
    } else if (plain) {
        rc = send_sequence(self, result, single);
    } else if (ext_file_open(self->st, result, &file)) {
        rc = send_file(self, &file);
    } else {
        rc = send_iterable(self, result, single);
    }
    /* To return is to accept, and a result that can be closed has not returned
     * before that: close() may still answer. */
    if (rc == 0 && !closed && self->websocket != NULL) {
        close_result(self->st, result);
        closed = true;
    }
    if (rc == 0)
        rc = send_rest(self, plain);
    if (!closed)
        close_result(self->st, result);
    return rc;
}

/* ------------------------------------------------------------- failing --- */

static void log_failure(ResponseObject *self)
{
    const wsk_head *head = wsk_request_head(self->req);
    char what[256];

    /* The target is visible ASCII (RFC 9112 3.2), so it cannot forge a line. */
    PyOS_snprintf(what, sizeof what, "error in the application: %.*s %.*s",
                  (int)Py_MIN(head->method.len, 20), head->method.p,
                  (int)Py_MIN(head->target.len, 180), head->target.p);
    ext_log_exception(self->st, what);
}

/* Exceptions that only mean that the client is gone are no news. */
static bool client_is_gone(ResponseObject *self, bool body_cut)
{
    if (self->websocket != NULL && ext_websocket_has_left(self->websocket))
        return true;
    if (self->stage == STAGE_GONE &&
        PyErr_ExceptionMatches(PyExc_BrokenPipeError))
        return true; /* write() raised it to end a handler for nobody */
    if (!body_cut || !PyErr_ExceptionMatches(PyExc_ConnectionAbortedError))
        return false;
    if (self->stage == STAGE_STARTED)
        wsk_request_abort(self->req);
    return true; /* wsgi.input raised it, and the server has answered 400 */
}

/* The exception is that of environ["wsgi.websocket"] in a plain request, which
 * a browser, a crawler or a proxy that passes no Upgrade on makes of a view for
 * WebSockets; and nothing was sent. */
static bool lacks_websocket(const ResponseObject *self)
{
    PyObject *type, *error, *traceback, *args, *key;
    bool found;

    if (self->websocket != NULL || PyErr_Occurred() != PyExc_KeyError ||
        (self->stage != STAGE_SILENT && self->stage != STAGE_READY))
        return false;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    args = PyObject_GetAttrString(error, "args");
    key = args != NULL && PyTuple_Check(args) && PyTuple_GET_SIZE(args) == 1
              ? PyTuple_GET_ITEM(args, 0)
              : NULL;
    found = key != NULL && PyUnicode_Check(key) &&
            PyUnicode_Compare(key, self->st->names.websocket) == 0;
    Py_XDECREF(args);
    PyErr_Clear(); /* of looking for it */
    PyErr_Restore(type, error, traceback);
    return found;
}

static void require_upgrade(ResponseObject *self)
{
    static const char text[] =
        "426 Upgrade Required\n\nA WebSocket is expected here: this was a "
        "plain "
        "request, or a proxy\non the way passes neither Upgrade nor Connection "
        "on.\n";
    static const wsk_header headers[] = {
        {{"Content-Type", 12}, {"text/plain; charset=utf-8", 25}},
        {{"Upgrade", 7}, {"websocket", 9}},
        {{"Connection", 10}, {"close", 5}},
    };

    PyErr_Clear();
    ext_log_no_websocket(self->st);
    wsk_request_respond(self->req, 426, headers, 3, text, sizeof text - 1);
}

void ext_response_fail(PyObject *response, bool body_cut)
{
    static const char text[] = "500 Internal Server Error\n";
    static const wsk_header headers[] = {
        {{"Content-Type", 12}, {"text/plain; charset=utf-8", 25}},
        {{"Connection", 10}, {"close", 5}},
    };
    ResponseObject *self = Response_CAST(response);

    if (client_is_gone(self, body_cut)) {
        ext_log_departure(self->st);
        return;
    }
    if (lacks_websocket(self)) {
        require_upgrade(self);
        return;
    }
    log_failure(self);
    if (accepted(self))
        ext_websocket_fail(self->websocket);
    else if (self->stage == STAGE_SILENT || self->stage == STAGE_READY)
        wsk_request_respond(self->req, 500, headers, 2, text, sizeof text - 1);
    else
        wsk_request_abort(self->req);
}

/* Has the application kept neither the object nor its write()? */
static bool is_ours_alone(ResponseObject *self)
{
    if (self->write == NULL)
        return Py_REFCNT(self) == 1;
    return Py_REFCNT(self) == 2 && Py_REFCNT(self->write) == 1;
}

void ext_response_end_take(PyObject *response)
{
    ResponseObject *self = Response_CAST(response);

    self->stage = STAGE_OVER;
    self->req = NULL;
    forget_head(self);
    Py_CLEAR(self->websocket);
    if (ext_spare_keep(&self->st->spare_response, response,
                       is_ours_alone(self)))
        return;
    Py_CLEAR(self->write);
    Py_DECREF(response);
}

void ext_response_clear_spare(struct ext_state *st)
{
    PyObject *spare = ext_spare_take(&st->spare_response);

    if (spare == NULL)
        return;
    Py_CLEAR(Response_CAST(spare)->write);
    Py_DECREF(spare);
}

/* -------------------------------------------------------------- calling --- */

static PyObject *Response_write(PyObject *op, PyObject *data)
{
    ResponseObject *self = Response_CAST(op);

    if (self->stage == STAGE_OVER)
        return PyErr_Format(PyExc_RuntimeError,
                            "write() was called after its request had ended");
    if (self->thread != PyThread_get_thread_ident())
        return PyErr_Format(PyExc_RuntimeError,
                            "write() belongs to the thread of its request");
    if (make_room(self) < 0 || send_item(self, data, WSK_LENGTH_UNKNOWN) < 0 ||
        flush(self) < 0)
        return NULL;
    if (self->stage == STAGE_GONE) {
        PyErr_SetString(PyExc_BrokenPipeError,
                        "the client has closed the connection");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef write_def = {
    "write", Response_write, METH_O,
    "write(data)\n\nSend bytes at once; for old applications."};

/* PEP 3333: raise what the application hands over, for it is too late to show
 * it to the client in another way. */
static void raise_again(PyObject *exc_info)
{
    PyObject *error = PyTuple_GET_ITEM(exc_info, 1);
    PyObject *traceback = PyTuple_GET_ITEM(exc_info, 2);

    PyErr_Restore(ext_ref(PyExceptionInstance_Class(error)), ext_ref(error),
                  traceback == Py_None ? NULL : ext_ref(traceback));
}

/* The interpreter trusts what it is told to raise, so this must be right. */
static int check_exc_info(PyObject *exc_info)
{
    if (PyTuple_Check(exc_info) && PyTuple_GET_SIZE(exc_info) == 3 &&
        PyExceptionInstance_Check(PyTuple_GET_ITEM(exc_info, 1)) &&
        (PyTuple_GET_ITEM(exc_info, 2) == Py_None ||
         PyTraceBack_Check(PyTuple_GET_ITEM(exc_info, 2))))
        return 0;
    PyErr_Format(PyExc_TypeError,
                 "exc_info must be what sys.exc_info() gives inside `except`, "
                 "(type, exception, traceback), not %R",
                 exc_info);
    return -1;
}

/* May the head be set now? */
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
    if (check_exc_info(exc_info) < 0)
        return -1;
    if (self->stage != STAGE_READY && self->stage != STAGE_SILENT) {
        raise_again(exc_info);
        return -1;
    }
    return 0;
}

/* start_response(status, headers, exc_info=None); *exc_info is NULL for None.
 */
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
    if (accepted(self) && (exc_info != NULL || self->code >= 500))
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

PyObject *ext_response_new(struct ext_state *st, wsk_request *req,
                           PyObject *websocket)
{
    PyObject *op = ext_spare_take(&st->spare_response);
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
