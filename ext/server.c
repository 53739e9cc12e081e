/* ext/server: the Server type. */
#include "server_object.h"

#include "errors.h"
#include "log.h"
#include "options.h"
#include "topics.h"

/* ----------------------------------------------------------------- new --- */

static int make_server(ServerObject *self, PyObject *kwargs)
{
    const wsk_hooks hooks = ext_server_hooks(self);
    PyObject *kept = PyList_New(0);
    wsk_server_config cfg;

    if (kept == NULL)
        return -1;
    if (ext_options_fill(&cfg, kept, kwargs) < 0)
        goto done;
    self->srv = wsk_server_new(&cfg, ext_call, &self->caller, &hooks);
    if (self->srv == NULL) {
        ext_raise(self->st, WSK_E_SYS, "no server can be made");
        goto done;
    }
    if (ext_topics(self->st) == NULL)
        goto done;
    wsk_server_set_topics(self->srv, ext_topics(self->st));
#ifdef Py_GIL_DISABLED
    wsk_server_describe(self->srv, PY_VERSION, false);
#else
    wsk_server_describe(self->srv, PY_VERSION, true);
#endif
    self->caller.hide = ext_upgrade_mode(cfg.ws_hide_upgrade);
    self->errors = ext_log_new(self->st, self->srv);
    self->caller.errors = self->errors;
    if (cfg.ws_subprotocols != NULL)
        self->caller.site.protocols = ext_options_names(cfg.ws_subprotocols);
    if (self->errors != NULL && !PyErr_Occurred())
        self->caller.site.template =
            ext_environ_template(self->st, self->errors, cfg.threads > 1);
done:
    Py_DECREF(kept);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *Server_new(PyTypeObject *type, PyObject *args,
                            PyObject *kwargs)
{
    PyObject *op;
    ServerObject *self;

    if (PyTuple_GET_SIZE(args) != 1)
        return PyErr_Format(PyExc_TypeError,
                            "Server(app, **options) takes one application");
    if (!PyCallable_Check(PyTuple_GET_ITEM(args, 0)))
        return PyErr_Format(PyExc_TypeError,
                            "the application must be callable, not %.100s",
                            Py_TYPE(PyTuple_GET_ITEM(args, 0))->tp_name);
    op = type->tp_alloc(type, 0);
    if (op == NULL)
        return NULL;
    self = Server_CAST(op);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    self->st = ext_state_of(type);
    self->caller.site.st = self->st;
    self->caller.site.owner = op;
    self->caller.app = ext_ref(PyTuple_GET_ITEM(args, 0));
    if (make_server(self, kwargs) < 0) {
        Py_DECREF(op);
        return NULL;
    }
    return op;
}

/* -------------------------------------------------------------- methods --- */

PyDoc_STRVAR(pending_doc,
             "pending() -> (requests, websockets, others)\n\n"
             "What a stop waits for: requests whose handlers run or wait for a "
             "thread, open\nWebSockets, and other connections.");

static PyObject *Server_pending(PyObject *op, PyObject *unused)
{
    wsk_pending pending;

    (void)unused;
    wsk_server_pending(Server_CAST(op)->srv, &pending);
    return Py_BuildValue("III", pending.requests, pending.websockets,
                         pending.others);
}

PyDoc_STRVAR(refuse_new_doc,
             "refuse_new()\n\n"
             "Let no new client connect to what is bound, before the children "
             "that accept\nthere leave.");

static PyObject *Server_refuse_new(PyObject *op, PyObject *unused)
{
    (void)unused;
    wsk_server_refuse_new(Server_CAST(op)->srv);
    Py_RETURN_NONE;
}

static PyObject *place_texts(PyObject *op,
                             const char *(*text_of)(const wsk_server *, size_t))
{
    PyObject *texts = PyList_New(0);
    const char *bytes;

    for (size_t i = 0;
         texts != NULL && (bytes = text_of(Server_CAST(op)->srv, i)) != NULL;
         i++) {
        PyObject *text = PyUnicode_DecodeFSDefault(bytes);

        if (text == NULL || PyList_Append(texts, text) < 0)
            Py_CLEAR(texts);
        Py_XDECREF(text);
    }
    return texts;
}

static PyObject *get_urls(PyObject *op, void *unused)
{
    (void)unused;
    return place_texts(op, wsk_server_url);
}

static PyObject *get_addresses(PyObject *op, void *unused)
{
    (void)unused;
    return place_texts(op, wsk_server_address);
}

static PyObject *get_fds(PyObject *op, void *unused)
{
    PyObject *fds = PyList_New(0);
    int fd;

    (void)unused;
    for (size_t i = 0;
         fds != NULL && (fd = wsk_server_fd(Server_CAST(op)->srv, i)) >= 0;
         i++) {
        PyObject *number = PyLong_FromLong(fd);

        if (number == NULL || PyList_Append(fds, number) < 0)
            Py_CLEAR(fds);
        Py_XDECREF(number);
    }
    return fds;
}

static PyObject *get_port(PyObject *op, void *unused)
{
    (void)unused;
    return PyLong_FromLong(wsk_server_port(Server_CAST(op)->srv));
}

static PyObject *get_metrics_url(PyObject *op, void *unused)
{
    const char *url = wsk_server_metrics_url(Server_CAST(op)->srv);

    (void)unused;
    if (url == NULL)
        Py_RETURN_NONE;
    return PyUnicode_DecodeFSDefault(url);
}

/* ----------------------------------------------------------------- type --- */

static int Server_traverse(PyObject *op, visitproc visit, void *arg)
{
    ServerObject *self = Server_CAST(op);

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->caller.app);
    Py_VISIT(self->caller.site.protocols);
    Py_VISIT(self->caller.site.template);
    Py_VISIT(self->errors);
    return 0;
}

