/* ext/websocket_object: what the files of the WebSocket type share. */
#ifndef WSK_EXT_WEBSOCKET_OBJECT_H
#define WSK_EXT_WEBSOCKET_OBJECT_H

#include "websocket.h"

/* The reaction of send() to a slow reader; see DOC_SEND_POLICY. */
enum ext_policy {
    EXT_POLICY_DEFAULT,
    EXT_POLICY_WAIT,
    EXT_POLICY_DROP,
    EXT_POLICY_CLOSE,
};

/* Parts that every WebSocket has until its handler returns, and few have later.
 */
struct ext_ws_rare {
    wsk_request *req;               /* until the handler returns */
    unsigned long thread;           /* the handler's, which alone may use req */
    PyObject *protocols;            /* tuple of str, or NULL: the site's */
    PyObject *extra;                /* list of headers for the 101, or NULL */
    PyObject *on_ping, *on_pong;    /* or NULL */
    PyThread_type_lock stream_lock; /* held by send_stream(); or NULL */
    unsigned long streamer;         /* the thread that holds it; 0: none */
    unsigned streams_ended;
};

/* Every field counts in the size of an idle WebSocket. */
typedef struct {
    PyObject_HEAD
    const struct ext_site *site; /* lives as long as its owner, a reference */
    wsk_conn *conn;              /* a reference, once 101 has left */
    struct ext_ws_rare *rare;    /* or NULL: see ext_ws_rare() */
    PyObject *environ;           /* or NULL: made on demand */
    PyObject *app;               /* the events it is attached to, or NULL */
    PyObject *dict;
    PyObject *weakrefs;
    uint8_t policy;  /* an enum ext_policy */
    bool shown;      /* the application has seen environ */
    bool told_ended; /* receive() has returned None */
    bool in_stream;  /* receive_stream() has not given all of its message */
    bool client;     /* made by connect(): standalone, and without an environ */
    bool
        standalone; /* on no server of ours: the calling thread does the work */
} WebSocketObject;

#define WebSocket_CAST(op) ((WebSocketObject *)(op))

/* Return the rare parts, made if there are none; NULL with an exception set. */
struct ext_ws_rare *ext_ws_rare(WebSocketObject *self);

/* Forget the objects in them. */
void ext_ws_rare_clear(WebSocketObject *self);

/* Free them, cleared. */
void ext_ws_rare_free(WebSocketObject *self);

/* Forget what belongs to the handler, which returns; free them if nothing is
 * left. A stream may need them, and keeps them. */
void ext_ws_rare_end(WebSocketObject *self);

/* Return the request; NULL once the handler has returned, or for a client. */
static inline wsk_request *ext_ws_request(const WebSocketObject *self)
{
    return self->rare != NULL ? self->rare->req : NULL;
}

/* True in the thread of a handler that has not returned. */
static inline bool ext_ws_in_handler(const WebSocketObject *self)
{
    return ext_ws_request(self) != NULL &&
           self->rare->thread == PyThread_get_thread_ident();
}

/* Return the subprotocols to choose from, the preferred first: a tuple of str,
 * borrowed; or NULL. */
static inline PyObject *ext_ws_protocols(const WebSocketObject *self)
{
    if (self->rare != NULL && self->rare->protocols != NULL)
        return self->rare->protocols;
    return self->client ? NULL : self->site->protocols;
}

/* ---- ws_open: opening ---- */

/* Return the head of the handshake; NULL when the request ended without a 101,
 * or, with an exception set, when memory is out. *made is for wsk_free(). */
const wsk_head *ext_ws_head(const WebSocketObject *self, wsk_head **made);

/* Return the subprotocol for the 101, one that the client offered; NULL: none.
 */
const char *ext_ws_choose_protocol(const WebSocketObject *self,
                                   const wsk_head *head);

/* Return a dict, or an iterable of (name, value), as a list of headers that a
 * 101 may have; NULL with an exception set. */
PyObject *ext_ws_headers(PyObject *given);

/* Open the WebSocket if it is undecided. -1 with an exception set. */
int ext_ws_open(WebSocketObject *self, const char *what);

PyObject *ext_ws_accept(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                        PyObject *kwnames);

/* ---- ws_hooks: pings and pongs ---- */

/* Tell the engine whether on_ping or on_pong is set. -1 with an exception. */
int ext_ws_hear(WebSocketObject *self);

/* Call the hook for a ping or pong, if there is one. -1 with an exception. */
int ext_ws_tell(WebSocketObject *self, const wsk_message *msg);

PyObject *ext_ws_get_hook(PyObject *op, void *pong);
int ext_ws_set_hook(PyObject *op, PyObject *hook, void *pong);
PyObject *ext_ws_get_latency(PyObject *op, void *unused);

/* ---- ws_flow: waiting while something is sent ---- */

/* Wait for a slow reader after a message, if send_policy wants that. */
wsk_status ext_ws_wait_for_reader(WebSocketObject *self);

