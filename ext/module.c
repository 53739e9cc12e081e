/* ext/module: the module `wsocket._wsocket`, its state and its functions. */
#include "answer.h"
#include "ask.h"
#include "environ.h"
#include "errors.h"
#include "event.h"
#include "file.h"
#include "foreign.h"
#include "framework.h"
#include "functions.h"
#include "gil.h"
#include "input.h"
#include "log.h"
#include "reader.h"
#include "response.h"
#include "server.h"
#include "socket.h"
#include "state.h"
#include "websocket.h"

static struct PyModuleDef module_def;

struct ext_state *ext_state_of(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030B0000
    return PyModule_GetState(PyType_GetModuleByDef(type, &module_def));
#else
    /* The same search as PyType_GetModuleByDef(), which came with 3.11. */
    PyObject *mro = type->tp_mro;

    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        PyObject *module;

        if (!PyType_HasFeature(base, Py_TPFLAGS_HEAPTYPE))
            continue;
        module = ((PyHeapTypeObject *)base)->ht_module;
        if (module != NULL && PyModule_GetDef(module) == &module_def)
            return PyModule_GetState(module);
    }
    Py_UNREACHABLE();
#endif
}

int ext_type_add(PyObject *module, PyType_Spec *spec, PyTypeObject **slot,
                 bool is_public)
{
    *slot = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (*slot == NULL)
        return -1;
    return is_public ? PyModule_AddType(module, *slot) : 0;
}

PyObject *ext_no_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    return PyErr_Format(PyExc_TypeError, "only the server makes a %s",
                        type->tp_name);
}

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

PyDoc_STRVAR(
    options_doc,
    "options() -> list of (name, kind, default, help)\n\n"
    "Every option a Server takes, in the order of the docs. kind is "
    "text, count, bytes, time, flag or list; default is text, or None.");

static PyObject *module_options(PyObject *module, PyObject *unused)
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

PyDoc_STRVAR(choices_doc,
             "choices(name) -> list, or None\n\n"
             "The words that an option of kind text takes; None: others, too.");

static PyObject *module_choices(PyObject *module, PyObject *name)
{
    const char *text = PyUnicode_AsUTF8(name);
    const char *words = text != NULL ? wsk_option_choices(text) : NULL;
    PyObject *joined, *list;

    (void)module;
    if (words == NULL)
        return text != NULL ? ext_ref(Py_None) : NULL;
    joined = PyUnicode_FromString(words);
    list = joined != NULL ? PyUnicode_Split(joined, NULL, -1) : NULL;
    Py_XDECREF(joined);
    return list;
}

PyDoc_STRVAR(errors_doc,
             "error_stream() -> ErrorStream or None\n\n"
             "wsgi.errors of the server whose thread this is, or else of the "
             "newest.");

static PyObject *module_errors(PyObject *module, PyObject *unused)
{
    struct ext_state *st = PyModule_GetState(module);
    PyObject *errors = ext_log_of_thread();

    (void)unused;
    if (errors == NULL)
        errors = st->errors;
    return ext_ref(errors == NULL ? Py_None : errors);
}

static PyMethodDef module_methods[] = {
    {"error_stream", module_errors, METH_NOARGS, errors_doc},
    {"options", module_options, METH_NOARGS, options_doc},
    {"choices", module_choices, METH_O, choices_doc},
    {NULL, NULL, 0, NULL},
};

static int add_names(struct ext_state *st)
{
#define X(name, text)                                                          \
    st->names.name = PyUnicode_InternFromString(text);                         \
    if (st->names.name == NULL)                                                \
        return -1;
    EXT_NAMES(X)
#undef X
    return 0;
}

static int add_logger(struct ext_state *st)
{
    PyObject *logging = PyImport_ImportModule("logging");

    if (logging == NULL)
        return -1;
    st->logger = PyObject_CallMethod(logging, "getLogger", "s", "wsocket");
    Py_DECREF(logging);
    return st->logger == NULL ? -1 : 0;
}

