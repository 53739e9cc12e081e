/* ext/call: one request through a Python application.
 *
 * Everything that may run Python code happens in here, because here the server
 * watches how long it takes. */
#include "call.h"

#include "errors.h"
#include "functions.h"
#include "input.h"
#include "log.h"
#include "response.h"
#include "socket.h"

/* The objects of one request. */
struct call {
    struct ext_thread *here;
    PyObject *input;
    PyObject *hints;
    PyObject *disconnected;
    PyObject *environ;
    PyObject *websocket; /* NULL: a plain request */
    PyObject *socket;    /* the same */
    PyObject *response;
};

static int add_websocket(struct ext_caller *c, struct call *k, wsk_request *req)
{
    k->websocket = ext_websocket_new(&c->site, c->app, req, k->environ);
    if (k->websocket == NULL ||
        ext_websocket_announce(k->websocket, k->environ) < 0)
        return -1;
    return ext_upgrade_show(c->site.st, k->environ, c->hide);
}

/* Put the socket where the servers of Werkzeug and gunicorn put it. */
static int add_socket(struct ext_state *st, struct call *k, wsk_request *req)
{
    k->socket = ext_socket_new(st, req);
    if (k->socket == NULL ||
        PyDict_SetItem(k->environ, st->names.werkzeug_socket, k->socket) < 0)
        return -1;
    return PyDict_SetItem(k->environ, st->names.gunicorn_socket, k->socket);
}

static int prepare(struct ext_caller *c, struct call *k, wsk_request *req)
{
    struct ext_source source = {.head = wsk_request_head(req)};
    struct ext_state *st = c->site.st;
    uint64_t length = wsk_request_body_length(req);

    source.peer = wsk_request_peer(req, &source.peer_port);
    source.local = wsk_request_local(req, &source.local_port);
    source.scheme = wsk_request_scheme(req);
    source.prefix = wsk_request_prefix(req);
    source.tls = wsk_request_tls_variables(req, &source.n_tls);
    k->input = ext_input_new(k->here, st, req);
    k->hints = ext_hints_new(k->here, st, req);
    k->disconnected = ext_disconnected_new(k->here, st, req);
    if (k->input == NULL || k->hints == NULL || k->disconnected == NULL)
        return -1;
    k->environ =
        ext_environ_new(&k->here->environ, st, c->site.template, &source);
    if (k->environ == NULL ||
        PyDict_SetItem(k->environ, st->names.input, k->input) < 0 ||
        PyDict_SetItem(k->environ, st->names.early_hints, k->hints) < 0 ||
        PyDict_SetItem(k->environ, st->names.client_disconnected,
                       k->disconnected) < 0)
        return -1;
    if (source.head->chunked && length != WSK_LENGTH_UNKNOWN &&
        ext_environ_set_length(st, k->environ, length) < 0)
        return -1;
    if (source.head->websocket &&
        (add_websocket(c, k, req) < 0 || add_socket(st, k, req) < 0))
        return -1;
    k->response = ext_response_new(k->here, st, req, k->websocket);
    return k->response == NULL ? -1 : 0;
}

/* Call the application and send its result. -1 with an exception set. */
static int run(struct ext_caller *c, struct call *k)
{
    PyObject *args[] = {k->environ, k->response};
    PyObject *result = PyObject_Vectorcall(c->app, args, 2, NULL);
    int rc;

    if (result == NULL)
        return -1;
    rc = ext_response_send(k->response, result);
    Py_DECREF(result);
    return rc;
}

/* True if a handler that has detached the socket reports its end: with
 * StopIteration under gunicorn, with ConnectionError itself under Werkzeug. A
 * subclass of that may come from a database, so it counts only if the peer is
 * gone. */
static bool has_left_quietly(const struct call *k)
{
    PyObject *type = PyErr_Occurred(), *error, *traceback;
    bool quiet;

    if (k->socket == NULL || !ext_socket_detached(k->socket))
        return false;
    quiet = PyErr_ExceptionMatches(PyExc_StopIteration) ||
            type == PyExc_ConnectionError;
    if (!quiet && (PyErr_ExceptionMatches(PyExc_BrokenPipeError) ||
                   PyErr_ExceptionMatches(PyExc_ConnectionResetError) ||
                   PyErr_ExceptionMatches(PyExc_ConnectionAbortedError))) {
        PyErr_Fetch(&type, &error, &traceback);
        quiet = ext_socket_is_dead(k->socket);
        PyErr_Restore(type, error, traceback);
    }
    if (quiet)
        PyErr_Clear();
    return quiet;
}

static void finish(const struct ext_caller *c, struct call *k)
{
    if (k->websocket != NULL)
        ext_websocket_end(k->websocket, c->events_only ? c->app : NULL);
    if (k->socket != NULL)
        ext_socket_end(k->socket);
    if (k->response != NULL)
        ext_response_end_take(k->here, k->response);
    Py_XDECREF(k->websocket);
    Py_XDECREF(k->socket);
    Py_XDECREF(k->environ);
    if (k->input != NULL)
        ext_input_end_take(k->here, k->input);
    if (k->hints != NULL)
        ext_hints_end_take(k->here, k->hints);
    if (k->disconnected != NULL)
        ext_disconnected_end_take(k->here, k->disconnected);
    ext_log_end_line(c->errors);
}

void ext_call(wsk_request *req, void *caller)
{
    struct ext_caller *c = caller;
    struct call k = {.here = ext_thread_here()};

    if (ext_environ_path_has_nul(wsk_request_head(req))) {
        ext_response_text(req, 400, "The path holds %00.\n");
        return;
    }
    if (prepare(c, &k, req) < 0)
        ext_log_exception(c->site.st,
                          "no environ could be made"); /* gives a 500 */
    else if (run(c, &k) < 0 && !has_left_quietly(&k))
        ext_response_fail(k.response, ext_input_was_cut(k.input));
    finish(c, &k);
}
