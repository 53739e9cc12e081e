/* ext/websocket_object: what the files of the WebSocket type share. */
#ifndef WSK_EXT_WEBSOCKET_OBJECT_H
#define WSK_EXT_WEBSOCKET_OBJECT_H

#include "websocket.h"

/* What send() does about a slow reader; see DOC_SEND_POLICY. */
enum ext_policy {
    EXT_POLICY_DEFAULT,
    EXT_POLICY_WAIT,
    EXT_POLICY_DROP,
    EXT_POLICY_CLOSE,
};

typedef struct {
    PyObject_HEAD
    struct ext_state *st;
    wsk_request *req;     /* until the handler returns */
    wsk_conn *conn;       /* a reference, once 101 has left */
    unsigned long thread; /* the handler's, which alone may use req */
    struct ext_environ *maker;
    PyObject *owner;     /* keeps maker alive */
    PyObject *environ;   /* or NULL: made on demand */
    PyObject *protocols; /* tuple of str, the preferred first; or NULL */
    PyObject *extra;     /* list of headers for the 101, or NULL */
    PyObject *app;       /* the events it is attached to, or NULL */
    PyObject *dict;
    PyObject *weakrefs;
    PyObject *on_ping, *on_pong;    /* or NULL */
    PyThread_type_lock stream_lock; /* held by send_stream(); or NULL */
    unsigned long streamer;         /* the thread that holds it; 0: none */
    unsigned streams_ended;
    enum ext_policy policy;
    bool shown;      /* the application has seen environ */
    bool told_ended; /* receive() has returned None */
    bool in_stream;  /* receive_stream() has not given all of its message */
    bool client;     /* of connect(): lone, and without an environ */
    bool lone;       /* on no server of ours: who calls does the work */
} WebSocketObject;

#define WebSocket_CAST(op) ((WebSocketObject *)(op))

/* ---- accepting ---- */

/* The head of the handshake; NULL when the request is over without 101, and
 * with an exception when memory is out. *made is for wsk_free(). */
const wsk_head *ext_ws_head(const WebSocketObject *self, wsk_head **made);

/* One of the client's subprotocols; NULL: none. */
const char *ext_ws_choose_protocol(const WebSocketObject *self,
                                   const wsk_head *head);

/* A dict or iterable of (name, value) as a list of headers for a 101, checked;
 * NULL with an exception set. */
PyObject *ext_ws_headers(PyObject *given);

/* Open the WebSocket if it is undecided. -1 with an exception set. */
int ext_ws_open(WebSocketObject *self, const char *what);

/* wsk_conn_close(); a lone one waits until the Close has left. */
wsk_status ext_ws_close_conn(WebSocketObject *self, uint16_t code,
                             const char *reason, size_t len);

/* Complete the closing handshake of a lone one, and end the transport in any
 * case. -1 with an exception that came in between. */
int ext_ws_finish(WebSocketObject *self, bool at_once);

bool ext_ws_is_closed(const WebSocketObject *self);

/* ---- hooks ---- */

/* Have pings and pongs told if somebody wants to know. -1 with an exception. */
int ext_ws_hear(WebSocketObject *self);

/* Call the hook for a ping or pong, if there is one. -1 with an exception. */
int ext_ws_tell(WebSocketObject *self, const wsk_message *msg);

/* ---- ending ---- */

/* "1006", and if we gave the peer up, what we told it. */
#define EXT_HOW_MAX 256
void ext_ws_how(const wsk_close_info *info, char how[EXT_HOW_MAX]);

/* The peer's reason; or, if we gave it up, what we told it. */
PyObject *ext_ws_reason(const wsk_close_info *info);

/* ---- receiving ---- */

/* The type of what receive_stream() returns. */
int ext_ws_pieces_add(PyObject *module, struct ext_state *st);

/* Wait for a message, or for a piece of one; pings are told meanwhile. 1: *msg
 * is the caller's to free; 0: the connection has ended; -1 with an exception.
 */
int ext_ws_fetch(WebSocketObject *self, int timeout_ms, bool piece,
                 wsk_message *msg);

/* The connection has ended: None once, which ends a loop, then an error. */
PyObject *ext_ws_tell_ended(WebSocketObject *self, const char *what);

/* ---- sending ---- */

/* After a piece of a stream: WSK_OK, and whatever wsk_conn_drain() says. */
wsk_status ext_ws_wait_for_stream(WebSocketObject *self);

/* What became of sending, once a signal that interrupted it was attended to;
 * with an exception if that raised one. */
wsk_status ext_ws_resume(WebSocketObject *self, wsk_status st);

/* Whether to try again what the engine refused because of a message in pieces.
 * `ended` is streams_ended, from before the first try. */
bool ext_ws_await_stream(WebSocketObject *self, unsigned ended);

/* NULL, with the exception for what came of sending. */
PyObject *ext_ws_raise_send(WebSocketObject *self, wsk_status st,
                            const char *what);

/* ---- methods and attributes ---- */

PyObject *ext_ws_receive(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames);
PyObject *ext_ws_iternext(PyObject *op);
PyObject *ext_ws_receive_stream(PyObject *op, PyObject *const *args,
                                Py_ssize_t nargs, PyObject *kwnames);
PyObject *ext_ws_attach(PyObject *op, PyObject *app);

/* The events of a lone WebSocket that is attached, until it ends; as of its
 * handler, which has returned. What interrupts them stays set. */
void ext_ws_serve(WebSocketObject *self);

PyObject *ext_ws_send(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames);
PyObject *ext_ws_send_frame(PyObject *op, PyObject *const *args,
                            Py_ssize_t nargs, PyObject *kwnames);
PyObject *ext_ws_send_stream(PyObject *op, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *kwnames);
PyObject *ext_ws_ping(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames);
PyObject *ext_ws_pong(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames);
PyObject *ext_ws_close(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames);
PyObject *ext_ws_enter(PyObject *op, PyObject *unused);
PyObject *ext_ws_exit(PyObject *op, PyObject *const *args, Py_ssize_t nargs);
PyObject *ext_ws_repr(PyObject *op);
PyObject *ext_ws_version(PyObject *op, void *unused);
PyObject *ext_ws_get_hook(PyObject *op, void *pong);
int ext_ws_set_hook(PyObject *op, PyObject *hook, void *pong);
PyObject *ext_ws_get_latency(PyObject *op, void *unused);
PyObject *ext_ws_get_buffered(PyObject *op, void *unused);
PyObject *ext_ws_get_full(PyObject *op, void *unused);
PyObject *ext_ws_get_policy(PyObject *op, void *unused);
int ext_ws_set_policy(PyObject *op, PyObject *value, void *unused);
extern PyGetSetDef ext_ws_getset[];

#endif