static int module_exec(PyObject *module)
{
    struct ext_state *st = PyModule_GetState(module);

    if (ext_gil_init() < 0 || add_names(st) < 0 || add_logger(st) < 0 ||
        ext_errors_add(module, st) < 0 || ext_environ_add(st) < 0 ||
        ext_file_add(module, st) < 0 || ext_input_add(module, st) < 0 ||
        ext_log_add(module, st) < 0 || ext_functions_add(module, st) < 0 ||
        ext_response_add(module, st) < 0 || ext_event_add(module, st) < 0 ||
        ext_socket_add(module, st) < 0 || ext_websocket_add(module, st) < 0 ||
        ext_server_add(module, st) < 0 || ext_answer_add(module, st) < 0 ||
        ext_framework_add(module, st) < 0 || ext_foreign_add(module, st) < 0 ||
        ext_ask_add(module, st) < 0 || ext_reader_add(module, st) < 0)
        return -1;
    return PyModule_AddStringConstant(module, "__version__", wsk_version());
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct ext_state *st = PyModule_GetState(module);

    Py_VISIT(st->server_type);
    Py_VISIT(st->input_type);
    Py_VISIT(st->function_type);
    if (st->spare_input != NULL) /* for it cannot say so itself */
        Py_VISIT(Py_TYPE(st->spare_input));
    if (st->spare_hints != NULL) /* nor these */
        Py_VISIT(Py_TYPE(st->spare_hints));
    if (st->spare_disconnected != NULL)
        Py_VISIT(Py_TYPE(st->spare_disconnected));
    Py_VISIT(st->spare_response);
    Py_VISIT(st->log_type);
    Py_VISIT(st->response_type);
    Py_VISIT(st->websocket_type);
    Py_VISIT(st->event_type);
    Py_VISIT(st->socket_type);
    Py_VISIT(st->foreign_type);
    Py_VISIT(st->ask_type);
    Py_VISIT(st->reader_type);
    Py_VISIT(st->answer_type);
    Py_VISIT(st->framework_type);
    Py_VISIT(st->html_headers);
    Py_VISIT(st->file_type);
    Py_VISIT(st->FileIO);
    Py_VISIT(st->BufferedReader);
    Py_VISIT(st->BufferedRandom);
    Py_VISIT(st->WebSocketError);
    Py_VISIT(st->ProtocolError);
    Py_VISIT(st->FrameTooLargeException);
    Py_VISIT(st->logger);
    Py_VISIT(st->errors);
    return 0;
}

static int module_clear(PyObject *module)
{
    struct ext_state *st = PyModule_GetState(module);

    Py_CLEAR(st->server_type);
    Py_CLEAR(st->spare_input);
    Py_CLEAR(st->spare_hints);
    Py_CLEAR(st->spare_disconnected);
    ext_response_clear_spare(st);
    Py_CLEAR(st->input_type);
    Py_CLEAR(st->function_type);
    Py_CLEAR(st->log_type);
    Py_CLEAR(st->response_type);
    Py_CLEAR(st->websocket_type);
    Py_CLEAR(st->event_type);
    Py_CLEAR(st->socket_type);
    Py_CLEAR(st->foreign_type);
    Py_CLEAR(st->ask_type);
    Py_CLEAR(st->reader_type);
    Py_CLEAR(st->answer_type);
    Py_CLEAR(st->framework_type);
    Py_CLEAR(st->html_headers);
    Py_CLEAR(st->file_type);
    Py_CLEAR(st->FileIO);
    Py_CLEAR(st->BufferedReader);
    Py_CLEAR(st->BufferedRandom);
    Py_CLEAR(st->WebSocketError);
    Py_CLEAR(st->ProtocolError);
    Py_CLEAR(st->FrameTooLargeException);
    Py_CLEAR(st->logger);
    Py_CLEAR(st->errors);
    return 0;
}

static void module_free(void *module)
{
    struct ext_state *st = PyModule_GetState(module);

    module_clear(module);
    ext_environ_remove(st);
    for (size_t i = 0; i < EXT_GOOD_NAMES; i++)
        Py_CLEAR(st->good_names[i]);
#define X(name, text) Py_CLEAR(st->names.name);
    EXT_NAMES(X)
#undef X
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "wsocket._wsocket",
    .m_doc = "HTTP/1.1 and WebSocket server; the part that is written in C.",
    .m_size = sizeof(struct ext_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__wsocket(void);

PyMODINIT_FUNC PyInit__wsocket(void)
{
    return PyModuleDef_Init(&module_def);
}
