/* ext/response_fail: the answer to a request whose application has failed. */
#include "response_object.h"

#include "errors.h"

void ext_response_text(wsk_request *req, int code, const char *text)
{
    wsk_header headers[3] = {
        {{"Content-Type", 12}, {"text/plain; charset=utf-8", 25}}};
    size_t n = 1;

    if (code == 426) /* RFC 9110 15.5.22 */
        headers[n++] = (wsk_header){{"Upgrade", 7}, {"websocket", 9}};
    headers[n++] = (wsk_header){{"Connection", 10}, {"close", 5}};
    wsk_request_respond(req, code, headers, n, text, strlen(text));
}

static void log_failure(ResponseObject *self)
{
    const wsk_head *head = wsk_request_head(self->req);
    char what[256];

    /* The target is visible ASCII (RFC 9112 3.2), so it cannot forge a line. */
    PyOS_snprintf(what, sizeof what, "error in the application: %.*s %.*s",
                  (int)Py_MIN(head->method.len, 20), head->method.p,
                  (int)Py_MIN(head->target.len, 180), head->target.p);
    ext_log_exception(self->st, what);
}

/* True if the exception only means that the client is gone. */
static bool client_is_gone(ResponseObject *self, bool body_cut)
{
    if (self->websocket != NULL && ext_websocket_has_left(self->websocket))
        return true;
    if (self->stage == STAGE_GONE &&
        PyErr_ExceptionMatches(PyExc_BrokenPipeError))
        return true; /* write() raised it to end a handler whose client is gone
                      */
    if (!body_cut || !PyErr_ExceptionMatches(PyExc_ConnectionAbortedError))
        return false;
    if (self->stage == STAGE_STARTED)
        wsk_request_abort(self->req);
    return true; /* wsgi.input raised it, and the server has answered 400 */
}

/* True if the exception is that of environ["wsgi.websocket"] in a plain
 * request, and nothing was sent. A browser, a crawler, or a proxy that does not
 * pass Upgrade on, asks a view for WebSockets so. */
static bool lacks_websocket(const ResponseObject *self)
{
    PyObject *type, *error, *traceback, *args, *key;
    bool found;

    if (self->websocket != NULL || PyErr_Occurred() != PyExc_KeyError ||
        (self->stage != STAGE_SILENT && self->stage != STAGE_READY))
        return false;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    args = PyObject_GetAttrString(error, "args");
    key = args != NULL && PyTuple_Check(args) && PyTuple_GET_SIZE(args) == 1
              ? PyTuple_GET_ITEM(args, 0)
              : NULL;
    found = key != NULL && PyUnicode_Check(key) &&
            PyUnicode_Compare(key, self->st->names.websocket) == 0;
    Py_XDECREF(args);
    PyErr_Clear(); /* of looking for it */
    PyErr_Restore(type, error, traceback);
    return found;
}

static void require_upgrade(ResponseObject *self)
{
    static const char text[] =
        "426 Upgrade Required\n\nA WebSocket is expected here: this was a "
        "plain "
        "request, or a proxy\non the way passes neither Upgrade nor Connection "
        "on.\n";

    PyErr_Clear();
    ext_log_no_websocket(self->st);
    ext_response_text(self->req, 426, text);
}

void ext_response_fail(PyObject *response, bool body_cut)
{
    ResponseObject *self = Response_CAST(response);

    if (client_is_gone(self, body_cut)) {
        ext_log_departure(self->st);
        return;
    }
    if (lacks_websocket(self)) {
        require_upgrade(self);
        return;
    }
    log_failure(self);
    if (ext_response_accepted(self))
        ext_websocket_fail(self->websocket);
    else if (self->stage == STAGE_SILENT || self->stage == STAGE_READY)
        ext_response_text(self->req, 500, "500 Internal Server Error\n");
    else
        wsk_request_abort(self->req);
}
