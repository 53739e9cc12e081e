/* ext/input: wsgi.input, the body of a request as a file. */
#include "input.h"

#include "errors.h"

/* Bytes fetched at once if the body is not in memory as a whole. */
#define INPUT_BLOCK 16384

typedef struct {
    PyObject_HEAD
    struct ext_state *st;
    wsk_request *req;     /* NULL: the body is in `data`, or over */
    uint64_t stored;      /* bytes of it in a file, not yet fetched; or
                             WSK_LENGTH_UNKNOWN: it is still coming */
    unsigned long thread; /* the handler's, which alone may use req */
    bool reading;         /* in that thread, without the interpreter */
    bool over;            /* the request has ended */
    bool closed;          /* by the application */
    bool whole;           /* the body is complete, and can be read again */
    uint64_t total;       /* bytes of a whole body */
    bool cut;             /* the body has ended before it was complete */
    const uint8_t *data; /* bytes at hand, pos..len; a body in place or block */
    size_t pos;
    size_t len;
    uint8_t *block; /* owned; NULL until something was fetched */
} InputObject;

#define Input_CAST(op) ((InputObject *)(op))

static bool is_at_home(const InputObject *self)
{
    return self->thread == PyThread_get_thread_ident();
}

static int check_usable(InputObject *self)
{
    if (self->over) {
        PyErr_SetString(PyExc_ValueError,
                        "wsgi.input was read after its request had ended");
        return -1;
    }
    if (self->closed) {
        PyErr_SetString(PyExc_ValueError, "I/O operation on closed file.");
        return -1;
    }
    if (self->req == NULL || is_at_home(self))
        return 0;
    /* Any thread may read a body that has arrived, but may not wait for more.
     */
    if (self->reading) {
        PyErr_SetString(
            PyExc_RuntimeError,
            "wsgi.input is being read by the thread of its request");
        return -1;
    }
    if (wsk_request_body_length(self->req) == WSK_LENGTH_UNKNOWN) {
        PyErr_SetString(PyExc_RuntimeError,
                        "wsgi.input belongs to the thread of its request, for "
                        "its body is still coming");
        return -1;
    }
    return 0;
}

/* Read from the body's file. The disk may be slow, so the GIL is dropped, but
 * only in the handler's thread: in another one the request might end meanwhile.
 */
static wsk_status read_stored(InputObject *self, void *data, size_t cap,
                              size_t *got)
{
    wsk_status st;

    if (is_at_home(self)) {
        self->reading = true;
        Py_BEGIN_ALLOW_THREADS
        st = wsk_request_read(self->req, data, cap, got);
        Py_END_ALLOW_THREADS
        self->reading = false;
    } else {
        st = wsk_request_read(self->req, data, cap, got);
    }
    self->stored -= *got;
    return st;
}

static wsk_status read_coming(InputObject *self, void *data, size_t cap,
                              size_t *got)
{
    wsk_status st;

    while ((st = wsk_request_read(self->req, data, cap, got)) == WSK_E_AGAIN) {
        self->reading = true;
        Py_BEGIN_ALLOW_THREADS
        st = wsk_request_wait(self->req);
        Py_END_ALLOW_THREADS
        self->reading = false;
        if (st != WSK_OK)
            break;
    }
    return st;
}

/* Read the next bytes into `data`, waiting for them. *got is 0 at the end of
 * the body. */
static int read_some(InputObject *self, void *data, size_t cap, size_t *got)
{
    wsk_status st;

    *got = 0;
    if (self->req == NULL)
        return 0;
    st = self->stored == WSK_LENGTH_UNKNOWN ? read_coming(self, data, cap, got)
                                            : read_stored(self, data, cap, got);
    if (st != WSK_OK) {
        self->cut = st == WSK_E_CUT;
        ext_raise(self->st, st, "wsgi.input");
        return -1;
    }
    if (*got == 0 && !self->whole)
        self->req = NULL; /* the end stays the end */
    return 0;
}

/* Return the number of bytes at hand, fetching more if there are none. 0 at the
 * end, -1 with an exception set. */
