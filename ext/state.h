/* ext/state: what the files of the extension share. The only room with
 * Python.h; of the library it sees wsocket.h and nothing else. */
#ifndef WSK_EXT_STATE_H
#define WSK_EXT_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdatomic.h>
#include <structmember.h>
#include <time.h>

#include "wsocket.h"

/* Names that are looked up or stored again and again, made once. */
/* clang-format off */
#define EXT_NAMES(X)                                                           \
    X(close, "close")                                                          \
    X(onconnect, "onconnect")                                                  \
    X(onmessage, "onmessage")                                                  \
    X(onclose, "onclose")                                                      \
    X(ondrain, "ondrain")                                                      \
    X(ondraining, "ondraining")                                                \
    X(websocket_class, "websocket_class")                                      \
    X(on_ping, "on_ping")                                                      \
    X(on_pong, "on_pong")                                                      \
    X(input, "wsgi.input")                                                     \
    X(errors, "wsgi.errors")                                                   \
    X(early_hints, "wsgi.early_hints")                                         \
    X(client_disconnected, "wsocket.client_disconnected")                      \
    X(websocket, "wsgi.websocket")                                             \
    X(websocket_version, "wsgi.websocket_version")                             \
    X(plain_rules, "wsocket.plain_rules")                                      \
    X(werkzeug_socket, "werkzeug.socket")                                      \
    X(gunicorn_socket, "gunicorn.socket")                                      \
    X(content_type, "CONTENT_TYPE")                                            \
    X(content_length, "CONTENT_LENGTH")                                        \
    X(transfer_encoding, "HTTP_TRANSFER_ENCODING")                             \
    X(http_host, "HTTP_HOST")                                                  \
    X(url_scheme, "wsgi.url_scheme")                                           \
    X(https, "https")                                                          \
    X(http_upgrade, "HTTP_UPGRADE")                                            \
    X(http_connection, "HTTP_CONNECTION")                                      \
    X(request_method, "REQUEST_METHOD")                                        \
    X(path_info, "PATH_INFO")                                                  \
    X(serve, "serve")                                                          \
    X(ok, "200 OK")                                                            \
    X(html, "text/html; charset=utf-8")                                        \
    X(text, "text/plain; charset=utf-8")                                       \
    X(thirteen, "13")                                                          \
    X(empty, "")

/* Keys that every environ has and every request sets. */
#define EXT_SLOTS(X)                                                           \
    X(METHOD,   "REQUEST_METHOD")                                              \
    X(PATH,     "PATH_INFO")                                                   \
    X(QUERY,    "QUERY_STRING")                                                \
    X(RAW_URI,  "RAW_URI")                                                     \
    X(PROTOCOL, "SERVER_PROTOCOL")                                             \
    X(NAME,     "SERVER_NAME")                                                 \
    X(ADDR,     "REMOTE_ADDR")                                                 \
    X(URI,      "REQUEST_URI")                                                 \
    X(PORT,     "SERVER_PORT")                                                 \
    X(ADDRPORT, "REMOTE_PORT")
/* clang-format on */

enum ext_slot {
#define X(name, text) EXT_SLOT_##name,
    EXT_SLOTS(X)
#undef X
        EXT_SLOT_COUNT
};

#define EXT_HOP_FIELDS 9

/* The types of the module, and whether it shows them. NAME.h declares
 * ext_NAME_spec; module.c makes them all. */
/* clang-format off */
#define EXT_TYPES(X)                                                           \
    X(file, false)                                                             \
    X(input, false)                                                            \
    X(log, false)                                                              \
    X(function, false)                                                         \
    X(response, false)                                                         \
    X(event, true)                                                             \
    X(socket, false)                                                           \
    X(stream, false)                                                           \
    X(websocket, true)                                                         \
    X(server, true)                                                            \
    X(answer, true)                                                            \
    X(framework, true)                                                         \
    X(foreign, true)                                                           \
    X(ask, true)                                                               \
    X(reader, true)                                                            \
    X(board, true)                                                             \
    X(listener, true)

/* Other objects of the module: its exceptions; logging.getLogger("wsocket");
 * wsgi.errors of the newest server, or NULL; the list of wsocket.testing, or
 * NULL; the headers of an answer in HTML,
 * a list that is never changed; classes of the module io. */
#define EXT_OBJECTS(X)                                                         \
    X(WebSocketError)                                                          \
    X(ProtocolError)                                                           \
    X(FrameTooLargeException)                                                  \
    X(logger)                                                                  \
    X(errors)                                                                  \
    X(html_headers)                                                            \
    X(outbox)                                                                  \
    X(FileIO)                                                                  \
    X(BufferedReader)                                                          \
    X(BufferedRandom)
/* clang-format on */

struct ext_state {
    _Atomic(time_t) hop_told[EXT_HOP_FIELDS]; /* last warned of; headers.c */
    struct ext_key_table *keys;               /* of the common names; keys.c */
    PyObject *slots[EXT_SLOT_COUNT];          /* keys of an environ */
    struct {
#define X(name, is_public) PyTypeObject *name;
        EXT_TYPES(X)
#undef X
    } types;
    struct {
#define X(name, text) PyObject *name;
        EXT_NAMES(X)
#undef X
    } names;
#define X(name) PyObject *name;
    EXT_OBJECTS(X)
#undef X

    /* sys.setswitchinterval() holds for the whole process. */
    wsk_topics *topics;  /* of this process; or NULL */
    long topics_pid;     /* the process they are of */
    int serving;         /* servers that are started */
    double old_interval; /* seconds, to restore after the last; 0: leave */
};

/* Set the module that has the state, before that is first asked for. */
void ext_state_init(struct PyModuleDef *module);

/* Make the names. -1 with an exception set. */
int ext_state_add_names(struct ext_state *st);

int ext_state_traverse(struct ext_state *st, visitproc visit, void *arg);

/* Release the types and objects, and, in free, the names. */
void ext_state_clear(struct ext_state *st);
void ext_state_free(struct ext_state *st);

/* Return the state of the module that made `type` or one of its bases; never
 * NULL for our types. PyType_GetModuleState() would fail for a Python subclass.
 */
struct ext_state *ext_state_of(PyTypeObject *type);

/* The tp_new of types that only the server makes: raises TypeError. */
PyObject *ext_no_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);

/* Import a module and return its attribute `name`; NULL with an exception. */
PyObject *ext_import(const char *module, const char *name);

static inline PyObject *ext_ref(PyObject *o)
{
    Py_INCREF(o);
    return o;
}

static inline PyObject *ext_xref(PyObject *o)
{
    Py_XINCREF(o);
    return o;
}

/* METH_FASTCALL and METH_KEYWORDS functions have a type of their own. */
#define EXT_METHOD(function) ((PyCFunction)(void (*)(void))(function))

#endif
