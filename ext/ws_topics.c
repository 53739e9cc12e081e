/* ext/ws_topics: the topics that a WebSocket has subscribed to. */
#include "websocket_object.h"

#include "args.h"
#include "errors.h"
#include "topic_names.h"

/* Read a policy. -1 with an exception set. */
static int policy_of(PyObject *given, wsk_topic_policy *policy)
{
    static const char *const NAMES[] = {"close", "drop", "latest"};

    *policy = WSK_TOPIC_USUAL;
    if (given == NULL || given == Py_None)
        return 0;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(NAMES); i++)
        if (PyUnicode_Check(given) &&
            PyUnicode_CompareWithASCIIString(given, NAMES[i]) == 0) {
            *policy = (wsk_topic_policy)(WSK_TOPIC_CLOSE + (int)i);
            return 0;
        }
    PyErr_SetString(PyExc_ValueError,
                    "policy must be 'close', 'drop' or 'latest'");
    return -1;
}

/* Open the WebSocket, unless it is open. A client that has seen the 101 gets
 * what is published from then on. */
static int open_with(WebSocketObject *self, wsk_str topic,
                     wsk_topic_policy policy)
{
    wsk_request *req = ext_ws_request(self);
    int failed;

    if (self->conn != NULL || !ext_ws_in_handler(self))
        return ext_ws_open(self, "subscribe");
    wsk_request_subscribe(req, topic.p, topic.len, policy);
    failed = ext_ws_open(self, "subscribe");
    if (failed)
        wsk_request_subscribe(req, NULL, 0, policy);
    return failed;
}

static const struct ext_signature subscribe_sig = {
    "subscribe", 1, 2, (const char *const[]){"topic", "policy"}};

PyObject *ext_ws_subscribe(PyObject *op, PyObject *const *args,
                           Py_ssize_t nargs, PyObject *kwnames)
{
    WebSocketObject *self = WebSocket_CAST(op);
    PyObject *given[2];
    wsk_topic_policy policy;
    wsk_conn *conn;
    wsk_str name;
    wsk_status st;

    if (ext_args(&subscribe_sig, args, nargs, kwnames, given) < 0 ||
        ext_topic_name(given[0], &name) < 0 || policy_of(given[1], &policy) < 0)
        return NULL;
    if (self->standalone)
        return PyErr_Format(PyExc_RuntimeError,
                            "subscribe: topics need wsocket's own server or "
                            "its gunicorn worker");
    if (open_with(self, name, policy) < 0)
        return NULL;
    conn = wsk_conn_ref(self->conn);
    Py_BEGIN_ALLOW_THREADS
    st = wsk_conn_subscribe(conn, name.p, name.len, policy);
    wsk_conn_unref(conn);
    Py_END_ALLOW_THREADS
    if (st == WSK_E_AGAIN)
        return PyErr_Format(PyExc_BlockingIOError,
                            "subscribe: the WebSocket has as many topics as "
                            "topics_max allows");
    if (st != WSK_OK)
        return ext_ws_raise_send(self, st, "subscribe");
    Py_RETURN_NONE;
}

PyObject *ext_ws_unsubscribe(PyObject *op, PyObject *topic)
{
    WebSocketObject *self = WebSocket_CAST(op);
    wsk_str name;

    if (ext_topic_name(topic, &name) < 0)
        return NULL;
    return PyBool_FromLong(self->conn != NULL &&
                           wsk_conn_unsubscribe(self->conn, name.p, name.len));
}

PyObject *ext_ws_get_topics(PyObject *op, void *unused)
{
    const WebSocketObject *self = WebSocket_CAST(op);
    char *names = NULL;
    size_t n = 0;

    (void)unused;
    if (self->conn != NULL && wsk_conn_topics(self->conn, &names, &n) != WSK_OK)
        return PyErr_NoMemory();
    return ext_topic_tuple(names, n);
}
