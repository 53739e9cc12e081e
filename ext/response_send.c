/* ext/response_send: sending a result to the client, in the order of PEP 3333.
 */
#include "response_object.h"

#include "errors.h"
#include "file.h"
#include "wsgi.h"

/* Byte strings from here on are lent to the server instead of copied. */
#define LEND_ITEM 8192

/* Bytes from which on sending drops the GIL. */
#define LONG_SEND 65536

/* Raise the status of sending, unless the client has gone: that is not an
 * error. */
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

/* Return how many bytes of a body the answer may have; `length` is its length,
 * if known. */
static uint64_t room_for(const ResponseObject *self, uint64_t length)
{
    int code = self->code;

    if (code == 204 || code == 205 || code == 304 || is_to_head(self))
        return 0;
    return self->headers.has_length ? self->headers.length : length;
}

/* Give the head to the server. If the body of the request broke a rule, the
 * server has answered already: then ours is dropped. */
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

/* Call a function that sends, without the GIL if there is much to send. */
static wsk_status send_with(ResponseObject *self,
                            wsk_status (*send)(wsk_request *))
{
    wsk_status st;

    if (self->waiting < LONG_SEND)
        return send(self->req);
    Py_BEGIN_ALLOW_THREADS
    st = send(self->req);
    Py_END_ALLOW_THREADS
    return st;
}

/* Send what was written, as far as the client takes it. */
static int flush(ResponseObject *self)
{
    wsk_status st;

    if (self->stage != STAGE_STARTED)
        return 0;
    st = send_with(self, wsk_request_flush);
    self->waiting = 0;
    self->full = st == WSK_E_AGAIN;
    return check_sent(self, self->full ? WSK_OK : st);
}

/* Wait until a slow reader has read on. Called before the next item, not after
 * the last, so that the handler is free then. */
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

/* Finish the answer. A body of another length than was announced is not raised:
 * the server has cut it or closes the connection, and has logged it. */
static int finish(ResponseObject *self)
{
    wsk_status st;

    if (self->stage != STAGE_STARTED)
        return 0;
    st = send_with(self, wsk_request_finish);
    return check_sent(self, st == WSK_E_ARG ? WSK_OK : st);
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

/* Send one item of the result. The head is sent with the first that is not
 * empty (PEP 3333). `length` is that of the whole body, if known. */
static int send_item(ResponseObject *self, PyObject *item, uint64_t length)
{
    if (ext_response_accepted(self))
        return 0;
    if (check_item(item) < 0)
        return -1;
    if (PyBytes_GET_SIZE(item) == 0)
        return 0;
    if (self->stage == STAGE_SILENT && self->websocket != NULL)
        return 0; /* no answer is sent if the WebSocket is accepted later */
    if (start(self, length) < 0)
        return -1;
    return write_item(self, item);
}

PyObject *ext_response_write(PyObject *op, PyObject *data)
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

/* Send an iterable. Its code runs between two items, so each is flushed before
 * the next is asked for. It is asked no more once there is more than
 * Content-Length (PEP 3333), but not when there is just enough: code may stand
 * behind the last item. */
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

/* Send a list or tuple. No code runs between its items, so small ones are sent
 * together, and a slow reader is not waited for: the items exist already, and a
 * wrong one is found before anything is sent. Another thread may change it
 * while the GIL is dropped. */
static int send_sequence(ResponseObject *self, PyObject *result, bool single)
{
    if (ext_response_accepted(self))
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

/* Return 1 if len(result) is 1; not every iterable has a length. -1 with an
 * exception set. */
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

/* End an exhausted result. An upgrade that was not answered is accepted now; an
 * empty body gets its head at last. `last`: no code of the application follows,
 * and the server finishes when the handler has returned. */
static int send_rest(ResponseObject *self, bool last)
{
    if (self->websocket != NULL &&
        (self->stage == STAGE_SILENT || ext_response_accepted(self)))
        return ext_websocket_finish(self->websocket);
    if (self->stage == STAGE_SILENT) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the application returned without having called "
                        "start_response");
        return -1;
    }
    /* The result of a HEAD does not tell the length that GET would have. */
    if (start(self, is_to_head(self) ? WSK_LENGTH_UNKNOWN : 0) < 0)
        return -1;
    if (last && self->websocket == NULL && self->waiting < LONG_SEND)
        return 0;
    return finish(self);
}

/* Call close(), once, after success and failure alike (PEP 3333). */
static void close_result(const struct ext_state *st, PyObject *result)
{
    PyObject *type, *error, *traceback;

    PyErr_Fetch(&type, &error, &traceback);
    if (ext_close_result(st, result) < 0)
        ext_log_exception(st, "close() of the response failed");
    PyErr_Restore(type, error, traceback);
}

/* Send a file, from its offset to its end or as far as Content-Length says. The
 * server goes on with a descriptor of its own when the handler has returned, so
 * that the application may close the file in its own thread. */
static int send_file(ResponseObject *self, const struct ext_file *file)
{
    uint64_t n = file->length;
    wsk_status st;

    if (ext_response_accepted(self))
        return 0;
    if (self->headers.has_length && self->headers.length < n)
        n = self->headers.length;
    if (start(self, file->length) < 0 || self->stage != STAGE_STARTED)
        return -(PyErr_Occurred() != NULL);
    self->waiting = LONG_SEND; /* may wait for the disk */
    Py_BEGIN_ALLOW_THREADS
    st = wsk_request_send_file(self->req, file->fd, file->offset, n);
    Py_END_ALLOW_THREADS
    return check_sent(self, st);
}

/* Name mistakes that the error of iteration itself would not explain. */
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
    /* A WebSocket is accepted when its handler returns. A result that can be
     * closed has not returned before its close(), which may still answer. */
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
