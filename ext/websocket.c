/* ext/websocket: the WebSocket object that applications see.
 *
 * It is undecided at first. The first use of it sends 101 and makes it open; an
 * answer through start_response refuses it, and then it is as closed as one
 * whose connection has ended. */
#include "websocket.h"

#include "args.h"
#include "errors.h"
#include "headers.h"
#include "input.h"
#include "message.h"

/* Octets that may wait for a slow reader before send() waits too. */
#define SEND_LIMIT (1024 * 1024)

/* Messages from here on are sent with the GIL dropped: they are checked and
 * copied. */
#define LONG_MESSAGE 16384

/* RFC 6455 5.5. */
#define CONTROL_LONGEST 125

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
    PyObject *app;       /* the events it is attached to, or NULL */
    PyObject *dict;
    PyObject *weakrefs;
    bool shown;      /* the application has seen environ */
    bool told_ended; /* receive() has returned None */
} WebSocketObject;

#define WebSocket_CAST(op) ((WebSocketObject *)(op))

/* ------------------------------------------------------------ accepting --- */

/* The head of the handshake; NULL when the request is over without 101, and
 * with an exception when memory is out. *made is for wsk_free(). */
static const wsk_head *head_of(const WebSocketObject *self, wsk_head **made)
{
    *made = NULL;
    if (self->req != NULL)
        return wsk_request_head(self->req);
    if (self->conn == NULL)
        return NULL;
    *made = wsk_conn_head(self->conn);
    if (*made == NULL)
        PyErr_NoMemory();
    return *made;
}

/* RFC 6455 4.2.2: one of the client's subprotocols, or none. The preference is
 * the server's. NULL also when that is none. */
static const char *choose_protocol(const WebSocketObject *self,
                                   const wsk_head *head)
{
    Py_ssize_t n = self->protocols == NULL ? 0
                                           : PyTuple_GET_SIZE(self->protocols);

    for (Py_ssize_t i = 0; i < n; i++) {
        const char *name =
            PyUnicode_AsUTF8(PyTuple_GET_ITEM(self->protocols, i));

        if (name != NULL && wsk_ws_offered(head, name))
            return name;
    }
    return NULL;
}

/* Send 101. `protocol` NULL chooses; headers may be NULL. */
static wsk_status upgrade(WebSocketObject *self, const char *protocol,
                          const struct ext_headers *headers)
{
    wsk_conn *conn;
    wsk_status st;

    if (protocol == NULL)
        protocol = choose_protocol(self, wsk_request_head(self->req));
    st = wsk_request_upgrade(self->req, protocol,
                             headers == NULL ? NULL : headers->items,
                             headers == NULL ? 0 : headers->n, &conn);
    if (st == WSK_OK)
        self->conn = wsk_conn_ref(conn);
    return st;
}

/* Open the WebSocket if it is undecided. -1 with an exception set. */
static int open_up(WebSocketObject *self, const char *what)
{
    wsk_status st;

    if (self->conn != NULL)
        return 0;
    if (self->req == NULL) {
        PyErr_Format(self->st->WebSocketError,
                     "%s: the WebSocket was refused, or its client is gone",
                     what);
        return -1;
    }
    if (self->thread != PyThread_get_thread_ident()) {
        PyErr_Format(self->st->WebSocketError,
                     "%s: call accept() in the handler's own thread first",
                     what);
        return -1;
    }
    st = upgrade(self, NULL, NULL);
    if (st == WSK_OK)
        return 0;
    ext_raise_websocket(self->st, st, what);
    return -1;
}

bool ext_websocket_accepted(PyObject *websocket)
{
    return WebSocket_CAST(websocket)->conn != NULL;
}

int ext_websocket_finish(PyObject *websocket)
{
    WebSocketObject *self = WebSocket_CAST(websocket);
    wsk_status st = self->conn != NULL ? WSK_OK : upgrade(self, NULL, NULL);

    if (st == WSK_OK || st == WSK_E_CLOSED)
        return 0;
    ext_raise_websocket(self->st, st, "the WebSocket");
    return -1;
}

