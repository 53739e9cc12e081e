/* ext/topics: the functions of the module that publish, and listeners. */
#ifndef WSK_EXT_TOPICS_H
#define WSK_EXT_TOPICS_H

#include "gaps.h"
#include "state.h"

extern const PyType_Spec ext_listener_spec;

/* Return the topics of this process, made if there are none; NULL with an
 * exception set. Borrowed. */
wsk_topics *ext_topics(struct ext_state *st);

/* Note that a server has started in this process: it may have been made before
 * a fork. */
void ext_topics_serve(struct ext_state *st, const wsk_server *srv);

PyObject *ext_publish(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames);
PyObject *ext_count(PyObject *module, PyObject *topic);
PyObject *ext_disconnect(PyObject *module, PyObject *const *args,
                         Py_ssize_t nargs, PyObject *kwnames);
PyObject *ext_listen(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames);
PyObject *ext_topic_stats(PyObject *module, PyObject *unused);
PyObject *ext_set_outbox(PyObject *module, PyObject *outbox);
PyObject *ext_join(PyObject *module, PyObject *folder);
PyObject *ext_open_broker(PyObject *module, PyObject *args);
PyObject *ext_hold_folder(PyObject *module, PyObject *folder);
PyObject *ext_leave(PyObject *module, PyObject *unused);
PyObject *ext_leave_bus(PyObject *module, PyObject *unused);

#define EXT_TOPICS_METHODS                                                     \
    {"publish", EXT_METHOD(ext_publish), METH_FASTCALL | METH_KEYWORDS,        \
     ext_publish_doc},                                                         \
        {"count", ext_count, METH_O, ext_count_doc},                           \
        {"disconnect", EXT_METHOD(ext_disconnect),                             \
         METH_FASTCALL | METH_KEYWORDS, ext_disconnect_doc},                   \
        {"listen", EXT_METHOD(ext_listen), METH_FASTCALL | METH_KEYWORDS,      \
         ext_listen_doc},                                                      \
        {"next_gap", ext_next_gap, METH_NOARGS, ext_next_gap_doc},             \
        {"topic_stats", ext_topic_stats, METH_NOARGS, ext_topic_stats_doc},    \
        {"join", ext_join, METH_O, ext_join_doc},                              \
        {"open_broker", ext_open_broker, METH_VARARGS, ext_open_broker_doc},   \
        {"hold_folder", ext_hold_folder, METH_O, ext_hold_folder_doc},         \
        {"leave", ext_leave, METH_NOARGS, ext_leave_doc},                      \
        {"leave_bus", ext_leave_bus, METH_NOARGS, ext_leave_bus_doc},          \
    {                                                                          \
        "set_outbox", ext_set_outbox, METH_O, ext_set_outbox_doc               \
    }

extern const char ext_publish_doc[], ext_count_doc[], ext_disconnect_doc[],
    ext_listen_doc[], ext_topic_stats_doc[], ext_set_outbox_doc[],
    ext_join_doc[], ext_open_broker_doc[], ext_hold_folder_doc[],
    ext_leave_doc[], ext_leave_bus_doc[];

#endif
