/* ext/upgrade: what an application sees of an upgrade; ws_hide_upgrade. */
#include "upgrade.h"

/* Say whether plain rules may match, and see to it that Werkzeug asks. */
static int mark(const struct ext_state *st, PyObject *environ,
                enum ext_hide hide)
{
    PyObject *may = hide == EXT_HIDE_AUTO ? Py_True : Py_False;
    PyObject *module, *done;

    if (PyDict_SetItem(environ, st->names.plain_rules, may) < 0)
        return -1;
    if (hide != EXT_HIDE_AUTO)
        return 0;
    module = PyImport_ImportModule("wsocket._werkzeug");
    if (module == NULL)
        return -1;
    done = PyObject_CallMethod(module, "observe", NULL);
    Py_DECREF(module);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* The elements of a field's list but `upgrade`; a new list. */
static PyObject *other_elements(PyObject *field)
{
    PyObject *comma = PyUnicode_FromString(",");
    PyObject *all = comma != NULL ? PyUnicode_Split(field, comma, -1) : NULL;
    PyObject *kept = all != NULL ? PyList_New(0) : NULL;

    for (Py_ssize_t i = 0; kept != NULL && i < PyList_GET_SIZE(all); i++) {
        PyObject *element =
            PyObject_CallMethod(PyList_GET_ITEM(all, i), "strip", "s", " \t");
        const char *text = element != NULL ? PyUnicode_AsUTF8(element) : NULL;

        if (text == NULL ||
            (text[0] != '\0' && PyOS_stricmp(text, "upgrade") != 0 &&
             PyList_Append(kept, element) < 0))
            Py_CLEAR(kept);
        Py_XDECREF(element);
    }
    Py_XDECREF(comma);
    Py_XDECREF(all);
    return kept;
}

/* The list without the element `upgrade`; a new str. */
static PyObject *without_upgrade(PyObject *field)
{
    PyObject *separator = PyUnicode_FromString(", ");
    PyObject *kept = separator != NULL ? other_elements(field) : NULL;
    PyObject *text = kept != NULL ? PyUnicode_Join(separator, kept) : NULL;

    Py_XDECREF(separator);
    Py_XDECREF(kept);
    return text;
}

/* Take HTTP_UPGRADE and the `upgrade` of HTTP_CONNECTION out of the environ. */
static int hide_upgrade(const struct ext_state *st, PyObject *environ)
{
    PyObject *list =
        ext_xref(PyDict_GetItemWithError(environ, st->names.http_connection));
    PyObject *rest;
    int rc;

    if (list == NULL)
        return PyErr_Occurred() ? -1 : 0;
    rest = without_upgrade(list);
    Py_DECREF(list);
    if (rest == NULL)
        return -1;
    if (PyUnicode_GET_LENGTH(rest) > 0)
        rc = PyDict_SetItem(environ, st->names.http_connection, rest);
    else
        rc = PyDict_DelItem(environ, st->names.http_connection);
    Py_DECREF(rest);
    return rc < 0 ? -1 : PyDict_DelItem(environ, st->names.http_upgrade);
}

enum ext_hide ext_upgrade_mode(const char *option)
{
    if (strcmp(option, "always") == 0)
        return EXT_HIDE_ALWAYS;
    return strcmp(option, "never") == 0 ? EXT_HIDE_NEVER : EXT_HIDE_AUTO;
}

int ext_upgrade_show(const struct ext_state *st, PyObject *environ,
                     enum ext_hide hide)
{
    return hide == EXT_HIDE_ALWAYS ? hide_upgrade(st, environ)
                                   : mark(st, environ, hide);
}