static int Server_clear(PyObject *op)
{
    Py_CLEAR(Server_CAST(op)->caller.app);
    return 0;
}

static void Server_dealloc(PyObject *op)
{
    ServerObject *self = Server_CAST(op);
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs(op);
    Server_clear(op);
    Py_CLEAR(self->caller.site.protocols);
    Py_CLEAR(self->caller.site.template);
    if (self->errors != NULL)
        ext_log_detach(self->errors);
    Py_CLEAR(self->errors);
    if (self->phase == PHASE_NEW || self->phase == PHASE_FAILED ||
        ext_server_is_ours(self)) { /* start() holds a reference */
        Py_BEGIN_ALLOW_THREADS
        wsk_server_free(self->srv);
        Py_END_ALLOW_THREADS
        pthread_cond_destroy(&self->changed);
        pthread_mutex_destroy(&self->lock);
    }
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(work_doc, "Serve with this thread while it is needed.");

PyDoc_STRVAR(keep_doc, "Start threads as they are wanted, until the end.");

PyDoc_STRVAR(listen_doc, "listen()\n\nBind and listen, if not done yet.");

PyDoc_STRVAR(can_start_doc,
             "can_start()\n\nTry what listen() does, and leave no trace of "
             "it; the same errors.");

PyDoc_STRVAR(start_doc,
             "start()\n\nListen and begin to serve; returns at once.");

PyDoc_STRVAR(stop_doc,
             "stop(timeout=None)\n\n"
             "Ask the server to stop; returns at once. Running handlers have "
             "`timeout`\nseconds (default graceful_timeout); 0, or a second "
             "call, is immediate. Before start() it is remembered: "
             "that ends at once.");

PyDoc_STRVAR(drain_doc,
             "drain(ms=None, *, idle_ms=None, spread_ms=None, delay_ms=0, "
             "part=0, parts=1,\n      code=None, successor=False, "
             "alone=False)\n\n"
             "Ask the server to leave, and lose nothing that was accepted; "
             "returns at once.\nSee wsk_server_drain() in wsocket.h. None: "
             "what the options say. A later call\nchanges what is left of the "
             "way; ms=0 is immediate.");

PyDoc_STRVAR(join_doc,
             "join(timeout=None) -> bool\n\n"
             "Wait until the server has stopped: True; False when `timeout` "
             "seconds are\nover first, or a second while the interpreter "
             "ends. TimeoutError when handlers were still "
             "running after the graceful\ntime: they are abandoned.");

PyDoc_STRVAR(set_board_doc,
             "set_board(board, slot, generation=0)\n\n"
             "Take a slot of the board for this process, before start(), which "
             "then does not\naccept connections: see accept().");

PyDoc_STRVAR(set_worker_doc,
             "set_worker(number)\n\n"
             "Number this worker among those of its service, from 1: for its "
             "logs and metrics.");

PyDoc_STRVAR(accept_doc, "accept(on)\n\n"
                         "Begin to accept connections, or cease; those that "
                         "are open go on. Said\nagain, it looks again: for "
                         "the other workers when one has died.");

PyDoc_STRVAR(adopt_doc,
             "adopt(fd)\n\n"
             "Serve a connection that was not accepted here, such as one end "
             "of a socketpair().\nThe descriptor is the server's from then "
             "on.");

PyDoc_STRVAR(reload_tls_doc,
             "reload_tls()\n\n"
             "Read the files of certfile and the like again: all are used for "
             "new\nconnections, or none, and an OSError says why.");

PyDoc_STRVAR(reopen_logs_doc,
             "reopen_logs(access=None, error=None)\n\n"
             "Open the log files anew, after they were moved away; or let a "
             "log go on in\nanother file, or descriptor, which stays the "
             "caller's.");

static PyMethodDef Server_methods[] = {
    {"check", ext_options_check, METH_VARARGS | METH_STATIC,
     ext_options_check_doc},
    {"listen", ext_server_listen, METH_NOARGS, listen_doc},
    {"can_start", ext_server_can_start, METH_NOARGS, can_start_doc},
    {"pending", Server_pending, METH_NOARGS, pending_doc},
    {"refuse_new", Server_refuse_new, METH_NOARGS, refuse_new_doc},
    {"start", ext_server_start, METH_NOARGS, start_doc},
    {"stop", EXT_METHOD(ext_server_stop), METH_FASTCALL | METH_KEYWORDS,
     stop_doc},
    {"drain", EXT_METHOD(ext_server_drain), METH_FASTCALL | METH_KEYWORDS,
     drain_doc},
    {"join", EXT_METHOD(ext_server_join), METH_FASTCALL | METH_KEYWORDS,
     join_doc},
    {"set_board", EXT_METHOD(ext_server_set_board),
     METH_FASTCALL | METH_KEYWORDS, set_board_doc},
    {"set_worker", ext_server_set_worker, METH_O, set_worker_doc},
    {"accept", ext_server_accept, METH_O, accept_doc},
    {"adopt", ext_server_adopt, METH_O, adopt_doc},
    {"reload_tls", ext_server_reload_tls, METH_NOARGS, reload_tls_doc},
    {"reopen_logs", EXT_METHOD(ext_server_reopen_logs),
     METH_FASTCALL | METH_KEYWORDS, reopen_logs_doc},
    {"_work", ext_server_work, METH_NOARGS, work_doc},
    {"_keep", ext_server_keep, METH_NOARGS, keep_doc},
    {"_exit", ext_server_exit, METH_NOARGS, "The interpreter ends."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Server_getset[] = {
    {"urls", get_urls, NULL, "Where it listens; empty before listen().", NULL},
    {"addresses", get_addresses, NULL, "What each of urls is bound to.", NULL},
    {"fds", get_fds, NULL, "The descriptor of each of urls.", NULL},
    {"port", get_port, NULL, "The port it listens on; 0 before listen().",
     NULL},
    {"metrics_url", get_metrics_url, NULL,
     "Where metrics_bind listens; None without it.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef Server_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ServerObject, weakrefs),
     READONLY, NULL},
    {"app", T_OBJECT, offsetof(ServerObject, caller.app), READONLY,
     "The application."},
    {"_environ", T_OBJECT, offsetof(ServerObject, caller.site.template),
     READONLY, NULL},
    {"_events_only", T_BOOL, offsetof(ServerObject, caller.events_only), 0,
     "The application does not touch environ before it attaches a WebSocket."},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(Server_doc, "Server(app, **options)\n\n"
                         "An HTTP and WebSocket server for a WSGI "
                         "application; options() lists the\noptions.");

static PyType_Slot Server_slots[] = {
    {Py_tp_doc, (void *)Server_doc},
    {Py_tp_new, Server_new},
    {Py_tp_dealloc, Server_dealloc},
    {Py_tp_traverse, Server_traverse},
    {Py_tp_clear, Server_clear},
    {Py_tp_methods, Server_methods},
    {Py_tp_getset, Server_getset},
    {Py_tp_members, Server_members},
    {0, NULL},
};

const PyType_Spec ext_server_spec = {
    .name = "wsocket._wsocket.Server",
    .basicsize = sizeof(ServerObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Server_slots,
};
