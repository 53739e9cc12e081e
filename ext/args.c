/* ext/args: arguments of METH_FASTCALL | METH_KEYWORDS functions. */
#include "args.h"

static int find_name(const struct ext_signature *sig, PyObject *name)
{
    for (int i = 0; i < sig->most; i++)
        if (PyUnicode_CompareWithASCIIString(name, sig->names[i]) == 0)
            return i;
    PyErr_Format(PyExc_TypeError, "%s() has no argument %R", sig->function,
                 name);
    return -1;
}

int ext_args(const struct ext_signature *sig, PyObject *const *args,
             Py_ssize_t nargs, PyObject *kwnames, PyObject **out)
{
    Py_ssize_t given = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);

    if (nargs > sig->most) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments",
                     sig->function, sig->most);
        return -1;
    }
    for (int i = 0; i < sig->most; i++)
        out[i] = i < nargs ? args[i] : NULL;
    for (Py_ssize_t i = 0; i < given; i++) {
        int place = find_name(sig, PyTuple_GET_ITEM(kwnames, i));

        if (place < 0)
            return -1;
        if (out[place] != NULL) {
            PyErr_Format(PyExc_TypeError, "%s() got %s twice", sig->function,
                         sig->names[place]);
            return -1;
        }
        out[place] = args[nargs + i];
    }
    for (int i = 0; i < sig->needed; i++)
        if (out[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() needs the argument %s",
                         sig->function, sig->names[i]);
            return -1;
        }
    return 0;
}

int ext_timeout_ms(PyObject *seconds)
{
    double s;
    int ms;

    if (seconds == NULL || seconds == Py_None)
        return -1;
    s = PyFloat_AsDouble(seconds);
    if (s == -1.0 && PyErr_Occurred())
        return -1;
    if (s != s) {
        PyErr_SetString(PyExc_ValueError, "a timeout must be a number");
        return -1;
    }
    if (s <= 0.0)
        return 0;
    if (s >= INT_MAX / 1000)
        return INT_MAX;
    ms = (int)(s * 1000.0);
    return ms < s * 1000.0 ? ms + 1 : ms;
}

int ext_timeout_arg(const struct ext_signature *sig, PyObject *const *args,
                    Py_ssize_t nargs, PyObject *kwnames, int *ms)
{
    PyObject *timeout;

    if (ext_args(sig, args, nargs, kwnames, &timeout) < 0)
        return -1;
    *ms = ext_timeout_ms(timeout);
    return *ms < 0 && PyErr_Occurred() ? -1 : 0;
}

long ext_small_number(PyObject *number)
{
    PyObject *index =
        PyNumber_Index(number); /* no float: Python 3.9 took one */
    long value = -1;
    int overflow;

    if (index != NULL)
        value = PyLong_AsLongAndOverflow(index, &overflow);
    Py_XDECREF(index);
    return value;
}
