/* ext/module: the module `wsocket._wsocket`: its functions, and the table of
 * its types. */
#include "answer.h"
#include "ask.h"
#include "board.h"
#include "errors.h"
#include "event.h"
#include "file.h"
#include "foreign.h"
#include "framework.h"
#include "functions.h"
#include "gil.h"
#include "input.h"
#include "keys.h"
#include "log.h"
#include "options.h"
#include "process.h"
#include "reader.h"
#include "response.h"
#include "server.h"
#include "socket.h"
#include "state.h"
#include "thread.h"
#include "topics.h"
#include "websocket_object.h"

#include <stddef.h>

PyDoc_STRVAR(errors_doc,
             "error_stream() -> ErrorStream or None\n\n"
             "wsgi.errors of the server whose thread this is, or else of the "
             "newest.");

static PyObject *module_errors(PyObject *module, PyObject *unused)
{
    struct ext_state *st = PyModule_GetState(module);
    const struct ext_thread *here = ext_thread_here();
    PyObject *errors = here != NULL ? here->errors : NULL;

    (void)unused;
    if (errors == NULL)
        errors = st->errors;
    return ext_ref(errors == NULL ? Py_None : errors);
}

static PyMethodDef module_methods[] = {
    {"error_stream", module_errors, METH_NOARGS, errors_doc},
    {"cpus", ext_cpus, METH_NOARGS, ext_cpus_doc},
    {"unheed", ext_unheed, METH_O, ext_unheed_doc},
    {"libraries", ext_libraries, METH_NOARGS, ext_libraries_doc},
    {"options", ext_options_list, METH_NOARGS, ext_options_doc},
    {"choices", ext_options_choices, METH_O, ext_options_choices_doc},
    EXT_TOPICS_METHODS,
    {NULL, NULL, 0, NULL},
};

/* The names of the options that a server of one process does not read. */
#define WORD(name, dflt, help) #name " "
#define WORD_LIST(name, field, dflt, help) #name " "

static const char PROCESS_OPTIONS[] = WSK_PROCESS_OPTIONS(
    WORD, WORD, WORD, WORD, WORD) WSK_PROCESS_LIST_OPTIONS(WORD_LIST);

/* ---------------------------------------------------------------- parts ---
 */

struct slot {
    const PyType_Spec *spec;
    size_t offset; /* of its type in the state */
    bool is_public;
};

static const struct slot TYPES[] = {
#define X(name, is_public)                                                     \
    {&ext_##name##_spec, offsetof(struct ext_state, types.name), is_public},
    EXT_TYPES(X)
#undef X
};

static int add_types(PyObject *module)
{
    char *state = PyModule_GetState(module);

    for (size_t i = 0; i < Py_ARRAY_LENGTH(TYPES); i++) {
        PyType_Spec *spec = (PyType_Spec *)(uintptr_t)TYPES[i].spec;
        PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);

        if (type == NULL)
            return -1;
        *(PyTypeObject **)(void *)(state + TYPES[i].offset) =
            (PyTypeObject *)type;
        if (TYPES[i].is_public &&
            PyModule_AddType(module, (PyTypeObject *)type) < 0)
            return -1;
    }
    return 0;
}

static int add_objects(struct ext_state *st)
{
    PyObject *get = ext_import("logging", "getLogger");

    if (get != NULL)
        st->logger = PyObject_CallFunction(get, "s", "wsocket");
    Py_XDECREF(get);
    st->html_headers = Py_BuildValue("[(sO)]", "Content-Type", st->names.html);
    if (st->logger == NULL || st->html_headers == NULL)
        return -1;
    st->FileIO = ext_import("io", "FileIO");
    st->BufferedReader = ext_import("io", "BufferedReader");
    st->BufferedRandom = ext_import("io", "BufferedRandom");
    return st->FileIO == NULL || st->BufferedReader == NULL ||
                   st->BufferedRandom == NULL
               ? -1
               : 0;
}

static int module_exec(PyObject *module)
{
    struct ext_state *st = PyModule_GetState(module);

    if (ext_gil_init() < 0 || ext_state_add_names(st) < 0 ||
        add_objects(st) < 0 || ext_errors_add(module, st) < 0 ||
        ext_keys_add(st) < 0 || add_types(module) < 0)
        return -1;
    if (PyModule_AddStringConstant(module, "PROCESS_OPTIONS", PROCESS_OPTIONS) <
        0)
        return -1;
    return PyModule_AddStringConstant(module, "__version__", wsk_version());
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    return ext_state_traverse(PyModule_GetState(module), visit, arg);
}

static int module_clear(PyObject *module)
{
    ext_state_clear(PyModule_GetState(module));
    return 0;
}

static void module_free(void *module)
{
    struct ext_state *st = PyModule_GetState(module);

    ext_keys_remove(st);
    ext_state_free(st);
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
    ext_state_init(&module_def);
    return PyModuleDef_Init(&module_def);
}
