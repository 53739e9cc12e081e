/* ext/ws_open: the opening of a WebSocket: what its 101 says, and accept(). */
#include "websocket_object.h"

#include "args.h"
#include "errors.h"
#include "headers.h"

const wsk_head *ext_ws_head(const WebSocketObject *self, wsk_head **made)
{
    *made = NULL;
    if (ext_ws_request(self) != NULL)
        return wsk_request_head(self->rare->req);
    if (self->conn == NULL)
        return NULL;
    *made = wsk_conn_head(self->conn);
    if (*made == NULL)
        PyErr_NoMemory();
    return *made;
}

/* RFC 6455 4.2.2: one of the client's subprotocols, or none, in the server's
 * order of preference. */
const char *ext_ws_choose_protocol(const WebSocketObject *self,
                                   const wsk_head *head)
{
    PyObject *protocols = ext_ws_protocols(self);
    Py_ssize_t n = protocols == NULL ? 0 : PyTuple_GET_SIZE(protocols);

    for (Py_ssize_t i = 0; i < n; i++) {
        const char *name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(protocols, i));

        if (name != NULL && wsk_ws_offered(head, name))
            return name;
    }
    return NULL;
}

/* Send 101, with the extra headers. `protocol` NULL chooses. */
static wsk_status upgrade(WebSocketObject *self, const char *protocol)
{
    /* The protocol lies in these, which a collection might replace; and the
     * rare parts may go while a green thread sends. */
    PyObject *protocols = ext_xref(ext_ws_protocols(self));
    PyObject *extra = ext_xref(self->rare->extra);
    wsk_request *req = self->rare->req;
    struct ext_headers set = {0};
    wsk_conn *conn;
    wsk_status st = WSK_OK;

    if (protocol == NULL)
        protocol = ext_ws_choose_protocol(self, wsk_request_head(req));
    if (extra != NULL && ext_headers_fill(NULL, &set, extra) < 0) {
        PyErr_Clear(); /* they were checked before */
        st = WSK_E_NOMEM;
    }
    if (st == WSK_OK)
        st = wsk_request_upgrade(req, protocol, set.items, set.n, &conn);
    ext_headers_clear(&set);
    Py_XDECREF(protocols);
    Py_XDECREF(extra);
    if (st == WSK_OK)
        self->conn = wsk_conn_ref(conn);
    return st;
}

int ext_ws_open(WebSocketObject *self, const char *what)
{
    wsk_status st;

    if (self->conn != NULL)
        return 0;
    if (ext_ws_request(self) == NULL) {
        PyErr_Format(self->site->st->WebSocketError,
                     "%s: the WebSocket was refused, or its client is gone",
                     what);
        return -1;
    }
    if (!ext_ws_in_handler(self)) {
        PyErr_Format(self->site->st->WebSocketError,
                     "%s: call accept() in the handler's own thread first",
                     what);
        return -1;
    }
    st = upgrade(self, NULL);
    if (st == WSK_OK)
        return ext_ws_hear(self);
    ext_raise_websocket(self->site->st, st, what);
    return -1;
}

bool ext_websocket_accepted(PyObject *websocket)
{
    return WebSocket_CAST(websocket)->conn != NULL;
}

int ext_websocket_finish(PyObject *websocket)
{
    WebSocketObject *self = WebSocket_CAST(websocket);
    wsk_status st = self->conn != NULL ? WSK_OK : upgrade(self, NULL);

    if (st == WSK_OK || st == WSK_E_CLOSED)
        return 0;
    ext_raise_websocket(self->site->st, st, "the WebSocket");
    return -1;
}

/* RFC 6455 4.2.2: refuse fields that are negotiated, which the server adds. */
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

PyObject *ext_ws_headers(PyObject *given)
{
    PyObject *list = PyDict_Check(given) ? PyDict_Items(given)
                                         : PySequence_List(given);
    struct ext_headers set = {0};

    if (list != NULL &&
        (ext_headers_fill(NULL, &set, list) < 0 || check_handshake(&set) < 0))
        Py_CLEAR(list);
    ext_headers_clear(&set);
    return list;
}

/* Add headers behind those that are there. */
static int add_headers(WebSocketObject *self, PyObject *given)
{
    PyObject *list = ext_ws_headers(given);
    PyObject *extra = ext_xref(self->rare->extra);

    if (list != NULL && extra != NULL)
        Py_SETREF(list, PySequence_Concat(extra, list));
    Py_XDECREF(extra);
    if (list == NULL)
        return -1;
    Py_XSETREF(self->rare->extra, list);
    return 0;
}

/* Return every subprotocol that the client offered, as a str for people. */
static PyObject *list_offers(const wsk_head *head)
{
    PyObject *text = NULL;
    size_t pos = 0;
    wsk_str name;

    while (wsk_ws_next_offer(head, &pos, &name)) {
        PyObject *one =
            PyUnicode_DecodeLatin1(name.p, (Py_ssize_t)name.len, NULL);
        PyObject *more = one != NULL && text != NULL
                             ? PyUnicode_FromFormat("%U, %U", text, one)
                             : ext_xref(one);

        Py_XDECREF(one);
        Py_XSETREF(text, more);
        if (text == NULL)
            return NULL;
    }
    return text != NULL ? text : PyUnicode_FromString("none");
}

/* Return why it cannot be opened now; NULL if it can. */
static const char *cannot_accept(const WebSocketObject *self)
{
    if (self->conn != NULL)
        return "the WebSocket is open already; only the first use of it can "
               "accept";
    if (ext_ws_request(self) == NULL)
        return "the request is over: it was refused, or its client is gone";
    if (!ext_ws_in_handler(self))
        return "only the handler's own thread can do that";
    return NULL;
}

/* -1 with an exception set. */
static int check_offered(const WebSocketObject *self, const char *protocol)
{
    const wsk_head *head = wsk_request_head(self->rare->req);
    PyObject *offers;

    if (wsk_ws_offered(head, protocol))
        return 0;
    offers = list_offers(head);
    if (offers != NULL)
        PyErr_Format(PyExc_ValueError,
                     "accept: the client did not offer the subprotocol '%s'; "
                     "it offers: %U",
                     protocol, offers);
    Py_XDECREF(offers);
    return -1;
}

static const struct ext_signature accept_sig = {
    "accept", 0, 2, (const char *const[]){"headers", "subprotocol"}};

PyObject *ext_ws_accept(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                        PyObject *kwnames)
{
    WebSocketObject *self = WebSocket_CAST(op);
    const char *protocol = NULL, *wrong;
    PyObject *given[2];
    wsk_status st;

    if (ext_args(&accept_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    wrong = cannot_accept(self);
    if (wrong != NULL)
        return PyErr_Format(self->site->st->WebSocketError, "accept: %s",
                            wrong);
    if (given[1] != NULL && given[1] != Py_None) {
        protocol = PyUnicode_AsUTF8(given[1]);
        if (protocol == NULL || check_offered(self, protocol) < 0)
            return NULL;
    }
    if (given[0] != NULL && given[0] != Py_None &&
        add_headers(self, given[0]) < 0)
        return NULL;
    st = upgrade(self, protocol);
    if (st == WSK_E_STATE)
        return PyErr_Format(self->site->st->WebSocketError,
                            "accept: start_response has answered already");
    if (st != WSK_OK)
        return ext_raise_websocket(self->site->st, st, "accept");
    if (ext_ws_hear(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}