static bool is_closed(const WebSocketObject *self)
{
    if (self->conn == NULL)
        return self->req == NULL;
    return !wsk_conn_can_send(self->conn) || wsk_conn_closed(self->conn, NULL);
}

bool ext_websocket_has_left(PyObject *websocket)
{
    WebSocketObject *self = WebSocket_CAST(websocket);

    return self->conn != NULL && is_closed(self) &&
           PyErr_ExceptionMatches(self->st->WebSocketError) &&
           !PyErr_ExceptionMatches(self->st->ProtocolError);
}

void ext_websocket_fail(PyObject *websocket)
{
    WebSocketObject *self = WebSocket_CAST(websocket);

    if (self->conn != NULL)
        wsk_conn_close(self->conn, 1011, NULL, 0);
}

/* RFC 6455 4.2.2: what is negotiated; the server says it itself. */
static int check_handshake(const struct ext_headers *set)
{
    static const char prefix[] = "sec-websocket-";
    size_t n = sizeof prefix - 1;

    for (size_t i = 0; i < set->n; i++) {
        wsk_str name = set->items[i].name;

        if (name.len < n || PyOS_strnicmp(name.p, prefix, (Py_ssize_t)n) != 0)
            continue;
        PyErr_Format(PyExc_ValueError,
                     "%.100s is the server's to send; accept() takes a "
                     "subprotocol, and other headers",
                     name.p);
        return -1;
    }
    return 0;
}

/* A list of (name, value), or a dict. */
static int fill_headers(struct ext_headers *set, PyObject *headers)
{
    PyObject *list = PyDict_Check(headers) ? PyDict_Items(headers)
                                           : PySequence_List(headers);
    int rc = list == NULL ? -1 : ext_headers_fill(set, list);

    Py_XDECREF(list);
    return rc < 0 ? -1 : check_handshake(set);
}

static const struct ext_signature accept_sig = {
    "accept", 0, 2, (const char *const[]){"headers", "subprotocol"}};

