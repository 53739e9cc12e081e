/* ext/options: the options of a server, and keyword arguments as a
 * wsk_server_config. */
#include "options.h"

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

/* Return "url=folder" for an item of a dictionary, or the text of a list's
 * item. */
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

/* Return the items on lines of their own, as wsk_config_set() reads a list. */
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

/* Return the text of an option's value as wsk_config_set() reads it; a new
 * reference. NULL without an exception for None: the default. */
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

/* Set one option. The configuration borrows the text, so `kept` holds it. */
static int set_option(wsk_server_config *cfg, PyObject *kept, PyObject *key,
                      PyObject *value)
{
    const char *name = PyUnicode_AsUTF8(key);
    const wsk_option *option = option_named(name);
    PyObject *text = option_text(option, value);
    const char *bytes;
    Py_ssize_t len;
    char error[160];
    int rc = -1;

    if (text == NULL)
        return PyErr_Occurred() ? -1 : 0;
    bytes = PyUnicode_AsUTF8AndSize(text, &len);
    if (name != NULL && bytes != NULL && PyList_Append(kept, text) == 0) {
        if (strlen(bytes) != (size_t)len)
            PyErr_Format(PyExc_ValueError, "%s holds a NUL", name);
        else if (wsk_config_set(cfg, name, bytes, error) == WSK_OK)
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

    char error[160];

    wsk_config_init(cfg);
    while (options != NULL && PyDict_Next(options, &pos, &key, &value))
        if (set_option(cfg, kept, key, value) < 0)
            return -1;
    if (wsk_config_check(cfg, error) == WSK_OK)
        return 0;
    PyErr_SetString(PyExc_ValueError, error);
    return -1;
}

/* Return the elements of a text as a list of str; one ends before a character
 * of `ends`, and blanks around it are not part of it. */
static PyObject *elements(const char *text, const char *ends)
{
    PyObject *list = PyList_New(0);
    size_t len;

    for (const char *p = text; list != NULL && *p != '\0'; p += len) {
        PyObject *element;

        p += strspn(p, ",\n \t");
        len = strcspn(p, ends);
        while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
            len--;
        if (len == 0)
            continue;
        element = PyUnicode_FromStringAndSize(p, (Py_ssize_t)len);
        if (element == NULL || PyList_Append(list, element) < 0)
            Py_CLEAR(list);
        Py_XDECREF(element);
    }
    return list;
}

PyObject *ext_options_names(const char *text)
{
    PyObject *list = elements(text, ",\n");
    PyObject *names = list != NULL ? PyList_AsTuple(list) : NULL;

    Py_XDECREF(list);
    return names;
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

/* ----------------------------------------------------- what there is --- */

static const char *kind_name(wsk_option_kind kind)
{
    switch (kind) {
    case WSK_OPTION_TEXT:
        return "text";
    case WSK_OPTION_COUNT:
        return "count";
    case WSK_OPTION_BYTES:
        return "bytes";
    case WSK_OPTION_TIME:
        return "time";
    case WSK_OPTION_FLAG:
        return "flag";
    case WSK_OPTION_LIST:
        return "list";
    }
    Py_UNREACHABLE();
}

const char ext_options_doc[] =
    "options() -> list of (name, kind, default, help)\n\n"
    "Every option a Server takes, in the order of the docs. kind is "
    "text, count, bytes, time, flag or list; default is text, or None.";

PyObject *ext_options_list(PyObject *module, PyObject *unused)
{
    size_t n;
    const wsk_option *options = wsk_options(&n);
    PyObject *list = PyList_New((Py_ssize_t)n);

    (void)module;
    (void)unused;
    for (size_t i = 0; list != NULL && i < n; i++) {
        PyObject *row = Py_BuildValue("(sszs)", options[i].name,
                                      kind_name(options[i].kind),
                                      options[i].default_text, options[i].help);

        if (row == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)i, row);
    }
    return list;
}

const char ext_options_choices_doc[] =
    "choices(name) -> list, or None\n\n"
    "The words that an option of kind text takes; None: others, too.";

PyObject *ext_options_choices(PyObject *unused, PyObject *name)
{
    const char *text = PyUnicode_AsUTF8(name);
    const char *words = text != NULL ? wsk_option_choices(text) : NULL;

    (void)unused;
    if (words == NULL)
        return text != NULL ? ext_ref(Py_None) : NULL;
    return elements(words, " ");
}
