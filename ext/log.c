/* ext/log: wsgi.errors, a text stream that ends in the server's log.
 *
 * All requests of a server share one stream. Each thread has a line of its
 * own, so that pieces which two requests write do not mix. */
#include "log.h"

#include "errors.h"

/* Bytes of a line; longer ones become several entries. */
#define LINE_LONGEST ((size_t)1 << 20)

/* Bytes that are reserved for a line at first. */
#define LINE_FIRST ((size_t)256)

/* Bytes of unfinished lines, of all threads; what exceeds them is logged as it
 * is. */
#define KEPT_MOST ((size_t)4 << 20)

/* Threads that may have an unfinished line. A handler's is logged when its
 * request ends, so only the application's own threads could ever be so many. */
#define MOST_LINES 64

struct line {
    struct line *next;
    unsigned long thread; /* the writer */
    size_t len, size;
    char *text; /* owned */
};

typedef struct {
    PyObject_HEAD
    struct ext_state *st;
    wsk_server *srv;    /* NULL once the server is gone */
    struct line *lines; /* of each thread, or NULL */
    unsigned n_lines;
    size_t kept; /* the sum of their sizes */
} LogObject;

#define Log_CAST(op) ((LogObject *)(op))

/* Return the length of the next entry of a text of `len` bytes; it ends at a
 * character. */
static size_t entry_len(const char *text, size_t len)
{
    size_t n = LINE_LONGEST;

    if (len <= n)
        return len;
    while (n > LINE_LONGEST - 4 && ((unsigned char)text[n] & 0xC0) == 0x80)
        n--;
    return n;
}

/* Log one line of UTF-8, without its end. */
static void put_words(LogObject *self, const char *line, size_t len)
{
    PyObject *text;

    if (self->srv != NULL) {
        size_t n;

        do {
            n = entry_len(line, len);
            wsk_server_log_text(self->srv, line, n);
            line += n;
            len -= n;
        } while (len > 0);
        return;
    }
    text = PyUnicode_DecodeUTF8(line, (Py_ssize_t)len, "replace");
    if (text == NULL || PyUnicode_AsUTF8(text) == NULL)
        PyErr_WriteUnraisable((PyObject *)self);
    else
        ext_log_warning(self->st, PyUnicode_AsUTF8(text));
    Py_XDECREF(text);
}

/* Log a line. A framework that answers 500 itself writes the traceback here:
 * its last line is all that we see of a view that asks a plain request for a
 * WebSocket. */
static void put_line(LogObject *self, const char *line, size_t len)
{
    static const char END[] = "KeyError: 'wsgi.websocket'";

    put_words(self, line, len);
    if (len == sizeof END - 1 && memcmp(line, END, len) == 0)
        ext_log_no_websocket(self->st);
}

static void free_line(struct line *line)
{
    if (line != NULL)
        PyMem_Free(line->text);
    PyMem_Free(line);
}

/* Take this thread's line from the list; NULL if it has none. */
static struct line *take_line(LogObject *self)
{
    unsigned long thread = PyThread_get_thread_ident();

    for (struct line **at = &self->lines; *at != NULL; at = &(*at)->next)
        if ((*at)->thread == thread) {
            struct line *line = *at;

            *at = line->next;
            self->n_lines--;
            self->kept -= line->size;
            return line;
        }
    return NULL;
}

static void end_line(LogObject *self)
{
    struct line *line = self->lines == NULL ? NULL : take_line(self);

    if (line != NULL)
        put_line(self, line->text, line->len);
    free_line(line);
}

/* Make room for n bytes more. False: there is no room, and the line is as it
 * was. */
static bool grow(const LogObject *self, struct line *line, size_t n)
{
    size_t size = line->size > 0 ? line->size : LINE_FIRST;
    char *text;

    if (line->text != NULL && n <= line->size - line->len)
        return true;
    if (line->len > LINE_LONGEST || n > LINE_LONGEST - line->len)
        return false;
    while (size - line->len < n)
        size *= 2;
    if (size > KEPT_MOST - self->kept)
        return false;
    text = PyMem_Realloc(line->text, size);
    if (text == NULL)
        return false;
    line->text = text;
    line->size = size;
    return true;
}

