#include "topic_names.h"

#include <string.h>

PyObject *ext_topic_tuple(char *names, size_t n)
{
    PyObject *tuple = PyTuple_New((Py_ssize_t)n);

    for (const char *at = names; tuple != NULL && n > 0; at += strlen(at) + 1) {
        PyObject *name = PyUnicode_FromString(at);

        if (name == NULL)
            Py_CLEAR(tuple);
        else
            PyTuple_SET_ITEM(tuple, (Py_ssize_t)--n, name);
    }
    wsk_free(names);
    return tuple;
}

int ext_topic_name(PyObject *topic, wsk_str *name)
{
    Py_ssize_t len;

    if (!PyUnicode_Check(topic)) {
        PyErr_Format(PyExc_TypeError, "a topic is a str, not %.100s",
                     Py_TYPE(topic)->tp_name);
        return -1;
    }
    name->p = PyUnicode_AsUTF8AndSize(topic, &len);
    if (name->p == NULL)
        return -1; /* a UnicodeEncodeError is a ValueError */
    name->len = (size_t)len;
    if (wsk_topic_is_valid(name->p, name->len))
        return 0;
    PyErr_Format(PyExc_ValueError,
                 "a topic has 1 to 200 octets of UTF-8, and no control "
                 "characters: %.220R",
                 topic);
    return -1;
}
