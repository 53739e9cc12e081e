/* ext/upgrade: whether an application may see that a request is an upgrade. */
#include "upgrade.h"

/* Middleware between the server and the application that is looked through. */
#define MOST_STEPS 8

/* Nobody has asked the application for this: what fails is not there. Only what
 * is no Exception, such as a SystemExit, stays set. */
static void forget_exception(void)
{
    if (PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_Exception))
        PyErr_Clear();
}

/* The attribute, or NULL without an exception when there is none. */
static PyObject *attribute(PyObject *o, const char *name)
{
    PyObject *value = PyObject_GetAttrString(o, name);

    forget_exception();
    return value;
}

/* What a middleware wraps. NULL: nothing, or with an exception set. */
static PyObject *inner(PyObject *app)
{
    static const char *const NAMES[] = {"app", "wsgi_app", "application",
                                        "__self__"};
    PyObject *value = NULL;

    for (size_t i = 0; i < Py_ARRAY_LENGTH(NAMES); i++) {
        value = attribute(app, NAMES[i]);
        if (value == Py_None)
            Py_CLEAR(value);
        if (value != NULL || PyErr_Occurred())
            break;
    }
    return value;
}

/* The Werkzeug routes of an application. NULL: none, or with an exception. */
static PyObject *find_url_map(PyObject *app)
{
    PyObject *map = NULL;

    app = ext_ref(app);
    for (int i = 0; i < MOST_STEPS && app != NULL; i++) {
        map = attribute(app, "url_map");
        if (map != NULL || PyErr_Occurred())
            break;
        Py_SETREF(app, inner(app));
    }
    Py_XDECREF(app);
    return map;
}

/* What a map says of the path; UNKNOWN also with an exception set. */
enum rule { RULE_MATCHES, RULE_NOT_FOUND, RULE_UNKNOWN };

/* No match is told by one of many exceptions: that there is no such path, by
 * the one with the code 404. */
static enum rule why_no_match(void)
{
    PyObject *type, *error, *traceback, *code;
    bool not_found;

    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    code = attribute(error, "code");
    not_found = code != NULL && PyLong_Check(code) &&
                PyLong_AsLong(code) == 404;
    Py_XDECREF(code);
    PyErr_Clear();
    PyErr_Restore(type, error, traceback);
    forget_exception();
    return not_found ? RULE_NOT_FOUND : RULE_UNKNOWN;
}

static enum rule ask(PyObject *adapter, PyObject *websocket)
{
    PyObject *method = attribute(adapter, "match");
    PyObject *none = PyTuple_New(0);
    PyObject *kwargs = Py_BuildValue("{sO}", "websocket", websocket);
    PyObject *match = NULL;

    if (method != NULL && none != NULL && kwargs != NULL)
        match = PyObject_Call(method, none, kwargs);
    Py_XDECREF(method);
    Py_XDECREF(none);
    Py_XDECREF(kwargs);
    Py_XDECREF(match);
    if (match != NULL)
        return RULE_MATCHES;
    return PyErr_Occurred() ? why_no_match() : RULE_UNKNOWN;
}

int ext_upgrade_unwanted(PyObject *app, PyObject *environ)
{
    PyObject *map = find_url_map(app);
    PyObject *adapter;
    int unwanted;

    if (map == NULL)
        return PyErr_Occurred() ? -1 : 0;
    if (!PyObject_HasAttrString(map, "bind_to_environ")) {
        Py_DECREF(map);
        return 0;
    }
    adapter = PyObject_CallMethod(map, "bind_to_environ", "O", environ);
    Py_DECREF(map);
    if (adapter == NULL) {
        forget_exception();
        return PyErr_Occurred() ? -1 : 0;
    }
    /* Where the map has no rule at all, a middleware between it and us may
     * serve the path, such as Socket.IO's. */
    unwanted = ask(adapter, Py_True) != RULE_MATCHES && !PyErr_Occurred() &&
               ask(adapter, Py_False) != RULE_NOT_FOUND;
    Py_DECREF(adapter);
    return PyErr_Occurred() ? -1 : unwanted;
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

int ext_upgrade_hide(const struct ext_state *st, PyObject *environ)
{
    PyObject *list =
        PyDict_GetItemWithError(environ, st->names.http_connection);
    PyObject *rest;
    int rc;

    if (list == NULL)
        return PyErr_Occurred() ? -1 : 0;
    rest = without_upgrade(list);
    if (rest == NULL)
        return -1;
    if (PyUnicode_GET_LENGTH(rest) > 0)
        rc = PyDict_SetItem(environ, st->names.http_connection, rest);
    else
        rc = PyDict_DelItem(environ, st->names.http_connection);
    Py_DECREF(rest);
    return rc < 0 ? -1 : PyDict_DelItem(environ, st->names.http_upgrade);
}
