/* ext/state: the module's state, and how an object of ours finds it. */
#include "state.h"

#include <unistd.h>

/* The definition, one for all interpreters; set before any of them has types.
 */
static struct PyModuleDef *module_def;

void ext_state_init(struct PyModuleDef *module)
{
    module_def = module;
}

struct ext_state *ext_state_of(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030B0000
    return PyModule_GetState(PyType_GetModuleByDef(type, module_def));
#else
    /* The same search as PyType_GetModuleByDef(), which came with 3.11. */
    PyObject *mro = type->tp_mro;

    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        PyObject *module;

        if (!PyType_HasFeature(base, Py_TPFLAGS_HEAPTYPE))
            continue;
        module = ((PyHeapTypeObject *)base)->ht_module;
        if (module != NULL && PyModule_GetDef(module) == module_def)
            return PyModule_GetState(module);
    }
    Py_UNREACHABLE();
#endif
}

static const char *const SLOT_TEXTS[] = {
#define X(name, text) text,
    EXT_SLOTS(X)
#undef X
};

int ext_state_add_names(struct ext_state *st)
{
#define X(name, text)                                                          \
    st->names.name = PyUnicode_InternFromString(text);                         \
    if (st->names.name == NULL)                                                \
        return -1;
    EXT_NAMES(X)
#undef X
    for (size_t i = 0; i < EXT_SLOT_COUNT; i++) {
        st->slots[i] = PyUnicode_InternFromString(SLOT_TEXTS[i]);
        if (st->slots[i] == NULL)
            return -1;
    }
    return 0;
}

int ext_state_traverse(struct ext_state *st, visitproc visit, void *arg)
{
#define X(name, is_public) Py_VISIT(st->types.name);
    EXT_TYPES(X)
#undef X
#define X(name) Py_VISIT(st->name);
    EXT_OBJECTS(X)
#undef X
    return 0;
}

void ext_state_clear(struct ext_state *st)
{
#define X(name, is_public) Py_CLEAR(st->types.name);
    EXT_TYPES(X)
#undef X
#define X(name) Py_CLEAR(st->name);
    EXT_OBJECTS(X)
#undef X
}

void ext_state_free(struct ext_state *st)
{
    ext_state_clear(st);
    if (st->topics_pid == (long)getpid())
        wsk_topics_unref(st->topics);
    st->topics = NULL;
#define X(name, text) Py_CLEAR(st->names.name);
    EXT_NAMES(X)
#undef X
    for (size_t i = 0; i < EXT_SLOT_COUNT; i++)
        Py_CLEAR(st->slots[i]);
}

PyObject *ext_no_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    return PyErr_Format(PyExc_TypeError, "only the server makes a %s",
                        type->tp_name);
}

PyObject *ext_import(const char *module, const char *name)
{
    PyObject *from = PyImport_ImportModule(module);
    PyObject *found = from != NULL ? PyObject_GetAttrString(from, name) : NULL;

    Py_XDECREF(from);
    return found;
}
