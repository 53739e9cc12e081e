/* ext/file: wsgi.file_wrapper (PEP 3333, "Optional Platform-Specific File
 * Handling"). Iterating one is right for every object with read(); for plain
 * files the server has a shorter way, and finds them here. */
#include "file.h"

#include <sys/stat.h>

#define BLOCK_SIZE 8192

typedef struct {
    PyObject_HEAD
    PyObject *filelike;
    PyObject *blksize; /* int */
} FileObject;

#define File_CAST(op) ((FileObject *)(op))

/* --------------------------------------------------------- plain files --- */

static int has_type(PyObject *o, PyObject *type)
{
    return (PyObject *)Py_TYPE(o) == type;
}

/* Return the FileIO below a file of open(); a new reference. NULL, perhaps with
 * an exception, for any object whose read() may give other bytes than the file
 * holds: GzipFile, for one, has a fileno(), too. */
static PyObject *raw_of(const struct ext_state *st, PyObject *file)
{
    PyObject *raw, *flushed;

    if (has_type(file, st->FileIO))
        return ext_ref(file);
    if (has_type(file, st->BufferedRandom)) { /* may hold unwritten bytes */
        flushed = PyObject_CallMethod(file, "flush", NULL);
        Py_XDECREF(flushed);
        if (flushed == NULL)
            return NULL;
    } else if (!has_type(file, st->BufferedReader)) {
        return NULL;
    }
    raw = PyObject_GetAttrString(file, "raw");
    if (raw != NULL && !has_type(raw, st->FileIO))
        Py_CLEAR(raw);
    return raw;
}

static bool is_readable(PyObject *raw)
{
    PyObject *answer = PyObject_CallMethod(raw, "readable", NULL);
    bool yes = answer == Py_True;

    Py_XDECREF(answer);
    return yes;
}

/* Return where the next read() of `file` begins; -1 with an exception set. */
static long long position(PyObject *file)
{
    PyObject *at = PyObject_CallMethod(file, "tell", NULL);
    long long n = at == NULL ? -1 : PyLong_AsLongLong(at);

    Py_XDECREF(at);
    return n;
}

static bool open_plain(const struct ext_state *st, PyObject *file,
                       struct ext_file *f)
{
    PyObject *raw = raw_of(st, file);
    struct stat status;
    long long at;

    if (raw == NULL)
        return false;
    f->fd = is_readable(raw) ? PyObject_AsFileDescriptor(raw) : -1;
    Py_DECREF(raw);
    if (f->fd < 0 || (at = position(file)) < 0 || fstat(f->fd, &status) < 0 ||
        !S_ISREG(status.st_mode) || status.st_size == 0)
        return false; /* files of /proc have a size only when they are read */
    f->offset = (uint64_t)at;
    f->length = status.st_size > at ? (uint64_t)(status.st_size - at) : 0;
    return true;
}

bool ext_file_open(const struct ext_state *st, PyObject *result,
                   struct ext_file *f)
{
    PyObject *file;
    bool plain;

    if (Py_TYPE(result) != st->types.file)
        return false;
    file = File_CAST(result)->filelike;
    /* The wrapper of tempfile.NamedTemporaryFile() passes everything on. */
    file = strcmp(Py_TYPE(file)->tp_name, "_TemporaryFileWrapper") == 0
               ? PyObject_GetAttrString(file, "file")
               : ext_ref(file);
    plain = file != NULL && open_plain(st, file, f);
    Py_XDECREF(file);
    PyErr_Clear();
    return plain;
}

/* ---------------------------------------------------------------- type --- */

static PyObject *File_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"filelike", "blksize", NULL};
    PyObject *filelike, *op;
    Py_ssize_t blksize = BLOCK_SIZE;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|n", names, &filelike,
                                     &blksize))
        return NULL;
    if (blksize <= 0)
        return PyErr_Format(PyExc_ValueError,
                            "the block size must be positive, not %zd",
                            blksize);
    op = type->tp_alloc(type, 0);
    if (op == NULL)
        return NULL;
    File_CAST(op)->filelike = ext_ref(filelike);
    File_CAST(op)->blksize = PyLong_FromSsize_t(blksize);
    if (File_CAST(op)->blksize == NULL)
        Py_CLEAR(op);
    return op;
}

static PyObject *File_iternext(PyObject *op)
{
    FileObject *self = File_CAST(op);
    PyObject *data =
        PyObject_CallMethod(self->filelike, "read", "O", self->blksize);
    int more;

    if (data == NULL)
        return NULL;
    more = PyObject_IsTrue(data);
    if (more > 0 && PyUnicode_Check(data)) {
        PyErr_SetString(PyExc_TypeError,
                        "wsgi.file_wrapper was given a file of text; open it "
                        "in binary mode ('rb')");
        more = -1;
    }
    if (more <= 0)
        Py_CLEAR(data);
    return data;
}

static PyObject *File_close(PyObject *op, PyObject *unused)
{
    PyObject *close = PyObject_GetAttrString(File_CAST(op)->filelike, "close");
    PyObject *result;

    (void)unused;
    if (close == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError))
            return NULL;
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    result = PyObject_CallNoArgs(close);
    Py_DECREF(close);
    return result;
}

static int File_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(File_CAST(op)->filelike);
    return 0;
}

static int File_clear(PyObject *op)
{
    Py_CLEAR(File_CAST(op)->filelike);
    return 0;
}

static void File_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    File_clear(op);
    Py_XDECREF(File_CAST(op)->blksize);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef File_methods[] = {
    {"close", File_close, METH_NOARGS, "close()\n\nClose the file."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef File_members[] = {
    {"filelike", T_OBJECT, offsetof(FileObject, filelike), READONLY,
     "The object with read()."},
    {"blksize", T_OBJECT, offsetof(FileObject, blksize), READONLY,
     "Octets that are read at once."},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(File_doc, "FileWrapper(filelike, blksize=8192)\n\n"
                       "wsgi.file_wrapper: return one from an application to "
                       "send a file. A plain file\nis sent by the server from "
                       "its current offset, and a slow reader holds no\n"
                       "thread; any other object is read in blocks.");

static PyType_Slot File_slots[] = {
    {Py_tp_doc, (void *)File_doc},   {Py_tp_new, File_new},
    {Py_tp_dealloc, File_dealloc},   {Py_tp_traverse, File_traverse},
    {Py_tp_clear, File_clear},       {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, File_iternext}, {Py_tp_methods, File_methods},
    {Py_tp_members, File_members},   {0, NULL},
};

const PyType_Spec ext_file_spec = {
    .name = "wsocket._wsocket.FileWrapper",
    .basicsize = sizeof(FileObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = File_slots,
};