static PyObject *WebSocket_accept(PyObject *op, PyObject *const *args,
                                  Py_ssize_t nargs, PyObject *kwnames)
{
    WebSocketObject *self = WebSocket_CAST(op);
    struct ext_headers headers = {0};
    const char *protocol = NULL;
    PyObject *given[2];
    wsk_status st = WSK_E_STATE;

    if (ext_args(&accept_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    if (given[1] != NULL && given[1] != Py_None) {
        protocol = PyUnicode_AsUTF8(given[1]);
        if (protocol == NULL)
            return NULL;
    }
    if (given[0] != NULL && given[0] != Py_None &&
        fill_headers(&headers, given[0]) < 0)
        goto done;
    if (self->conn == NULL && self->req != NULL &&
        self->thread == PyThread_get_thread_ident())
        st = upgrade(self, protocol, &headers);
    if (st != WSK_OK)
        ext_raise_websocket(self->st, st, "accept");
done:
    ext_headers_clear(&headers);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------ receiving --- */

/* The connection has ended: None once, which ends a loop, then an error. */
static PyObject *tell_ended(WebSocketObject *self)
{
    wsk_close_info info;

    if (!self->told_ended) {
        self->told_ended = true;
        Py_RETURN_NONE;
    }
    if (!wsk_conn_closed(self->conn, &info))
        info.code = 1006;
    return PyErr_Format(self->st->WebSocketError,
                        "receive: the WebSocket is closed (%d)",
                        (int)info.code);
}

static PyObject *receive(WebSocketObject *self, int timeout_ms)
{
    wsk_message msg;
    wsk_status st;
    PyObject *message;

    if (open_up(self, "receive") < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    st = wsk_conn_receive(self->conn, timeout_ms, &msg);
    Py_END_ALLOW_THREADS
    if (st == WSK_E_CLOSED)
        return tell_ended(self);
    if (st != WSK_OK)
        return ext_raise_websocket(self->st, st, "receive");
    message = ext_message_object(&msg);
    wsk_message_free(&msg);
    return message;
}

static const struct ext_signature receive_sig = {
    "receive", 0, 1, (const char *const[]){"timeout"}};

static PyObject *WebSocket_receive(PyObject *op, PyObject *const *args,
                                   Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *timeout;
    int ms;

    if (ext_args(&receive_sig, args, nargs, kwnames, &timeout) < 0)
        return NULL;
    ms = ext_timeout_ms(timeout);
    if (ms < 0 && PyErr_Occurred())
        return NULL;
    return receive(WebSocket_CAST(op), ms);
}

static PyObject *WebSocket_iternext(PyObject *op)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *message;

    if (self->told_ended)
        return NULL;
    message = receive(self, -1);
    if (message == Py_None)
        Py_CLEAR(message);
    return message;
}

/* -------------------------------------------------------------- sending --- */

/* A slow reader slows its own handler down, not a callback for others. */
static wsk_status wait_for_reader(WebSocketObject *self)
{
    wsk_status st;

    if (self->app != NULL || wsk_conn_buffered(self->conn) < SEND_LIMIT)
        return WSK_OK;
    Py_BEGIN_ALLOW_THREADS
    st = wsk_conn_drain(self->conn, -1);
    Py_END_ALLOW_THREADS
    return st;
}

static wsk_status send_octets(WebSocketObject *self, const struct ext_octets *o,
                              wsk_opcode opcode, bool compress)
{
    unsigned flags = (o->text ? WSK_SEND_VALID : 0) |
                     (compress ? 0 : WSK_SEND_PLAIN);
    size_t len = (size_t)o->len;
    wsk_status st;

    if (len < LONG_MESSAGE) {
        st = wsk_conn_send_with(self->conn, opcode, o->p, len, flags);
    } else {
        Py_BEGIN_ALLOW_THREADS
        st = wsk_conn_send_with(self->conn, opcode, o->p, len, flags);
        Py_END_ALLOW_THREADS
    }
    return st == WSK_OK ? wait_for_reader(self) : st;
}

static const struct ext_signature send_sig = {
    "send", 1, 3, (const char *const[]){"message", "binary", "do_compress"}};

static PyObject *WebSocket_send(PyObject *op, PyObject *const *args,
                                Py_ssize_t nargs, PyObject *kwnames)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *given[3];
    struct ext_octets o;
    wsk_status st = WSK_OK;
    int binary, compress = 1;

    if (ext_args(&send_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    if (given[2] != NULL)
        compress = PyObject_IsTrue(given[2]);
    if (compress < 0 || open_up(self, "send") < 0 ||
        ext_octets_get(&o, given[0]) < 0)
        return NULL;
    binary = !o.text;
    if (given[1] != NULL && given[1] != Py_None)
        binary = PyObject_IsTrue(given[1]);
    if (binary >= 0)
        st = send_octets(self, &o, binary ? WSK_BINARY : WSK_TEXT, compress);
    ext_octets_release(&o);
    if (binary < 0)
        return NULL;
    if (st != WSK_OK)
        return ext_raise_websocket(self->st, st, "send");
    Py_RETURN_NONE;
}

static PyObject *send_frame(WebSocketObject *self, PyObject *message,
                            long opcode, bool fin)
{
    struct ext_octets o;
    wsk_status st = WSK_E_ARG;

    if (ext_octets_get(&o, message) < 0)
        return NULL;
    if (opcode >= WSK_CLOSE && o.len > CONTROL_LONGEST)
        PyErr_Format(self->st->FrameTooLargeException,
                     "a control frame holds at most %d octets, not %zd",
                     CONTROL_LONGEST, o.len);
    else if (opcode >= WSK_CONTINUATION && opcode <= WSK_PONG)
        st = wsk_conn_send_frame(self->conn, (wsk_opcode)opcode, fin, o.p,
                                 (size_t)o.len);
    ext_octets_release(&o);
    if (PyErr_Occurred())
        return NULL;
    if (st == WSK_OK && opcode < WSK_CLOSE)
        st = wait_for_reader(self);
    if (st != WSK_OK)
        return ext_raise_frame(self->st, st, "send_frame");
    Py_RETURN_NONE;
}

static const struct ext_signature send_frame_sig = {
    "send_frame", 2, 4,
    (const char *const[]){"message", "opcode", "do_compress", "fin"}};

static PyObject *WebSocket_send_frame(PyObject *op, PyObject *const *args,
                                      Py_ssize_t nargs, PyObject *kwnames)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *given[4];
    long opcode;
    int fin = 1;

    if (ext_args(&send_frame_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    opcode = PyLong_AsLong(given[1]);
    if (opcode == -1 && PyErr_Occurred())
        return NULL;
    if (given[3] != NULL)
        fin = PyObject_IsTrue(given[3]);
    if (fin < 0 || open_up(self, "send_frame") < 0)
        return NULL;
    return send_frame(self, given[0], opcode, fin);
}

static const struct ext_signature ping_sig = {"ping", 0, 1,
                                              (const char *const[]){"payload"}};

static PyObject *send_control(PyObject *op, PyObject *const *args,
                              Py_ssize_t nargs, PyObject *kwnames,
                              wsk_opcode opcode)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *payload;

    if (ext_args(&ping_sig, args, nargs, kwnames, &payload) < 0 ||
        open_up(self, "ping") < 0)
        return NULL;
    return send_frame(self, payload == NULL ? self->st->names.empty : payload,
                      opcode, true);
}

static PyObject *WebSocket_ping(PyObject *op, PyObject *const *args,
                                Py_ssize_t nargs, PyObject *kwnames)
{
    return send_control(op, args, nargs, kwnames, WSK_PING);
}

static PyObject *WebSocket_pong(PyObject *op, PyObject *const *args,
                                Py_ssize_t nargs, PyObject *kwnames)
{
    return send_control(op, args, nargs, kwnames, WSK_PONG);
}

/* -------------------------------------------------------------- closing --- */

static int close_with(WebSocketObject *self, long code, PyObject *reason)
{
    struct ext_octets o;
    wsk_status st = WSK_E_ARG;

    if (self->conn == NULL && self->req == NULL)
        return 0; /* as closed as it can be */
    if (open_up(self, "close") < 0 || ext_octets_get(&o, reason) < 0)
        return -1;
    if (code >= 0 && code <= UINT16_MAX)
        st = wsk_conn_close(self->conn, (uint16_t)code, o.p, (size_t)o.len);
    ext_octets_release(&o);
    if (st == WSK_OK || st == WSK_E_CLOSED)
        return 0;
    ext_raise_websocket(self->st, st, "close");
    return -1;
}

static const struct ext_signature close_sig = {
    "close", 0, 2, (const char *const[]){"code", "message"}};

static PyObject *WebSocket_close(PyObject *op, PyObject *const *args,
                                 Py_ssize_t nargs, PyObject *kwnames)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *given[2];
    long code = 1000;

    if (ext_args(&close_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    if (given[0] != NULL)
        code = PyLong_AsLong(given[0]);
    if (code == -1 && PyErr_Occurred())
        return NULL;
    if (given[1] == NULL || given[1] == Py_None)
        given[1] = self->st->names.empty;
    if (close_with(self, code, given[1]) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *WebSocket_enter(PyObject *op, PyObject *unused)
{
    (void)unused;
    return ext_ref(op);
}

/* Leaving the block does not decide what the application left undecided. */
static PyObject *WebSocket_exit(PyObject *op, PyObject *const *args,
                                Py_ssize_t nargs)
{
    WebSocketObject *self = WebSocket_CAST(op);
    bool failed = nargs > 0 && args[0] != Py_None;

    if (self->conn != NULL &&
        close_with(self, failed ? 1011 : 1000, self->st->names.empty) < 0)
        return NULL;
    Py_RETURN_FALSE;
}

/* --------------------------------------------------------------- events --- */

/* Call an event of the application. `message` is stolen, may be NULL with an
 * exception set, and is left out when it is the WebSocket itself. What goes
 * wrong is logged, and ends the connection. */
static void fire_take(WebSocketObject *self, PyObject *name, PyObject *message)
{
    PyObject *op = (PyObject *)self;
    PyObject *args[2] = {message, op};
    PyObject *event = NULL, *result = NULL;

    if (message != NULL)
        event = PyObject_GetAttr(self->app, name);
    if (event != NULL)
        result = PyObject_Vectorcall(event, args, message == op ? 1 : 2, NULL);
    if (result == NULL && ext_websocket_has_left(op)) {
        ext_log_departure(self->st);
    } else if (result == NULL) {
        ext_log_exception(self->st, "error in an event handler");
        wsk_conn_close(self->conn, 1011, NULL, 0);
    }
    Py_XDECREF(message);
    Py_XDECREF(event);
    Py_XDECREF(result);
}

static void on_connect(wsk_conn *conn, void *user)
{
    WebSocketObject *self = user;

    (void)conn;
    fire_take(self, self->st->names.onconnect, ext_ref(user));
}

static void on_message(wsk_conn *conn, const wsk_message *msg, void *user)
{
    WebSocketObject *self = user;

    (void)conn;
    fire_take(self, self->st->names.onmessage, ext_message_object(msg));
}

/* The last event: give back the reference of attach(). */
static void on_close(wsk_conn *conn, const wsk_close_info *info, void *user)
{
    WebSocketObject *self = user;

    (void)conn;
    fire_take(self, self->st->names.onclose,
              PyUnicode_DecodeUTF8(info->reason, info->len, "replace"));
    Py_CLEAR(self->environ); /* it holds the WebSocket in turn */
    Py_DECREF(user);
}

static const wsk_ws_handlers EVENTS = {
    .connect = on_connect,
    .message = on_message,
    .close = on_close,
};

/* Anything will do that has all three events. */
static int check_events(const WebSocketObject *self, PyObject *app)
{
    PyObject *const names[] = {self->st->names.onconnect,
                               self->st->names.onmessage,
                               self->st->names.onclose};

    for (size_t i = 0; i < Py_ARRAY_LENGTH(names); i++) {
        PyObject *event = PyObject_GetAttr(app, names[i]);

        if (event == NULL && PyErr_ExceptionMatches(PyExc_AttributeError))
            PyErr_Format(PyExc_TypeError,
                         "attach() needs an object with onconnect, onmessage "
                         "and onclose, not %.100s",
                         Py_TYPE(app)->tp_name);
        if (event == NULL)
            return -1;
        Py_DECREF(event);
    }
    return 0;
}

static PyObject *WebSocket_attach(PyObject *op, PyObject *app)
{
    WebSocketObject *self = WebSocket_CAST(op);
    wsk_status st;

    if (check_events(self, app) < 0)
        return NULL;
    if (self->req == NULL || self->thread != PyThread_get_thread_ident())
        return PyErr_Format(self->st->WebSocketError,
                            "attach: only the handler may do it, in its own "
                            "thread and before it returns");
    if (open_up(self, "attach") < 0)
        return NULL;
    if (self->app != NULL)
        return PyErr_Format(self->st->WebSocketError,
                            "attach: the WebSocket is attached already");
    self->app = ext_ref(app);
    st = wsk_conn_attach(self->conn, &EVENTS, ext_ref(op));
    if (st != WSK_OK) {
        Py_CLEAR(self->app);
        Py_DECREF(op);
        return ext_raise_websocket(self->st, st, "attach");
    }
    Py_RETURN_NONE;
}

/* ----------------------------------------------------------- attributes --- */

static PyObject *make_environ(WebSocketObject *self)
{
    wsk_head *head = wsk_conn_head(self->conn);
    struct ext_source source = {.head = head};
    PyObject *input, *environ;

    if (head == NULL)
        return PyErr_NoMemory();
    input = ext_input_new_empty(self->st);
    if (input == NULL) {
        wsk_free(head);
        return NULL;
    }
    source.peer = wsk_conn_peer(self->conn, &source.peer_port);
    source.local = wsk_conn_local(self->conn, &source.local_port);
    environ = ext_environ_new(self->maker, self->st, &source);
    if (environ != NULL &&
        (PyDict_SetItem(environ, self->st->names.input, input) < 0 ||
         PyDict_SetItem(environ, self->st->names.websocket, (PyObject *)self) <
             0 ||
         PyDict_SetItem(environ, self->st->names.websocket_version,
                        self->st->names.thirteen) < 0))
        Py_CLEAR(environ);
    Py_DECREF(input);
    wsk_free(head);
    return environ;
}

static PyObject *get_environ(PyObject *op, void *unused)
{
    WebSocketObject *self = WebSocket_CAST(op);

    (void)unused;
    if (self->environ == NULL && self->conn == NULL)
        return PyErr_Format(self->st->WebSocketError,
                            "environ: the request is over");
    if (self->environ == NULL)
        self->environ = make_environ(self);
    if (self->environ == NULL)
        return NULL;
    self->shown = true;
    return ext_ref(self->environ);
}

static PyObject *get_origin(PyObject *op, void *unused)
{
    wsk_head *made;
    const wsk_head *head = head_of(WebSocket_CAST(op), &made);
    wsk_str origin = {NULL, 0};
    PyObject *text = NULL;

    (void)unused;
    if (head != NULL)
        origin = wsk_head_get(head, "origin");
    if (origin.p != NULL)
        text = PyUnicode_DecodeLatin1(origin.p, (Py_ssize_t)origin.len, NULL);
    wsk_free(made);
    return text == NULL && !PyErr_Occurred() ? ext_ref(Py_None) : text;
}

static PyObject *get_path(PyObject *op, void *unused)
{
    wsk_head *made;
    const wsk_head *head = head_of(WebSocket_CAST(op), &made);
    PyObject *path;

    (void)unused;
    if (head != NULL)
        path = ext_environ_path(head);
    else
        path = PyErr_Occurred() ? NULL
                                : ext_ref(WebSocket_CAST(op)->st->names.empty);
    wsk_free(made);
    return path;
}

static PyObject *get_protocol(PyObject *op, void *unused)
{
    WebSocketObject *self = WebSocket_CAST(op);
    const char *name = NULL;

    (void)unused;
    if (self->conn != NULL)
        name = wsk_conn_protocol(self->conn);
    else if (self->req != NULL)
        name = choose_protocol(self, wsk_request_head(self->req));
    if (name == NULL)
        Py_RETURN_NONE;
    return PyUnicode_FromString(name);
}

static PyObject *get_protocols(PyObject *op, void *unused)
{
    PyObject *protocols = WebSocket_CAST(op)->protocols;

    (void)unused;
    return protocols != NULL ? ext_ref(protocols) : PyTuple_New(0);
}

static int set_protocols(PyObject *op, PyObject *value, void *unused)
{
    PyObject *names;

    (void)unused;
    if (value == NULL || PyUnicode_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "protocols must be a list of str");
        return -1;
    }
    names = PySequence_Tuple(value);
    if (names == NULL)
        return -1;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++)
        if (!PyUnicode_Check(PyTuple_GET_ITEM(names, i)) ||
            PyUnicode_AsUTF8(PyTuple_GET_ITEM(names, i)) == NULL) {
            Py_DECREF(names);
            PyErr_SetString(PyExc_TypeError, "a subprotocol must be a str");
            return -1;
        }
    Py_XSETREF(WebSocket_CAST(op)->protocols, names);
    return 0;
}

static PyObject *get_closed(PyObject *op, void *unused)
{
    (void)unused;
    return PyBool_FromLong(is_closed(WebSocket_CAST(op)));
}

/* How it ended; false while it has not. */
static bool close_info(const WebSocketObject *self, wsk_close_info *info)
{
    return self->conn != NULL && wsk_conn_closed(self->conn, info);
}

static PyObject *get_close_code(PyObject *op, void *unused)
{
    wsk_close_info info;

    (void)unused;
    if (!close_info(WebSocket_CAST(op), &info))
        Py_RETURN_NONE;
    return PyLong_FromLong(info.code);
}

static PyObject *get_close_reason(PyObject *op, void *unused)
{
    wsk_close_info info;

    (void)unused;
    if (!close_info(WebSocket_CAST(op), &info))
        Py_RETURN_NONE;
    return PyUnicode_DecodeUTF8(info.reason, info.len, "replace");
}

static PyObject *get_close_clean(PyObject *op, void *unused)
{
    wsk_close_info info;

    (void)unused;
    return PyBool_FromLong(close_info(WebSocket_CAST(op), &info) && info.clean);
}

static PyObject *get_version(PyObject *op, void *unused)
{
    (void)unused;
    return ext_ref(WebSocket_CAST(op)->st->names.thirteen);
}

static PyObject *get_do_compress(PyObject *op, void *unused)
{
    WebSocketObject *self = WebSocket_CAST(op);

    (void)unused;
    return PyBool_FromLong(self->conn != NULL && wsk_conn_deflates(self->conn));
}

static PyObject *get_logger(PyObject *op, void *unused)
{
    (void)unused;
    return ext_ref(WebSocket_CAST(op)->st->logger);
}

static PyObject *WebSocket_repr(PyObject *op)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *path = get_path(op, NULL);
    wsk_close_info info;
    PyObject *text;

    if (path == NULL)
        return NULL;
    if (close_info(self, &info))
        text = PyUnicode_FromFormat("<WebSocket %R closed %d>", path,
                                    (int)info.code);
    else
        text = PyUnicode_FromFormat("<WebSocket %R %s>", path,
                                    self->conn != NULL  ? "open"
                                    : self->req != NULL ? "undecided"
                                                        : "refused");
    Py_DECREF(path);
    return text;
}

/* ----------------------------------------------------------------- type --- */

static int WebSocket_traverse(PyObject *op, visitproc visit, void *arg)
{
    WebSocketObject *self = WebSocket_CAST(op);

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->owner);
    Py_VISIT(self->environ);
    Py_VISIT(self->protocols);
    Py_VISIT(self->app);
    Py_VISIT(self->dict);
    return 0;
}

/* owner stays to the end: maker is in it. */
static int WebSocket_clear(PyObject *op)
{
    WebSocketObject *self = WebSocket_CAST(op);

    Py_CLEAR(self->environ);
    Py_CLEAR(self->protocols);
    Py_CLEAR(self->app);
    Py_CLEAR(self->dict);
    return 0;
}

static void WebSocket_dealloc(PyObject *op)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(op);
    WebSocket_clear(op);
    if (self->conn != NULL)
        wsk_conn_unref(self->conn);
    Py_XDECREF(self->owner);
    type->tp_free(op);
    Py_DECREF(type);
}

#define FAST (METH_FASTCALL | METH_KEYWORDS)

static PyMethodDef WebSocket_methods[] = {
    {"accept", EXT_METHOD(WebSocket_accept), FAST,
     "accept(headers=None, subprotocol=None)\n\n"
     "Open the WebSocket now; the first use of it does the same."},
    {"receive", EXT_METHOD(WebSocket_receive), FAST,
     "receive(timeout=None) -> str or bytes\n\n"
     "Wait for a message. None once the peer has closed, then "
     "WebSocketError;\nTimeoutError after `timeout` seconds."},
    {"send", EXT_METHOD(WebSocket_send), FAST,
     "send(message, binary=None, do_compress=True)\n\n"
     "Send str as text, bytes as binary, anything else as str(message).\n"
     "do_compress=False sends it as it is though compression was negotiated:\n"
     "for what is compressed already, or holds a secret beside a stranger's "
     "text."},
    {"send_frame", EXT_METHOD(WebSocket_send_frame), FAST,
     "send_frame(message, opcode, do_compress=False, fin=True)\n\n"
     "Send one frame as it is."},
    {"ping", EXT_METHOD(WebSocket_ping), FAST, "ping(payload=b'')"},
    {"pong", EXT_METHOD(WebSocket_pong), FAST,
     "pong(payload=b'')\n\nUnasked; pings are answered without it."},
    {"close", EXT_METHOD(WebSocket_close), FAST,
     "close(code=1000, message=b'')\n\n"
     "Begin the closing handshake; the server completes it."},
    {"attach", WebSocket_attach, METH_O,
     "attach(app)\n\n"
     "Give the WebSocket to app.onconnect, app.onmessage and app.onclose.\n"
     "The handler may return; no thread waits for the messages."},
    {"__enter__", WebSocket_enter, METH_NOARGS, NULL},
    {"__exit__", EXT_METHOD(WebSocket_exit), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef WebSocket_getset[] = {
    {"environ", get_environ, NULL, "The environ of the handshake.", NULL},
    {"origin", get_origin, NULL, "The Origin header, or None.", NULL},
    {"path", get_path, NULL, "PATH_INFO, without the query.", NULL},
    {"protocol", get_protocol, NULL, "The chosen subprotocol, or None.", NULL},
    {"protocols", get_protocols, set_protocols,
     "Subprotocols to choose from, the preferred first.", NULL},
    {"version", get_version, NULL, "The protocol version, '13'.", NULL},
    {"closed", get_closed, NULL, "True when nothing can be sent.", NULL},
    {"close_code", get_close_code, NULL, "How it ended, or None.", NULL},
    {"close_reason", get_close_reason, NULL, "Its reason, or None.", NULL},
    {"close_clean", get_close_clean, NULL,
     "True when both sides said that it ends.", NULL},
    {"do_compress", get_do_compress, NULL,
     "True when compression was negotiated.", NULL},
    {"logger", get_logger, NULL, "The logger 'wsocket'.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef WebSocket_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(WebSocketObject, dict), READONLY,
     NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(WebSocketObject, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(WebSocket_doc,
             "One WebSocket, as environ['wsgi.websocket'] has it.\n\n"
             "    def app(environ, start_response):\n"
             "        ws = environ['wsgi.websocket']\n"
             "        for message in ws:\n"
             "            ws.send(message)\n"
             "        return []");

static PyType_Slot WebSocket_slots[] = {
    {Py_tp_doc, (void *)WebSocket_doc}, {Py_tp_new, ext_no_new},
    {Py_tp_dealloc, WebSocket_dealloc}, {Py_tp_traverse, WebSocket_traverse},
    {Py_tp_clear, WebSocket_clear},     {Py_tp_repr, WebSocket_repr},
    {Py_tp_iter, PyObject_SelfIter},    {Py_tp_iternext, WebSocket_iternext},
    {Py_tp_methods, WebSocket_methods}, {Py_tp_getset, WebSocket_getset},
    {Py_tp_members, WebSocket_members}, {0, NULL},
};

static PyType_Spec WebSocket_spec = {
    .name = "wsocket.WebSocket",
    .basicsize = sizeof(WebSocketObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = WebSocket_slots,
};

int ext_websocket_add(PyObject *module, struct ext_state *st)
{
    return ext_type_add(module, &WebSocket_spec, &st->websocket_type, true);
}

PyObject *ext_websocket_new(struct ext_state *st, wsk_request *req,
                            PyObject *environ, struct ext_environ *maker,
                            PyObject *owner)
{
    PyObject *op = st->websocket_type->tp_alloc(st->websocket_type, 0);
    WebSocketObject *self = WebSocket_CAST(op);

    if (op == NULL)
        return NULL;
    self->st = st;
    self->req = req;
    self->thread = PyThread_get_thread_ident();
    self->maker = maker;
    self->owner = ext_ref(owner);
    self->environ = ext_ref(environ);
    return op;
}

void ext_websocket_end(PyObject *websocket, const PyObject *events)
{
    WebSocketObject *self = WebSocket_CAST(websocket);

    self->req = NULL;
    /* environ and WebSocket hold each other, which ends here, unless events may
     * still ask for what was put there. Where nobody can have put anything it
     * is not worth its memory: it is made again when they ask. */
    if (self->app == NULL || (self->app == events && !self->shown))
        Py_CLEAR(self->environ);
}
