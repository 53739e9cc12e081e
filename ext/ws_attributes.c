/* ext/ws_attributes: what a WebSocket tells of itself. */
#include "websocket_object.h"

#include "websocket_doc.h"

/* ----------------------------------------------------------- attributes --- */

static PyObject *get_origin(PyObject *op, void *unused)
{
    wsk_head *made;
    const wsk_head *head = ext_ws_head(WebSocket_CAST(op), &made);
    wsk_str origin = {NULL, 0};
    PyObject *text = NULL;

    (void)unused;
    if (head != NULL)
        origin = wsk_ws_origin(head);
    if (origin.p != NULL)
        text = PyUnicode_DecodeLatin1(origin.p, (Py_ssize_t)origin.len, NULL);
    wsk_free(made);
    return text == NULL && !PyErr_Occurred() ? ext_ref(Py_None) : text;
}

static PyObject *get_path(PyObject *op, void *unused)
{
    wsk_head *made;
    const wsk_head *head = ext_ws_head(WebSocket_CAST(op), &made);
    PyObject *path;

    (void)unused;
    if (head != NULL)
        path = ext_environ_path(head);
    else
        path = PyErr_Occurred()
                   ? NULL
                   : ext_ref(WebSocket_CAST(op)->site->st->names.empty);
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
    else if (ext_ws_request(self) != NULL)
        name = ext_ws_choose_protocol(self, wsk_request_head(self->rare->req));
    if (name == NULL)
        Py_RETURN_NONE;
    return PyUnicode_FromString(name);
}

static PyObject *get_protocols(PyObject *op, void *unused)
{
    PyObject *protocols = ext_ws_protocols(WebSocket_CAST(op));

    (void)unused;
    return protocols != NULL ? ext_ref(protocols) : PyTuple_New(0);
}

static int set_protocols(PyObject *op, PyObject *value, void *unused)
{
    struct ext_ws_rare *rare;
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
    rare = ext_ws_rare(WebSocket_CAST(op));
    if (rare == NULL) {
        Py_DECREF(names);
        return -1;
    }
    Py_XSETREF(rare->protocols, names);
    return 0;
}

static PyObject *get_extra(PyObject *op, void *unused)
{
    struct ext_ws_rare *rare = WebSocket_CAST(op)->rare;
    PyObject *extra = rare != NULL ? ext_xref(rare->extra) : NULL;
    PyObject *list = extra != NULL ? PySequence_List(extra) : PyList_New(0);

    (void)unused;
    Py_XDECREF(extra);
    return list;
}

static int set_extra(PyObject *op, PyObject *value, void *unused)
{
    struct ext_ws_rare *rare;
    PyObject *list = NULL;

    (void)unused;
    if (value != NULL) {
        list = ext_ws_headers(value);
        if (list == NULL)
            return -1;
    }
    rare = ext_ws_rare(WebSocket_CAST(op));
    if (rare == NULL) {
        Py_XDECREF(list);
        return -1;
    }
    Py_XSETREF(rare->extra, list);
    return 0;
}

static PyObject *get_closed(PyObject *op, void *unused)
{
    (void)unused;
    return PyBool_FromLong(ext_ws_is_closed(WebSocket_CAST(op)));
}

/* Get how it ended; false while it has not. */
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
    return ext_ws_reason(&info);
}

static PyObject *get_sent_code(PyObject *op, void *unused)
{
    wsk_close_info info;

    (void)unused;
    if (!close_info(WebSocket_CAST(op), &info) || info.sent_code == 0)
        Py_RETURN_NONE;
    return PyLong_FromLong(info.sent_code);
}

static PyObject *get_sent_reason(PyObject *op, void *unused)
{
    wsk_close_info info;

    (void)unused;
    if (!close_info(WebSocket_CAST(op), &info) || info.sent_code == 0)
        Py_RETURN_NONE;
    return PyUnicode_DecodeUTF8(info.sent_reason, info.sent_len, "replace");
}

static PyObject *get_close_clean(PyObject *op, void *unused)
{
    wsk_close_info info;

    (void)unused;
    return PyBool_FromLong(close_info(WebSocket_CAST(op), &info) && info.clean);
}

static PyObject *get_do_compress(PyObject *op, void *unused)
{
    WebSocketObject *self = WebSocket_CAST(op);

    (void)unused;
    return PyBool_FromLong(self->conn != NULL && wsk_conn_deflates(self->conn));
}

static PyObject *get_draining(PyObject *op, void *unused)
{
    const WebSocketObject *self = WebSocket_CAST(op);

    (void)unused;
    return PyBool_FromLong(self->conn != NULL && wsk_conn_draining(self->conn));
}

static PyObject *get_logger(PyObject *op, void *unused)
{
    (void)unused;
    return ext_ref(WebSocket_CAST(op)->site->st->logger);
}

PyObject *ext_ws_repr(PyObject *op)
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
                                    self->conn != NULL             ? "open"
                                    : ext_ws_request(self) != NULL ? "undecided"
                                                                   : "refused");
    Py_DECREF(path);
    return text;
}

PyGetSetDef ext_ws_getset[] = {
    {"environ", ext_ws_get_environ, NULL, "The environ of the handshake.",
     NULL},
    {"origin", get_origin, NULL, "The Origin header, or None.", NULL},
    {"path", get_path, NULL, "PATH_INFO, without the query.", NULL},
    {"protocol", get_protocol, NULL, "The chosen subprotocol, or None.", NULL},
    {"protocols", get_protocols, set_protocols,
     "Subprotocols to choose from, the preferred first.", NULL},
    {"accept_headers", get_extra, set_extra,
     "Headers for the 101, a list of (name, value).", NULL},
    {"version", ext_ws_version, NULL,
     "The protocol version, '13', or of a draft '8' or '7'.", NULL},
    {"closed", get_closed, NULL, "True when nothing can be sent.", NULL},
    {"close_code", get_close_code, NULL, DOC_CLOSE_CODE, NULL},
    {"close_reason", get_close_reason, NULL, DOC_CLOSE_REASON, NULL},
    {"sent_code", get_sent_code, NULL, DOC_SENT_CODE, NULL},
    {"sent_reason", get_sent_reason, NULL,
     "The reason that our side has sent with it, or None.", NULL},
    {"close_clean", get_close_clean, NULL,
     "True when both sides said that it ends.", NULL},
    {"draining", get_draining, NULL, DOC_DRAINING, NULL},
    {"do_compress", get_do_compress, NULL,
     "True when compression was negotiated.", NULL},
    {"on_ping", ext_ws_get_hook, ext_ws_set_hook, DOC_ON_PING, NULL},
    {"on_pong", ext_ws_get_hook, ext_ws_set_hook, DOC_ON_PONG, (void *)"pong"},
    {"topics", ext_ws_get_topics, NULL, DOC_TOPICS, NULL},
    {"latency", ext_ws_get_latency, NULL, DOC_LATENCY, NULL},
    {"buffered_amount", ext_ws_get_buffered, NULL, DOC_BUFFERED_AMOUNT, NULL},
    {"is_full", ext_ws_get_full, NULL, DOC_IS_FULL, NULL},
    {"send_policy", ext_ws_get_policy, ext_ws_set_policy, DOC_SEND_POLICY,
     NULL},
    {"logger", get_logger, NULL, "The logger 'wsocket'.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