/* Wait for a slow reader after a piece of a stream. */
wsk_status ext_ws_wait_for_stream(WebSocketObject *self);

/* Send on after a signal has interrupted sending with status `st`; return the
 * status of the end. An exception is set if a signal handler raised one. */
wsk_status ext_ws_resume(WebSocketObject *self, wsk_status st);

/* Wait until another thread's message in pieces is complete. True: try again
 * what the engine refused because of it. `ended` is ext_ws_streams_ended(),
 * before the first try. */
bool ext_ws_await_stream(WebSocketObject *self, unsigned ended);

/* Return how many streams have ended. */
static inline unsigned ext_ws_streams_ended(const WebSocketObject *self)
{
    return self->rare != NULL ? self->rare->streams_ended : 0;
}

/* True in the thread that is inside send_stream(). */
static inline bool ext_ws_in_own_stream(const WebSocketObject *self)
{
    return self->rare != NULL && self->rare->streamer != 0 &&
           self->rare->streamer == PyThread_get_thread_ident();
}

PyObject *ext_ws_get_buffered(PyObject *op, void *unused);
PyObject *ext_ws_get_full(PyObject *op, void *unused);
PyObject *ext_ws_get_policy(PyObject *op, void *unused);
int ext_ws_set_policy(PyObject *op, PyObject *value, void *unused);

/* ---- ws_topics: topics ---- */

PyObject *ext_ws_subscribe(PyObject *op, PyObject *const *args,
                           Py_ssize_t nargs, PyObject *kwnames);
PyObject *ext_ws_unsubscribe(PyObject *op, PyObject *topic);
PyObject *ext_ws_get_topics(PyObject *op, void *unused);

/* ---- ws_close: ending ---- */

/* Call wsk_conn_close(); on a standalone connection this waits until the Close
 * has left. */
wsk_status ext_ws_close_conn(WebSocketObject *self, uint16_t code,
                             const char *reason, size_t len);

/* Complete the closing handshake of a standalone connection, and end the
 * transport in any case. -1 with an exception that came in between. */
int ext_ws_finish(WebSocketObject *self, bool at_once);

bool ext_ws_is_closed(const WebSocketObject *self);

/* Write the close code, such as "1006", and, if our side gave the peer up, the
 * code and reason that were sent to it. */
#define EXT_HOW_MAX 256
void ext_ws_how(const wsk_close_info *info, char how[EXT_HOW_MAX]);

/* Return the peer's reason; or, if our side gave it up, what was sent to it. */
PyObject *ext_ws_reason(const wsk_close_info *info);

PyObject *ext_ws_close(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames);
PyObject *ext_ws_enter(PyObject *op, PyObject *unused);
PyObject *ext_ws_exit(PyObject *op, PyObject *const *args, Py_ssize_t nargs);

/* ---- ws_receive: receiving, and events ---- */

/* Wait for a message, or for a piece of one; pings are told meanwhile. 1: *msg
 * is the caller's to free; 0: the connection has ended; -1 with an exception.
 */
int ext_ws_fetch(WebSocketObject *self, int timeout_ms, bool piece,
                 wsk_message *msg);

/* Report that the connection has ended: None at first, which ends a loop, then
 * NULL with an exception. */
PyObject *ext_ws_tell_ended(WebSocketObject *self, const char *what);

PyObject *ext_ws_receive(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames);
PyObject *ext_ws_iternext(PyObject *op);
PyObject *ext_ws_attach(PyObject *op, PyObject *app);

/* Call the events of a standalone WebSocket that is attached, until it ends,
 * in the thread of its handler, which has returned. An exception that
 * interrupts them stays set. */
void ext_ws_serve(WebSocketObject *self);

/* ---- ws_pieces, ws_stream: long messages ---- */

/* returned by receive_stream() */
extern const PyType_Spec ext_stream_spec; /* returned by receive_stream() */

PyObject *ext_ws_receive_stream(PyObject *op, PyObject *const *args,
                                Py_ssize_t nargs, PyObject *kwnames);
PyObject *ext_ws_send_stream(PyObject *op, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *kwnames);

/* ---- ws_send: sending ---- */

/* Raise the exception for the status of a send; NULL. */
PyObject *ext_ws_raise_send(WebSocketObject *self, wsk_status st,
                            const char *what);

PyObject *ext_ws_send(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames);
PyObject *ext_ws_send_frame(PyObject *op, PyObject *const *args,
                            Py_ssize_t nargs, PyObject *kwnames);
PyObject *ext_ws_ping(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames);
PyObject *ext_ws_pong(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames);

/* ---- ws_environ, ws_attributes ---- */

PyObject *ext_ws_version(PyObject *op, void *unused);
PyObject *ext_ws_get_environ(PyObject *op, void *unused);
PyObject *ext_ws_repr(PyObject *op);
extern PyGetSetDef ext_ws_getset[];

#endif
