/* ext/wsgi: rules of PEP 3333 that the server and the Framework share. */
#include "wsgi.h"

int ext_close_result(const struct ext_state *st, PyObject *result)
{
    PyObject *method = PyObject_GetAttr(result, st->names.close);
    PyObject *closed;

    if (method == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError))
            return -1;
        PyErr_Clear();
        return 0;
    }
    closed = PyObject_CallNoArgs(method);
    Py_DECREF(method);
    Py_XDECREF(closed);
    return closed == NULL ? -1 : 0;
}

int ext_check_exc_info(PyObject *exc_info)
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
