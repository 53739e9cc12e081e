/* ext/board: the Board type, memory that worker processes share. */
#include "board.h"

#include "errors.h"

#include <errno.h>
#include <string.h>

typedef struct {
    PyObject_HEAD
    wsk_board *board;
} BoardObject;

#define Board_CAST(op) ((BoardObject *)(op))

wsk_board *ext_board_of(const struct ext_state *st, PyObject *op)
{
    if (PyObject_TypeCheck(op, st->types.board))
        return Board_CAST(op)->board;
    PyErr_Format(PyExc_TypeError, "a Board is needed, not %.100s",
                 Py_TYPE(op)->tp_name);
    return NULL;
}

long ext_board_slot(const wsk_board *board, PyObject *number)
{
    long slot = PyLong_AsLong(number);

    if (slot == -1 && PyErr_Occurred())
        return -1;
    if (slot >= 0 && (unsigned long)slot < wsk_board_slots(board))
        return slot;
    PyErr_Format(PyExc_IndexError, "the board has no slot %ld", slot);
    return -1;
}

static wsk_board *make_board(int workers)
{
    wsk_board *board = workers > 0 ? wsk_board_new((unsigned)workers) : NULL;

    if (board == NULL && (workers <= 0 || errno == EINVAL))
        PyErr_SetString(PyExc_ValueError, "workers must be from 1 to 1000");
    else if (board == NULL)
        ext_raise_os("no board can be made");
    return board;
}

static wsk_board *open_board(int fd)
{
    wsk_board *board = wsk_board_open(fd);

    if (board == NULL && errno == EBADMSG)
        PyErr_Format(PyExc_ValueError,
                     "descriptor %d is no board of this version", fd);
    else if (board == NULL)
        ext_raise_os("the board cannot be opened");
    return board;
}

static PyObject *Board_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"workers", "fd", NULL};
    int workers = INT_MIN, fd = INT_MIN;
    PyObject *op;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|i$i:Board", names,
                                     &workers, &fd))
        return NULL;
    if ((workers == INT_MIN) == (fd == INT_MIN))
        return PyErr_Format(PyExc_TypeError,
                            "Board() takes either workers or fd");
    op = type->tp_alloc(type, 0);
    if (op == NULL)
        return NULL;
    Board_CAST(op)->board = fd == INT_MIN ? make_board(workers)
                                          : open_board(fd);
    if (Board_CAST(op)->board == NULL)
        Py_CLEAR(op);
    return op;
}

static void Board_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    wsk_board_free(Board_CAST(op)->board);
    type->tp_free(op);
    Py_DECREF(type);
}

static Py_ssize_t Board_length(PyObject *op)
{
    return (Py_ssize_t)wsk_board_slots(Board_CAST(op)->board);
}

PyDoc_STRVAR(fileno_doc,
             "fileno() -> int\n\n"
             "The descriptor, which is not inherited: os.set_inheritable() "
             "it for a program\nthat is executed, which opens it with "
             "Board(fd=N).");

static PyObject *Board_fileno(PyObject *op, PyObject *unused)
{
    (void)unused;
    return PyLong_FromLong(wsk_board_fd(Board_CAST(op)->board));
}

PyDoc_STRVAR(slot_doc,
             "slot(i) -> dict\n\n"
             "A slot: its state (free, boot, ready, serving, draining or "
             "gone), and pid,\ngeneration and connections of the worker that "
             "has it.");

static PyObject *Board_slot(PyObject *op, PyObject *number)
{
    wsk_board *board = Board_CAST(op)->board;
    long slot = ext_board_slot(board, number);
    wsk_worker worker;

    if (slot < 0)
        return NULL;
    wsk_board_look(board, (unsigned)slot, &worker);
    return Py_BuildValue("{sssIsIsI}", "state",
                         wsk_worker_state_text(worker.state), "pid", worker.pid,
                         "generation", worker.generation, "connections",
                         worker.connections);
}

