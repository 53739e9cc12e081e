/* ext/server_worker: a server as one of several processes. */
#include "server_object.h"

#include "args.h"
#include "board.h"
#include "errors.h"

static const struct ext_signature set_board_sig = {
    "set_board", 2, 3, (const char *const[]){"board", "slot", "generation"}};

PyObject *ext_server_set_board(PyObject *op, PyObject *const *args,
                               Py_ssize_t nargs, PyObject *kwnames)
{
    ServerObject *self = Server_CAST(op);
    unsigned long generation = 0;
    PyObject *given[3];
    wsk_board *board;
    wsk_status st;
    long slot;

    if (ext_args(&set_board_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    board = ext_board_of(self->st, given[0]);
    slot = board != NULL ? ext_board_slot(board, given[1]) : -1;
    if (slot < 0)
        return NULL;
    if (given[2] != NULL)
        generation = PyLong_AsUnsignedLong(given[2]);
    if (PyErr_Occurred())
        return NULL;
    if (generation > UINT32_MAX)
        return PyErr_Format(PyExc_OverflowError, "generation is too large");
    if (self->phase != PHASE_NEW)
        return PyErr_Format(PyExc_RuntimeError,
                            "the board comes before start()");
    st = wsk_server_set_board(self->srv, board, (unsigned)slot,
                              (uint32_t)generation);
    if (st != WSK_OK)
        return PyErr_Format(PyExc_RuntimeError,
                            "slot %ld is taken, or the server has one", slot);
    Py_RETURN_NONE;
}

PyObject *ext_server_set_worker(PyObject *op, PyObject *number)
{
    ServerObject *self = Server_CAST(op);
    long worker = PyLong_AsLong(number);

    if (worker == -1 && PyErr_Occurred())
        return NULL;
    if (worker < 0 || worker > INT32_MAX)
        return PyErr_Format(PyExc_ValueError, "a worker has a number from 1");
    if (self->phase != PHASE_NEW)
        return PyErr_Format(PyExc_RuntimeError,
                            "the number comes before start()");
    wsk_server_set_worker(self->srv, (unsigned)worker);
    Py_RETURN_NONE;
}

PyObject *ext_server_accept(PyObject *op, PyObject *on)
{
    ServerObject *self = Server_CAST(op);
    int accept = PyObject_IsTrue(on);
    wsk_status st;

    if (accept < 0)
        return NULL;
    st = wsk_server_accept(self->srv, accept);
    if (st != WSK_OK)
        return ext_raise(self->st, st, "no process but the server's accepts");
    Py_RETURN_NONE;
}

PyObject *ext_server_adopt(PyObject *op, PyObject *fd)
{
    ServerObject *self = Server_CAST(op);
    long n = PyLong_AsLong(fd); /* no object that would close it, too */
    wsk_status st;

    if (n == -1 && PyErr_Occurred())
        return NULL;
    if (n < 0 || n > INT_MAX)
        return PyErr_Format(PyExc_ValueError, "%ld is no descriptor", n);
    st = wsk_server_adopt(self->srv, (int)n);
    if (st == WSK_E_ARG)
        return PyErr_Format(PyExc_ValueError,
                            "descriptor %ld is no connected stream socket", n);
    if (st != WSK_OK)
        return ext_raise(self->st, st, "the server takes no connection");
    Py_RETURN_NONE;
}
