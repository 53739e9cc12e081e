/* ext/ws_receive: what arrives on a WebSocket, asked for or as events. */
#include "websocket_object.h"

#include "args.h"
#include "errors.h"
#include "gil.h"
#include "message.h"

#include <time.h>

/* ------------------------------------------------------------ receiving --- */

PyObject *ext_ws_tell_ended(WebSocketObject *self, const char *what)
{
    wsk_close_info info = {.code = 1006};
    char how[EXT_HOW_MAX];

    if (!self->told_ended) {
        self->told_ended = true;
        Py_RETURN_NONE;
    }
    wsk_conn_closed(self->conn, &info);
    ext_ws_how(&info, how);
    return PyErr_Format(self->site->st->WebSocketError,
                        "%s: the WebSocket is closed (%s)", what, how);
}

static void raise_receive(WebSocketObject *self, wsk_status st,
                          const char *what)
{
    const char *why = "another thread is receiving; one at a time can";

    if (self->app != NULL)
        why = "the messages of this WebSocket go to onmessage";
    else if (self->in_stream)
        why = "a message is being received by receive_stream(); take its "
              "pieces to the end first";
    if (st == WSK_E_STATE)
        PyErr_Format(self->site->st->WebSocketError, "%s: %s", what, why);
    else
        ext_raise_websocket(self->site->st, st, what);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A signal interrupts the wait of a standalone WebSocket, whose thread may be
 * the main one. An interrupted coroutine has raised already. */
static wsk_status receive_from(WebSocketObject *self, int timeout_ms,
                               bool piece, wsk_message *msg)
{
    wsk_status st;

    /* Each time the GIL is dropped another thread may take it. */
    if (!piece && wsk_conn_receive_ready(self->conn, msg) == WSK_OK)
        return WSK_OK;
    for (;;) {
        PyThreadState *left = PyEval_SaveThread();

        st = piece ? wsk_conn_receive_piece(self->conn, timeout_ms, msg)
                   : wsk_conn_receive_masked(self->conn, timeout_ms, msg);
        ext_gil_return(left);
        if (st != WSK_E_AGAIN || PyErr_Occurred() || PyErr_CheckSignals() < 0)
            return st;
    }
}

/* Receive the next message, ping or pong; WSK_E_TIMEOUT at until_ms. */
static wsk_status next_message(WebSocketObject *self, int timeout_ms,
                               int64_t until_ms, bool piece, wsk_message *msg)
{
    if (timeout_ms > 0) {
        int64_t left = until_ms - now_ms();

        timeout_ms = left > 0 ? (int)left : 0;
    }
    return receive_from(self, timeout_ms, piece, msg);
}

int ext_ws_fetch(WebSocketObject *self, int timeout_ms, bool piece,
                 wsk_message *msg)
{
    const char *what = piece ? "receive_stream" : "receive";
    int64_t until_ms = timeout_ms > 0 ? now_ms() + timeout_ms : 0;

    if (ext_ws_open(self, what) < 0)
        return -1;
    if (self->standalone &&
        self->app != NULL) { /* which ext_ws_serve() receives */
        raise_receive(self, WSK_E_STATE, what);
        return -1;
    }
    for (;;) {
        wsk_status st = next_message(self, timeout_ms, until_ms, piece, msg);
        int rc;

        if (PyErr_Occurred())
            return -1;
        if (st == WSK_E_CLOSED)
            return 0;
        if (st != WSK_OK) {
            raise_receive(self, st, what);
            return -1;
        }
        if (msg->opcode < WSK_CLOSE)
            return 1;
        rc = ext_ws_tell(self, msg);
        wsk_message_free(msg);
        if (rc < 0)
            return -1;
    }
}

static PyObject *receive(WebSocketObject *self, int timeout_ms)
{
    wsk_message msg;
    PyObject *message;
    int got = ext_ws_fetch(self, timeout_ms, false, &msg);

    if (got <= 0)
        return got < 0 ? NULL : ext_ws_tell_ended(self, "receive");
    message = ext_message_object(self->conn, &msg);
    wsk_message_free(&msg);
    if (message == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        return ext_ws_tell_ended(self, "receive");
    }
    return message;
}

static const struct ext_signature receive_sig = {
    "receive", 0, 1, (const char *const[]){"timeout"}};

PyObject *ext_ws_receive(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames)
{
    int ms;

    if (ext_timeout_arg(&receive_sig, args, nargs, kwnames, &ms) < 0)
        return NULL;
    return receive(WebSocket_CAST(op), ms);
}

PyObject *ext_ws_iternext(PyObject *op)
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

/* --------------------------------------------------------------- events --- */

/* Log the exception of an event handler, and close the WebSocket. */
static void end_for_error(WebSocketObject *self)
{
    if (ext_websocket_has_left((PyObject *)self)) {
        ext_log_departure(self->site->st);
        return;
    }
    ext_log_exception(self->site->st, "error in an event handler");
    ext_ws_close_conn(self, 1011, NULL, 0);
}

/* Call an event of the application. `message` is stolen, may be NULL with an
 * exception set, and is left out when it is the WebSocket itself. */
static void fire_take(WebSocketObject *self, PyObject *name, PyObject *message)
{
    PyObject *op = (PyObject *)self;
    PyObject *args[2] = {message, op};
    PyObject *event = NULL, *result = NULL;

    if (message != NULL)
        event = PyObject_GetAttr(self->app, name);
    if (event != NULL)
        result = PyObject_Vectorcall(event, args, message == op ? 1 : 2, NULL);
    if (result == NULL)
        end_for_error(self);
    Py_XDECREF(message);
    Py_XDECREF(event);
    Py_XDECREF(result);
}

static void on_control(wsk_conn *conn, const wsk_message *msg, void *user)
{
    WebSocketObject *self = user;

    (void)conn;
    if (ext_ws_tell(self, msg) < 0)
        end_for_error(self);
}

static void on_connect(wsk_conn *conn, void *user)
{
    WebSocketObject *self = user;

    (void)conn;
    fire_take(self, self->site->st->names.onconnect, ext_ref(user));
}

static void on_message(wsk_conn *conn, const wsk_message *msg, void *user)
{
    WebSocketObject *self = user;
    PyObject *message = ext_message_object(conn, msg);

    /* Text that is not UTF-8 is the peer's fault, which has been told it. */
    if (message == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
        PyErr_Clear();
    else
        fire_take(self, self->site->st->names.onmessage, message);
}

/* Fire an event that an application may lack. */
static void fire_optional(WebSocketObject *self, PyObject *name)
{
    if (PyObject_HasAttr(self->app, name))
        fire_take(self, name, ext_ref((PyObject *)self));
}

static void on_drain(wsk_conn *conn, void *user)
{
    WebSocketObject *self = user;

    (void)conn;
    fire_optional(self, self->site->st->names.ondrain);
}

static void on_draining(wsk_conn *conn, void *user)
{
    WebSocketObject *self = user;

    (void)conn;
    fire_optional(self, self->site->st->names.ondraining);
}

/* The last event: give back the reference of attach(). */
static void on_close(wsk_conn *conn, const wsk_close_info *info, void *user)
{
    WebSocketObject *self = user;

    (void)conn;
    fire_take(self, self->site->st->names.onclose, ext_ws_reason(info));
    Py_CLEAR(self->environ); /* holds the WebSocket in turn */
    Py_DECREF(user);
}

static const wsk_ws_handlers EVENTS = {
    .connect = on_connect,
    .message = on_message,
    .ping = on_control,
    .pong = on_control,
    .drain = on_drain,
    .draining = on_draining,
    .close = on_close,
    .masked = true,
};

/* Accept any object that has these three events. */
static int check_events(const WebSocketObject *self, PyObject *app)
{
    PyObject *const names[] = {self->site->st->names.onconnect,
                               self->site->st->names.onmessage,
                               self->site->st->names.onclose};

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

PyObject *ext_ws_attach(PyObject *op, PyObject *app)
{
    WebSocketObject *self = WebSocket_CAST(op);
    wsk_status st;

    if (check_events(self, app) < 0)
        return NULL;
    if (!ext_ws_in_handler(self))
        return PyErr_Format(self->site->st->WebSocketError,
                            "attach: only the handler may do it, in its own "
                            "thread and before it returns");
    if (ext_ws_open(self, "attach") < 0)
        return NULL;
    if (self->app != NULL)
        return PyErr_Format(self->site->st->WebSocketError,
                            "attach: the WebSocket is attached already");
    self->app = ext_ref(app);
    if (self->standalone) { /* see ext_ws_serve() */
        wsk_conn_hear_pings(self->conn, true);
        Py_RETURN_NONE;
    }
    st = wsk_conn_attach(self->conn, &EVENTS, ext_ref(op));
    if (st != WSK_OK) {
        Py_CLEAR(self->app);
        Py_DECREF(op);
        return ext_raise_websocket(self->site->st, st, "attach");
    }
    if (ext_ws_hear(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

void ext_ws_serve(WebSocketObject *self)
{
    PyObject *type, *error, *traceback;
    wsk_close_info info = {.code = 1006};
    wsk_message msg;

    fire_take(self, self->site->st->names.onconnect, ext_ref((PyObject *)self));
    while (receive_from(self, -1, false, &msg) == WSK_OK && !PyErr_Occurred()) {
        if (msg.opcode < WSK_CLOSE)
            on_message(self->conn, &msg, self);
        else
            on_control(self->conn, &msg, self);
        wsk_message_free(&msg);
    }
    PyErr_Fetch(&type, &error, &traceback);
    wsk_conn_closed(self->conn, &info);
    fire_take(self, self->site->st->names.onclose, ext_ws_reason(&info));
    PyErr_Restore(type, error, traceback);
}
