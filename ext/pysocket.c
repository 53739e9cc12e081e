/* ext/pysocket: a Python socket as a transport, through its own methods. They
 * are called by threads that have left the interpreter, and enter it for it. */
#include "pysocket.h"

#include <errno.h>
#include <poll.h>

struct pysocket {
    PyObject *socket;
    PyObject *want_read, *want_write; /* exceptions of ssl; NULL when green */
    PyThread_type_lock lock; /* TLS: OpenSSL may not read and write at once */
    int fd;                  /* TLS: to wait for it */
    bool green;
};

/* ------------------------------------------------------------- waiting --- */

/* Return the status that a method's exception stands for. One that is no
 * OSError (a timeout of the coroutine, a KeyboardInterrupt) stays set for the
 * caller. */
static wsk_status judge_exception(const struct pysocket *s, short *events)
{
    wsk_status st = WSK_E_CLOSED;

    *events = 0;
    if (s->want_read != NULL && PyErr_ExceptionMatches(s->want_read))
        *events = POLLIN;
    else if (s->want_write != NULL && PyErr_ExceptionMatches(s->want_write))
        *events = POLLOUT;
    else if (PyErr_ExceptionMatches(PyExc_BlockingIOError) ||
             PyErr_ExceptionMatches(PyExc_TimeoutError))
        st = WSK_E_TIMEOUT;
    else if (!PyErr_ExceptionMatches(PyExc_OSError))
        return WSK_E_AGAIN;
    PyErr_Clear();
    return *events != 0 ? WSK_E_TIMEOUT : st;
}

static int set_timeout(const struct pysocket *s, int timeout_ms)
{
    PyObject *set =
        timeout_ms < 0
            ? PyObject_CallMethod(s->socket, "settimeout", "O", Py_None)
            : PyObject_CallMethod(s->socket, "settimeout", "d",
                                  timeout_ms / 1000.0);

    Py_XDECREF(set);
    return set == NULL ? -1 : 0;
}

/* ------------------------------------------------------------- calling --- */

enum way { RECEIVE, SEND };

/* Release the view, for the memory is not its own: it must not stay in the
 * frames of an exception, for example. An exception of the method stays set. */
static void release_view(PyObject *view)
{
    PyObject *type, *error, *traceback, *released;

    PyErr_Fetch(&type, &error, &traceback);
    released = PyObject_CallMethod(view, "release", NULL);
    Py_XDECREF(released);
    Py_DECREF(view);
    if (type != NULL)
        PyErr_Restore(type, error, traceback); /* in place of release()'s */
}

/* Call recv_into() or send() once, with the interpreter entered. */
static wsk_status call_locked(const struct pysocket *s, enum way way,
                              void *data, size_t len, int timeout_ms,
                              size_t *done, short *events)
{
    PyObject *view, *n = NULL;
    Py_ssize_t count = -1;

    *events = 0;
    if (s->green && set_timeout(s, timeout_ms) < 0)
        return judge_exception(s, events);
    view = PyMemoryView_FromMemory(data, (Py_ssize_t)len,
                                   way == RECEIVE ? PyBUF_WRITE : PyBUF_READ);
    if (view == NULL)
        return judge_exception(s, events);
    n = PyObject_CallMethod(s->socket, way == RECEIVE ? "recv_into" : "send",
                            "O", view);
    if (n != NULL)
        count = PyLong_AsSsize_t(n);
    release_view(view);
    Py_XDECREF(n);
    if (PyErr_Occurred() || count < 0)
        return judge_exception(s, events);
    *done = (size_t)count;
    return WSK_OK;
}

static wsk_status call(const struct pysocket *s, enum way way, void *data,
                       size_t len, int timeout_ms, size_t *done, short *events)
{
    PyGILState_STATE gil;
    wsk_status st;

    if (s->lock != NULL)
        PyThread_acquire_lock(s->lock, WAIT_LOCK);
    gil = PyGILState_Ensure();
    st = call_locked(s, way, data, len, timeout_ms, done, events);
    PyGILState_Release(gil);
    if (s->lock != NULL)
        PyThread_release_lock(s->lock);
    return st;
}