static Py_ssize_t fill(InputObject *self)
{
    if (self->pos == self->len && self->req != NULL) {
        size_t got;

        if (self->block == NULL)
            self->block = PyMem_Malloc(INPUT_BLOCK);
        if (self->block == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        if (read_some(self, self->block, INPUT_BLOCK, &got) < 0)
            return -1;
        self->data = self->block;
        self->pos = 0;
        self->len = got;
    }
    return (Py_ssize_t)(self->len - self->pos);
}

static size_t take(InputObject *self, void *out, size_t want)
{
    size_t have = self->len - self->pos;
    size_t n = want < have ? want : have;

    if (n > 0)
        memcpy(out, self->data + self->pos, n);
    self->pos += n;
    return n;
}

/* Make room in *bytes for one more step, at most `most` in all. */
static int make_room(PyObject **bytes, size_t used, size_t most)
{
    size_t size = (size_t)PyBytes_GET_SIZE(*bytes);

    if (used < size || size == most)
        return 0;
    size = size > most / 2 ? most : size * 2;
    return _PyBytes_Resize(bytes, (Py_ssize_t)size);
}

/* Return the size to allocate at first for up to `most` bytes. More is
 * allocated as they arrive: a client cannot announce a size and have it
 * allocated. */
static size_t first_room(const InputObject *self, size_t most)
{
    size_t have = self->len - self->pos;

    if (most <= have || most <= INPUT_BLOCK ||
        self->stored != WSK_LENGTH_UNKNOWN)
        return most;
    return have < INPUT_BLOCK ? INPUT_BLOCK : have;
}

/* Read up to `most` bytes, fewer only at the end of the body. */
static PyObject *read_upto(InputObject *self, size_t most)
{
    size_t have = self->len - self->pos;
    size_t used, got;
    PyObject *bytes;

    if (most > have && self->req == NULL)
        most = have;
    else if (most > have && most - have > self->stored)
        most = have + (size_t)self->stored;
    bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)first_room(self, most));
    if (bytes == NULL)
        return NULL;
    used = take(self, PyBytes_AS_STRING(bytes), most);
    while (used < most) {
        if (make_room(&bytes, used, most) < 0)
            return NULL;
        if (read_some(self, PyBytes_AS_STRING(bytes) + used,
                      (size_t)PyBytes_GET_SIZE(bytes) - used, &got) < 0) {
            Py_DECREF(bytes);
            return NULL;
        }
        if (got == 0)
            break;
        used += got;
    }
    if (used < (size_t)PyBytes_GET_SIZE(bytes))
        _PyBytes_Resize(&bytes, (Py_ssize_t)used);
    return bytes;
}

/* Read the optional size of read(), readline() and readlines(): None and
 * negative numbers mean all. */
static int parse_size(const char *name, PyObject *const *args, Py_ssize_t nargs,
                      size_t *size)
{
    Py_ssize_t n;

    *size = PY_SSIZE_T_MAX;
    if (nargs > 1) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most 1 argument, not %zd",
                     name, nargs);
        return -1;
    }
    if (nargs == 0 || args[0] == Py_None)
        return 0;
    n = PyNumber_AsSsize_t(args[0], NULL);
    if (n == -1 && PyErr_Occurred())
        return -1;
    if (n >= 0)
        *size = (size_t)n;
    return 0;
}

/* Read the size, and check that the body may be read. */
static int begin(PyObject *op, const char *name, PyObject *const *args,
                 Py_ssize_t nargs, size_t *size)
{
    if (parse_size(name, args, nargs, size) < 0)
        return -1;
    return check_usable(Input_CAST(op));
}

static PyObject *Input_read(PyObject *op, PyObject *const *args,
                            Py_ssize_t nargs)
{
    size_t size;

    if (begin(op, "read", args, nargs, &size) < 0)
        return NULL;
    return read_upto(Input_CAST(op), size);
}