PyDoc_STRVAR(clear_doc,
             "clear(i)\n\n"
             "Free the slot of a worker that has been waited for. Its counters "
             "stay in the sums.\nOnly for the parent.");

static PyObject *Board_clear(PyObject *op, PyObject *number)
{
    wsk_board *board = Board_CAST(op)->board;
    long slot = ext_board_slot(board, number);

    if (slot < 0)
        return NULL;
    wsk_board_clear(board, (unsigned)slot);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(count_doc, "count(what, why)\n\n"
                        "Count for the metrics what the parent does: "
                        "count('worker_starts', 'reload').");

static PyObject *Board_count(PyObject *op, PyObject *args)
{
    const char *what, *why;

    if (!PyArg_ParseTuple(args, "ss:count", &what, &why))
        return NULL;
    if (wsk_board_count(Board_CAST(op)->board, what, why) != WSK_OK)
        return PyErr_Format(PyExc_ValueError, "nothing counts %s by %s", what,
                            why);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(set_doc, "set(what, value)\n\n"
                      "Set a value of the parent's for the metrics: "
                      "set('generation', 2).");

static PyObject *Board_set(PyObject *op, PyObject *args)
{
    const char *what;
    PyObject *number;
    unsigned long long value;

    if (!PyArg_ParseTuple(args, "sO!:set", &what, &PyLong_Type, &number))
        return NULL;
    value = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred())
        return NULL;
    if (wsk_board_set(Board_CAST(op)->board, what, value) != WSK_OK)
        return PyErr_Format(PyExc_ValueError, "nothing shows %s", what);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(take_first_doc,
             "take_first(i) -> bool\n\n"
             "Whether the worker in this slot is the first one, which it "
             "becomes if there is\nnone, and stays until clear().");

static PyObject *Board_take_first(PyObject *op, PyObject *number)
{
    wsk_board *board = Board_CAST(op)->board;
    long slot = ext_board_slot(board, number);

    if (slot < 0)
        return NULL;
    return PyBool_FromLong(wsk_board_take_first(board, (unsigned)slot));
}

static PyObject *get_workers(PyObject *op, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLong(wsk_board_workers(Board_CAST(op)->board));
}

const char ext_cpus_doc[] =
    "cpus() -> int\n\n"
    "The CPUs that this process may use, by its affinity and the quota of its "
    "control\ngroups, rounded up; at least 1.";

PyObject *ext_cpus(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromUnsignedLong(wsk_cpus());
}

const char ext_libraries_doc[] =
    "libraries() -> str\n\n"
    "zlib, hiredis and OpenSSL with their versions, or why there is no TLS.";

PyObject *ext_libraries(PyObject *module, PyObject *unused)
{
    char text[WSK_LIBRARIES_LEN];

    (void)module;
    (void)unused;
    wsk_libraries(text);
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

static PyMethodDef Board_methods[] = {
    {"fileno", Board_fileno, METH_NOARGS, fileno_doc},
    {"slot", Board_slot, METH_O, slot_doc},
    {"clear", Board_clear, METH_O, clear_doc},
    {"count", Board_count, METH_VARARGS, count_doc},
    {"set", Board_set, METH_VARARGS, set_doc},
    {"take_first", Board_take_first, METH_O, take_first_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Board_getset[] = {
    {"workers", get_workers, NULL, "What it was made for.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(Board_doc,
             "Board(workers) or Board(fd=N)\n\n"
             "Memory that the worker processes of one service share: a slot "
             "for each worker and\nits replacement. The second form opens one "
             "that another process made, and owns the\ndescriptor. len() is "
             "the number of slots.");

static PyType_Slot Board_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)Board_doc},
    {Py_tp_new, Board_new},
    {Py_tp_dealloc, Board_dealloc},
    {Py_tp_methods, Board_methods},
    {Py_tp_getset, Board_getset},
    {Py_sq_length, Board_length},
    {0, NULL},
};

const PyType_Spec ext_board_spec = {
    .name = "wsocket._wsocket.Board",
    .basicsize = sizeof(BoardObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Board_slots,
};