/* Call a method until it is done. A TLS socket reports what it waits for; a
 * green one has waited in the call. */
static wsk_status run(struct pysocket *s, enum way way, void *data, size_t len,
                      int timeout_ms, size_t *done)
{
    *done = 0;
    for (;;) {
        short events;
        wsk_status st = call(s, way, data, len, timeout_ms, done, &events);
        struct pollfd p = {.fd = s->fd, .events = events};
        int ready;

        if (events == 0)
            return st;
        ready = poll(&p, 1, timeout_ms);
        if (ready == 0)
            return WSK_E_TIMEOUT;
        if (ready < 0)
            return errno == EINTR ? WSK_E_AGAIN : WSK_E_CLOSED;
    }
}

static wsk_status py_recv(void *io, void *data, size_t cap, int timeout_ms,
                          size_t *got)
{
    return run(io, RECEIVE, data, cap, timeout_ms, got);
}

static wsk_status py_send(void *io, const void *data, size_t len,
                          int timeout_ms, size_t *sent)
{
    return run(io, SEND, (void *)(uintptr_t)data, len, timeout_ms, sent);
}

/* Call a method whose failure cannot be reported. */
static void try_call(PyObject *socket, const char *method, const char *format,
                     int arg)
{
    PyObject *done = format == NULL
                         ? PyObject_CallMethod(socket, method, NULL)
                         : PyObject_CallMethod(socket, method, format, arg);

    Py_XDECREF(done);
    if (done == NULL)
        PyErr_Clear();
}

enum { HOW_WRITE = 1, HOW_BOTH = 2 }; /* SHUT_WR, SHUT_RDWR */

/* End sending, or both ways. TLS sends its own end (RFC 8446 6.1); a socket in
 * non-blocking mode does not wait for the peer's. */
static void py_shutdown(void *io, bool both)
{
    struct pysocket *s = io;
    PyGILState_STATE gil;
    PyObject *type, *error, *traceback;

    if (s->lock != NULL)
        PyThread_acquire_lock(s->lock, WAIT_LOCK);
    gil = PyGILState_Ensure();
    PyErr_Fetch(&type, &error, &traceback);
    if (!s->green && !both)
        try_call(s->socket, "unwrap", NULL, 0);
    else
        try_call(s->socket, "shutdown", "i", both ? HOW_BOTH : HOW_WRITE);
    PyErr_Restore(type, error, traceback);
    PyGILState_Release(gil);
    if (s->lock != NULL)
        PyThread_release_lock(s->lock);
}

static void py_free(void *io)
{
    struct pysocket *s = io;
    PyGILState_STATE gil = PyGILState_Ensure();

    Py_XDECREF(s->socket);
    Py_XDECREF(s->want_read);
    Py_XDECREF(s->want_write);
    if (s->lock != NULL)
        PyThread_free_lock(s->lock);
    PyMem_Free(s);
    PyGILState_Release(gil);
}

/* -------------------------------------------------------------- making --- */

static int prepare_tls(struct pysocket *s)
{
    s->want_read = ext_import("ssl", "SSLWantReadError");
    if (s->want_read == NULL)
        return -1;
    s->want_write = ext_import("ssl", "SSLWantWriteError");
    s->lock = PyThread_allocate_lock();
    s->fd = PyObject_AsFileDescriptor(s->socket);
    if (s->want_read == NULL || s->want_write == NULL || s->fd < 0)
        return -1;
    if (s->lock == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return set_timeout(s, 0);
}

const wsk_transport *ext_pysocket(PyObject *socket, bool green, void **io)
{
    static const wsk_transport SOCKET = {py_recv, py_send, py_shutdown,
                                         py_free};
    struct pysocket *s = PyMem_Calloc(1, sizeof(*s));

    if (s == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    s->socket = ext_ref(socket);
    s->green = green;
    s->fd = -1;
    if (!green && prepare_tls(s) < 0) {
        py_free(s);
        return NULL;
    }
    *io = s;
    return &SOCKET;
}