/* Append `n` bytes to *line, which may be NULL. */
static int append(PyObject **line, const uint8_t *p, size_t n)
{
    Py_ssize_t used = *line == NULL ? 0 : PyBytes_GET_SIZE(*line);

    if (*line == NULL)
        *line = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n);
    else
        _PyBytes_Resize(line, used + (Py_ssize_t)n);
    if (*line == NULL)
        return -1;
    memcpy(PyBytes_AS_STRING(*line) + used, p, n);
    return 0;
}

/* Read the next line with its end, at most `most` bytes; b"" at the end. */
static PyObject *read_line(InputObject *self, size_t most)
{
    PyObject *line = NULL;
    bool ended = most == 0;

    while (!ended) {
        Py_ssize_t have = fill(self);
        const uint8_t *p, *eol;
        size_t n;

        if (have < 0) {
            Py_XDECREF(line);
            return NULL;
        }
        if (have == 0)
            break;
        p = self->data + self->pos;
        n = (size_t)have < most ? (size_t)have : most;
        eol = memchr(p, '\n', n);
        if (eol != NULL)
            n = (size_t)(eol - p) + 1;
        if (append(&line, p, n) < 0)
            return NULL;
        self->pos += n;
        most -= n;
        ended = eol != NULL || most == 0;
    }
    return line != NULL ? line : PyBytes_FromStringAndSize(NULL, 0);
}

static PyObject *Input_readline(PyObject *op, PyObject *const *args,
                                Py_ssize_t nargs)
{
    size_t size;

    if (begin(op, "readline", args, nargs, &size) < 0)
        return NULL;
    return read_line(Input_CAST(op), size);
}

static PyObject *Input_iternext(PyObject *op)
{
    PyObject *line;

    if (check_usable(Input_CAST(op)) < 0)
        return NULL;
    line = read_line(Input_CAST(op), PY_SSIZE_T_MAX);
    if (line != NULL && PyBytes_GET_SIZE(line) == 0)
        Py_CLEAR(line);
    return line;
}

static PyObject *Input_readlines(PyObject *op, PyObject *const *args,
                                 Py_ssize_t nargs)
{
    PyObject *lines, *line;
    size_t hint, total = 0;

    if (parse_size("readlines", args, nargs, &hint) < 0)
        return NULL;
    if (hint == 0) /* as io.IOBase has it: no limit */
        hint = PY_SSIZE_T_MAX;
    lines = PyList_New(0);
    while (lines != NULL && total < hint &&
           (line = Input_iternext(op)) != NULL) {
        total += (size_t)PyBytes_GET_SIZE(line);
        if (PyList_Append(lines, line) < 0)
            Py_CLEAR(lines);
        Py_DECREF(line);
    }
    if (PyErr_Occurred())
        Py_CLEAR(lines);
    return lines;
}

/* ----------------------------------------------------- as an io object --- */

/* Read once, and only if nothing is at hand: as readinto() of io.RawIOBase
 * does, and read1() of io.BufferedReader. */
static Py_ssize_t read_once(InputObject *self, void *out, size_t want)
{
    if (want == 0)
        return 0;
    return fill(self) < 0 ? -1 : (Py_ssize_t)take(self, out, want);
}

