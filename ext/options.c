/* ext/options: keyword arguments as a wsk_server_config. */
#include "server.h"

#include <string.h>

static const wsk_option *option_named(const char *name)
{
    size_t n;
    const wsk_option *options = wsk_options(&n);

    for (size_t i = 0; name != NULL && i < n; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

/* "url=folder" of an item of a dictionary, or the text of a list's. */
static PyObject *item_text(PyObject *dict, PyObject *item)
{
    PyObject *value = dict != NULL ? PyDict_GetItemWithError(dict, item) : NULL;
    PyObject *text;

    if (value == NULL)
        return PyErr_Occurred() ? NULL : PyObject_Str(item);
    Py_INCREF(value); /* __str__ of the item may take it out */
    text = PyUnicode_FromFormat("%S=%S", item, value);
    Py_DECREF(value);
    return text;
}

/* Items on lines of their own, as wsk_config_set() reads a list. */
static PyObject *list_text(PyObject *value)
{
    PyObject *dict = PyDict_Check(value) ? value : NULL;
    PyObject *lines = PyUnicode_FromString("\n");
    PyObject *items = PySequence_List(value);

    for (Py_ssize_t i = 0;
         items != NULL && lines != NULL && i < PyList_GET_SIZE(items); i++) {
        PyObject *text = item_text(dict, PyList_GET_ITEM(items, i));
        PyObject *longer =
            text != NULL ? PyUnicode_FromFormat("%U%U\n", lines, text) : NULL;

        Py_XDECREF(text);
        Py_SETREF(lines, longer);
    }
    if (items == NULL)
        Py_CLEAR(lines);
    Py_XDECREF(items);
    return lines;
}

/* The text of an option's value as wsk_config_set() reads it; a new reference.
 * NULL without an exception for None: the default. */
static PyObject *option_text(const wsk_option *option, PyObject *value)
{
    bool list = option != NULL && option->kind == WSK_OPTION_LIST;

    if (value == Py_None)
        return NULL;
    if (PyBool_Check(value))
        return PyUnicode_FromString(value == Py_True ? "on" : "off");
    if (PyDict_Check(value) || PyList_Check(value) || PyTuple_Check(value)) {
        if (list)
            return list_text(value);
        if (option != NULL)
            return PyErr_Format(PyExc_TypeError, "%s takes one value",
                                option->name);
    }
    return PyObject_Str(value);
}

/* Texts are borrowed by the configuration, so `kept` holds them. */
static int set_option(wsk_server_config *cfg, PyObject *kept, PyObject *key,
                      PyObject *value)
{
    const char *name = PyUnicode_AsUTF8(key);
    const wsk_option *option = option_named(name);
    PyObject *text = option_text(option, value);
    const char *octets;
    Py_ssize_t len;
    char error[160];
    int rc = -1;

    if (text == NULL)
        return PyErr_Occurred() ? -1 : 0;
    octets = PyUnicode_AsUTF8AndSize(text, &len);
    if (name != NULL && octets != NULL && PyList_Append(kept, text) == 0) {
        if (strlen(octets) != (size_t)len)
            PyErr_Format(PyExc_ValueError, "%s holds a NUL", name);
        else if (wsk_config_set(cfg, name, octets, error) == WSK_OK)
            rc = 0;
        else
            PyErr_SetString(option != NULL ? PyExc_ValueError : PyExc_TypeError,
                            error);
    }
    Py_DECREF(text);
    return rc;
}

int ext_options_fill(wsk_server_config *cfg, PyObject *kept, PyObject *options)
{
    PyObject *key, *value;
    Py_ssize_t pos = 0;

    wsk_config_init(cfg);
    while (options != NULL && PyDict_Next(options, &pos, &key, &value))
        if (set_option(cfg, kept, key, value) < 0)
            return -1;
    return 0;
}

PyObject *ext_names_in(const char *text)
{
    PyObject *names = PyList_New(0), *tuple = NULL;
    size_t len;

    for (const char *p = text; names != NULL && *p != '\0'; p += len) {
        PyObject *name;

        p += strspn(p, ",\n \t");
        len = strcspn(p, ",\n");
        while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
            len--;
        if (len == 0)
            continue;
        name = PyUnicode_FromStringAndSize(p, (Py_ssize_t)len);
        if (name == NULL || PyList_Append(names, name) < 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    if (names != NULL)
        tuple = PyList_AsTuple(names);
    Py_XDECREF(names);
    return tuple;
}

const char ext_options_check_doc[] =
    "check(name, value)\n\n"
    "Whether the option takes the value: TypeError for an unknown "
    "name,\nValueError for a value out of range.";

PyObject *ext_options_check(PyObject *unused, PyObject *args)
{
    PyObject *key, *value, *kept;
    wsk_server_config cfg;
    int rc;

    (void)unused;
    if (!PyArg_ParseTuple(args, "UO:check", &key, &value))
        return NULL;
    kept = PyList_New(0);
    if (kept == NULL)
        return NULL;
    wsk_config_init(&cfg);
    rc = set_option(&cfg, kept, key, value);
    Py_DECREF(kept);
    if (rc < 0)
        return NULL;
    Py_RETURN_NONE;
}