/* Keep the text of a line that has not ended; text that cannot be kept is
 * logged now. */
static void keep(LogObject *self, const char *p, size_t n)
{
    struct line *line = self->lines == NULL ? NULL : take_line(self);

    if (line == NULL && self->n_lines < MOST_LINES)
        line = PyMem_Calloc(1, sizeof *line);
    while (line == NULL || !grow(self, line, n)) {
        size_t now = line == NULL ? n : entry_len(p, n);

        if (line != NULL && line->len > 0) {
            put_line(self, line->text, line->len);
            line->len = 0;
            continue;
        }
        put_line(self, p, now);
        p += now;
        n -= now;
        if (n > 0)
            continue;
        free_line(line);
        return;
    }
    memcpy(line->text + line->len, p, n);
    line->len += n;
    line->thread = PyThread_get_thread_ident();
    line->next = self->lines;
    self->lines = line;
    self->n_lines++;
    self->kept += line->size;
}

/* Log the complete lines of `text`, keep the rest. */
static int put_text(LogObject *self, PyObject *text)
{
    /* A surrogate without its pair must not keep an error out of the log. */
    PyObject *utf8 =
        PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    const char *p, *end, *eol;

    if (utf8 == NULL)
        return -1;
    p = PyBytes_AS_STRING(utf8);
    end = p + PyBytes_GET_SIZE(utf8);
    while (p < end && (eol = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        if (self->lines == NULL) {
            put_line(self, p, (size_t)(eol - p));
        } else {
            keep(self, p, (size_t)(eol - p));
            end_line(self);
        }
        p = eol + 1;
    }
    if (p < end)
        keep(self, p, (size_t)(end - p));
    Py_DECREF(utf8);
    return 0;
}

static PyObject *Log_write(PyObject *op, PyObject *text)
{
    if (!PyUnicode_Check(text))
        return PyErr_Format(PyExc_TypeError,
                            "write() argument must be str, not %.100s",
                            Py_TYPE(text)->tp_name);
    if (put_text(Log_CAST(op), text) < 0)
        return NULL;
    return PyLong_FromSsize_t(PyUnicode_GET_LENGTH(text));
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
    (void)unused;
    end_line(Log_CAST(op));
    Py_RETURN_NONE;
}

/* The rest of the interface of sys.stderr, for logging, print() and code that
 * looks for a terminal. */

static PyObject *Log_yes(PyObject *op, PyObject *unused)
{
    (void)op;
    (void)unused;
    Py_RETURN_TRUE;
}

static PyObject *Log_no(PyObject *op, PyObject *unused)
{
    (void)op;
    (void)unused;
    Py_RETURN_FALSE;
}

static PyObject *Log_unsupported(PyObject *op, PyObject *unused)
{
    (void)op;
    (void)unused;
    return ext_unsupported("wsgi.errors can only be written");
}

static PyObject *Log_enter(PyObject *op, PyObject *unused)
{
    (void)unused;
    return ext_ref(op);
}

static PyObject *Log_closed(PyObject *op, void *unused)
{
    (void)op;
    (void)unused;
    Py_RETURN_FALSE;
}

static PyObject *Log_text(PyObject *op, void *text)
{
    (void)op;
    return PyUnicode_FromString(text);
}

static PyGetSetDef Log_getset[] = {
    {"closed", Log_closed, NULL, "Never: all requests share it.", NULL},
    {"encoding", Log_text, NULL, NULL, (void *)(uintptr_t) "utf-8"},
    {"errors", Log_text, NULL, NULL, (void *)(uintptr_t) "backslashreplace"},
    {"mode", Log_text, NULL, NULL, (void *)(uintptr_t) "w"},
    {"name", Log_text, NULL, NULL, (void *)(uintptr_t) "<wsgi.errors>"},
    {NULL, NULL, NULL, NULL, NULL},
};

/* Log an entry of our own, or a text without a level. False: the server is
 * gone. */
static PyObject *log_own(LogObject *self, PyObject *text,
                         const wsk_log_level *level)
{
    PyObject *utf8;

    if (!PyUnicode_Check(text))
        return PyErr_Format(PyExc_TypeError, "an entry is a str");
    if (self->srv == NULL)
        Py_RETURN_FALSE;
    utf8 = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    if (utf8 == NULL)
        return NULL;
    if (level != NULL)
        wsk_server_log(self->srv, *level, PyBytes_AS_STRING(utf8),
                       (size_t)PyBytes_GET_SIZE(utf8));
    else
        wsk_server_log_text(self->srv, PyBytes_AS_STRING(utf8),
                            (size_t)PyBytes_GET_SIZE(utf8));
    Py_DECREF(utf8);
    Py_RETURN_TRUE;
}

static PyObject *Log_entry(PyObject *op, PyObject *text)
{
    return log_own(Log_CAST(op), text, NULL);
}

static PyObject *Log_warn(PyObject *op, PyObject *text)
{
    const wsk_log_level level = WSK_LOG_WARNING;

    return log_own(Log_CAST(op), text, &level);
}

static PyObject *Log_info(PyObject *op, PyObject *text)
{
    const wsk_log_level level = WSK_LOG_INFO;

    return log_own(Log_CAST(op), text, &level);
}

static void Log_dealloc(PyObject *op)
{
    LogObject *self = Log_CAST(op);
    PyTypeObject *type = Py_TYPE(op);

    while (self->lines != NULL) {
        struct line *line = self->lines;

        self->lines = line->next;
        free_line(line);
    }
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Log_methods[] = {
    {"write", Log_write, METH_O, "Log the lines of a str."},
    {"writelines", Log_writelines, METH_O, "Log an iterable of str."},
    {"flush", Log_flush, METH_NOARGS,
     "Log this thread's line that has not ended yet."},
    {"close", Log_flush, METH_NOARGS, "As flush(): all requests share it."},
    {"writable", Log_yes, METH_NOARGS, NULL},
    {"readable", Log_no, METH_NOARGS, NULL},
    {"seekable", Log_no, METH_NOARGS, NULL},
    {"isatty", Log_no, METH_NOARGS, NULL},
    {"fileno", Log_unsupported, METH_NOARGS, "Raises UnsupportedOperation."},
    {"read", Log_unsupported, METH_VARARGS, "Raises UnsupportedOperation."},
    {"readline", Log_unsupported, METH_VARARGS, "Raises UnsupportedOperation."},
    {"seek", Log_unsupported, METH_VARARGS, "Raises UnsupportedOperation."},
    {"tell", Log_unsupported, METH_NOARGS, "Raises UnsupportedOperation."},
    {"truncate", Log_unsupported, METH_VARARGS, "Raises UnsupportedOperation."},
    {"__enter__", Log_enter, METH_NOARGS, NULL},
    {"__exit__", Log_no, METH_VARARGS, NULL},
    {"entry", Log_entry, METH_O,
     "Log a str of several lines as one entry; False: the server is gone."},
    {"warn", Log_warn, METH_O,
     "Log a line as a warning, if log_level lets it; False as with entry()."},
    {"info", Log_info, METH_O, "The same for what is no warning."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Log_slots[] = {
    {Py_tp_doc, "wsgi.errors: a text stream into the server's log."},
    {Py_tp_new, ext_no_new},
    {Py_tp_dealloc, Log_dealloc},
    {Py_tp_methods, Log_methods},
    {Py_tp_getset, Log_getset},
    {0, NULL},
};

const PyType_Spec ext_log_spec = {
    .name = "wsocket._wsocket.ErrorStream",
    .basicsize = sizeof(LogObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Log_slots,
};

PyObject *ext_log_new(struct ext_state *st, wsk_server *srv)
{
    PyObject *op = st->types.log->tp_alloc(st->types.log, 0);

    if (op != NULL) {
        Log_CAST(op)->st = st;
        Log_CAST(op)->srv = srv;
    }
    return op;
}

void ext_log_end_line(PyObject *stream)
{
    end_line(Log_CAST(stream));
}

void ext_log_detach(PyObject *stream)
{
    Log_CAST(stream)->srv = NULL;
}