static PyObject *Input_readinto(PyObject *op, PyObject *target)
{
    Py_buffer view;
    Py_ssize_t n;

    if (check_usable(Input_CAST(op)) < 0 ||
        PyObject_GetBuffer(target, &view, PyBUF_WRITABLE) < 0)
        return NULL;
    n = read_once(Input_CAST(op), view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return n < 0 ? NULL : PyLong_FromSsize_t(n);
}

static PyObject *Input_read1(PyObject *op, PyObject *const *args,
                             Py_ssize_t nargs)
{
    InputObject *self = Input_CAST(op);
    PyObject *bytes;
    size_t size;

    if (begin(op, "read1", args, nargs, &size) < 0 ||
        (size > 0 && fill(self) < 0))
        return NULL;
    if (size > self->len - self->pos)
        size = self->len - self->pos;
    bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (bytes != NULL)
        take(self, PyBytes_AS_STRING(bytes), size);
    return bytes;
}

static uint64_t position(const InputObject *self)
{
    return self->total - self->stored - (self->len - self->pos);
}

static int check_seekable(InputObject *self)
{
    if (check_usable(self) < 0)
        return -1;
    if (self->whole)
        return 0;
    ext_unsupported("wsgi.input: the body is still coming, so it is read once");
    return -1;
}

static PyObject *Input_tell(PyObject *op, PyObject *unused)
{
    (void)unused;
    if (check_seekable(Input_CAST(op)) < 0)
        return NULL;
    return PyLong_FromUnsignedLongLong(position(Input_CAST(op)));
}

/* Move to a position; one behind the end of the body is the end. */
static int move_to(InputObject *self, uint64_t at)
{
    wsk_status st;

    if (at > self->total)
        at = self->total;
    if (self->req == NULL) {
        self->pos = (size_t)at;
        return 0;
    }
    st = wsk_request_seek(self->req, at);
    if (st != WSK_OK) {
        ext_raise(self->st, st, "wsgi.input");
        return -1;
    }
    self->pos = self->len = 0;
    self->stored = self->total - at;
    return 0;
}

static PyObject *Input_seek(PyObject *op, PyObject *args)
{
    InputObject *self = Input_CAST(op);
    long long offset;
    uint64_t base, from;
    int whence = 0;

    if (!PyArg_ParseTuple(args, "L|i:seek", &offset, &whence) ||
        check_seekable(self) < 0)
        return NULL;
    base = whence == 1 ? position(self) : whence == 2 ? self->total : 0;
    from = offset < 0 ? (uint64_t) - (offset + 1) + 1 : 0;
    if (whence < 0 || whence > 2)
        return PyErr_Format(PyExc_ValueError, "invalid whence (%d)", whence);
    if (from > base)
        return PyErr_Format(PyExc_ValueError, "negative seek position");
    if (move_to(self, offset < 0 ? base - from : base + (uint64_t)offset) < 0)
        return NULL;
    return PyLong_FromUnsignedLongLong(position(self));
}

static PyObject *Input_seekable(PyObject *op, PyObject *unused)
{
    (void)unused;
    if (check_usable(Input_CAST(op)) < 0)
        return NULL;
    return PyBool_FromLong(Input_CAST(op)->whole);
}

static PyObject *Input_yes(PyObject *op, PyObject *unused)
{
    (void)unused;
    return check_usable(Input_CAST(op)) < 0 ? NULL : ext_ref(Py_True);
}

static PyObject *Input_no(PyObject *op, PyObject *unused)
{
    (void)unused;
    return check_usable(Input_CAST(op)) < 0 ? NULL : ext_ref(Py_False);
}

static PyObject *Input_fileno(PyObject *op, PyObject *unused)
{
    (void)op;
    (void)unused;
    return ext_unsupported("wsgi.input has no descriptor");
}

static PyObject *Input_write(PyObject *op, PyObject *unused)
{
    (void)op;
    (void)unused;
    return ext_unsupported("wsgi.input is not writable");
}

static PyObject *Input_close(PyObject *op, PyObject *unused)
{
    (void)unused;
    Input_CAST(op)->closed = true;
    Py_RETURN_NONE;
}

static PyObject *Input_flush(PyObject *op, PyObject *unused)
{
    (void)unused;
    if (check_usable(Input_CAST(op)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *Input_enter(PyObject *op, PyObject *unused)
{
    (void)unused;
    return check_usable(Input_CAST(op)) < 0 ? NULL : ext_ref(op);
}

static PyObject *Input_exit(PyObject *op, PyObject *unused)
{
    return Input_close(op, unused);
}

static PyObject *Input_closed(PyObject *op, void *unused)
{
    (void)unused;
    return PyBool_FromLong(Input_CAST(op)->closed || Input_CAST(op)->over);
}

static PyObject *Input_text(PyObject *op, void *text)
{
    (void)op;
    return PyUnicode_FromString(text);
}

static PyGetSetDef Input_getset[] = {
    {"closed", Input_closed, NULL, "Also when the request has ended.", NULL},
    {"name", Input_text, NULL, NULL, (void *)(uintptr_t) "<wsgi.input>"},
    {"mode", Input_text, NULL, NULL, (void *)(uintptr_t) "rb"},
    {NULL, NULL, NULL, NULL, NULL},
};

static void Input_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyMem_Free(Input_CAST(op)->block);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Input_methods[] = {
    {"read", EXT_METHOD(Input_read), METH_FASTCALL,
     "read(size=-1) -> bytes\n\nUp to size octets; fewer only at the end."},
    {"readline", EXT_METHOD(Input_readline), METH_FASTCALL,
     "readline(size=-1) -> bytes\n\nThe next line with its end."},
    {"readlines", EXT_METHOD(Input_readlines), METH_FASTCALL,
     "readlines(hint=-1) -> list of bytes"},
    {"read1", EXT_METHOD(Input_read1), METH_FASTCALL,
     "read1(size=-1) -> bytes\n\nWhat is at hand, or one read brings."},
    {"readinto", Input_readinto, METH_O, "readinto(buffer) -> int"},
    {"readinto1", Input_readinto, METH_O, "readinto1(buffer) -> int"},
    {"tell", Input_tell, METH_NOARGS, "tell() -> int"},
    {"seek", Input_seek, METH_VARARGS,
     "seek(offset, whence=0) -> int\n\nOf a body that had come whole."},
    {"seekable", Input_seekable, METH_NOARGS,
     "Whether the body had come whole."},
    {"readable", Input_yes, METH_NOARGS, NULL},
    {"writable", Input_no, METH_NOARGS, NULL},
    {"isatty", Input_no, METH_NOARGS, NULL},
    {"fileno", Input_fileno, METH_NOARGS, "Raises UnsupportedOperation."},
    {"write", Input_write, METH_O, "Raises UnsupportedOperation."},
    {"truncate", Input_write, METH_VARARGS, "Raises UnsupportedOperation."},
    {"flush", Input_flush, METH_NOARGS, NULL},
    {"close", Input_close, METH_NOARGS, "Nothing is read any more."},
    {"__enter__", Input_enter, METH_NOARGS, NULL},
    {"__exit__", Input_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Input_slots[] = {
    {Py_tp_doc, "wsgi.input: the body of a request."},
    {Py_tp_new, ext_no_new},
    {Py_tp_dealloc, Input_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, Input_iternext},
    {Py_tp_methods, Input_methods},
    {Py_tp_getset, Input_getset},
    {0, NULL},
};

const PyType_Spec ext_input_spec = {
    .name = "wsocket._wsocket.Input",
    .basicsize = sizeof(InputObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Input_slots,
};

PyObject *ext_input_new_empty(struct ext_state *st)
{
    PyObject *op = st->types.input->tp_alloc(st->types.input, 0);

    if (op != NULL) {
        Input_CAST(op)->st = st;
        Input_CAST(op)->whole = true;
    }
    return op;
}

PyObject *ext_input_new(struct ext_thread *here, struct ext_state *st,
                        wsk_request *req)
{
    PyObject *op = ext_spare_take(&here->input);
    InputObject *self;

    if (op == NULL)
        op = ext_input_new_empty(st);
    if (op == NULL)
        return NULL;
    self = Input_CAST(op);
    self->over = self->cut = self->closed = false;
    self->pos = 0;
    self->req = NULL;
    self->total = wsk_request_body_length(req);
    self->whole = self->total != WSK_LENGTH_UNKNOWN;
    self->stored = 0;
    if (!wsk_request_body(req, &self->data, &self->len)) {
        self->len = 0;
        self->req = req;
        self->stored = self->total;
        self->thread = PyThread_get_thread_ident();
    }
    return op;
}

bool ext_input_was_cut(PyObject *input)
{
    return Input_CAST(input)->cut;
}

void ext_input_end_take(struct ext_thread *here, PyObject *input)
{
    InputObject *self = Input_CAST(input);

    self->req = NULL;
    self->over = true;
    if (!ext_spare_keep(&here->input, input,
                        Py_REFCNT(input) == 1 && self->block == NULL))
        Py_DECREF(input);
}
