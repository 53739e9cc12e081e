/* ext/server: the Server type; threads, and the interpreter lock.
 *
 * The library asks for threads from anywhere, without the GIL. Handlers want
 * threads with a lasting thread state (threading.local), so a keeper, itself a
 * threading.Thread, waits for such demands and starts a threading.Thread for
 * each. It also lives until the server has stopped, and then tidies up. */
#include "server.h"

#include "args.h"
#include "call.h"
#include "errors.h"
#include "log.h"
#include "options.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

/* Seconds. A thread that computes gives the GIL away that often while a server
 * runs; the default of 5 ms would be the latency of everyone else. */
#define SWITCH_INTERVAL 0.0005

/* How often a stopping server is looked at when nobody joins it. */
#define STOPPING_TICK_MS 50

/* How long the interpreter's exit waits for handlers; the sockets are closed by
 * then. */
#define EXIT_WAIT_MS 1000

enum phase {
    PHASE_NEW,
    PHASE_STARTING, /* a thread is in start() */
    PHASE_SERVING,
    PHASE_OVER,
    PHASE_FAILED,
};

typedef struct {
    PyObject_HEAD
    struct ext_state *st;
    wsk_server *srv;
    struct ext_caller caller;
    PyObject *errors; /* wsgi.errors */
    PyObject *weakrefs;
    enum phase phase;
    pid_t pid; /* of the process that started it */
    unsigned long n_threads;
    unsigned long starter; /* the thread in start() */
    bool stop_early;       /* stop() was called meanwhile */
    int early_stops;       /* calls of stop() before start(), */
    int early_ms;          /* and what the first said */
    bool binding;          /* a thread is in wsk_server_listen() */
    bool complained;       /* that the system has no thread to give */

    /* Under lock. Nobody waits for the GIL, or for anything else but the
     * condition, while holding it. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned wanted; /* threads the library has asked for */
    unsigned alive;  /* threads inside wsk_server_work() */
    bool starting;   /* PHASE_STARTING, for who has not got the GIL */
    bool stopping;
    bool joined;   /* wsk_server_join() said that it is over */
    bool released; /* the keeper has tidied up */
} ServerObject;

#define Server_CAST(op) ((ServerObject *)(op))

/* ---------------------------------------------------------------- hooks --- */

/* One thread of ours, as the library knows it. */
struct worker {
    PyThreadState *state; /* while the GIL is not held */
};

static void hook_enter(void *thread)
{
    struct worker *w = thread;

    PyEval_RestoreThread(w->state);
}

static void hook_leave(void *thread)
{
    struct worker *w = thread;

    w->state = PyEval_SaveThread();
}

static void hook_spawn(void *user)
{
    ServerObject *self = user;

    pthread_mutex_lock(&self->lock);
    self->wanted++;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

/* ----------------------------------------------------------------- new --- */

static int make_server(ServerObject *self, PyObject *kwargs)
{
    const wsk_hooks hooks = {hook_enter, hook_leave, hook_spawn, self};
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
    self->caller.hide = ext_upgrade_mode(cfg.ws_hide_upgrade);
    self->errors = ext_log_new(self->st, self->srv);
    self->caller.errors = self->errors;
    if (cfg.ws_subprotocols != NULL)
        self->caller.protocols = ext_options_names(cfg.ws_subprotocols);
    if (self->errors != NULL && !PyErr_Occurred())
        ext_environ_init(&self->caller.environ, self->st, self->errors,
                         cfg.threads > 1);
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
    self->caller.st = self->st;
    self->caller.owner = op;
    self->caller.app = ext_ref(PyTuple_GET_ITEM(args, 0));
    if (make_server(self, kwargs) < 0) {
        Py_DECREF(op);
        return NULL;
    }
    return op;
}

/* ------------------------------------------------- the whole process's --- */

/* sys.name(), or sys.name(seconds); -1 with an exception set. */
static double switch_interval(const char *name, double seconds)
{
    PyObject *sys = PyImport_ImportModule("sys");
    PyObject *result = NULL;
    double value = 0.0;

    if (sys != NULL)
        result = seconds > 0.0 ? PyObject_CallMethod(sys, name, "d", seconds)
                               : PyObject_CallMethod(sys, name, NULL);
    Py_XDECREF(sys);
    if (result == NULL)
        return -1.0;
    if (PyFloat_Check(result))
        value = PyFloat_AS_DOUBLE(result);
    Py_DECREF(result);
    return value;
}

/* The first server shortens the switch interval, if it is longer. */
static int interval_begin(struct ext_state *st)
{
    double now;

    if (st->serving++ > 0)
        return 0;
    st->old_interval = 0.0;
    now = switch_interval("getswitchinterval", 0.0);
    if (now <= SWITCH_INTERVAL)
        return now < 0.0 ? -1 : 0;
    if (switch_interval("setswitchinterval", SWITCH_INTERVAL) < 0.0)
        return -1;
    st->old_interval = now;
    return 0;
}

/* The last restores it, unless somebody has set another since. */
static int interval_end(struct ext_state *st)
{
    double now;

    if (--st->serving > 0 || st->old_interval <= 0.0)
        return 0;
    now = switch_interval("getswitchinterval", 0.0);
    if (now < 0.0)
        return -1;
    if (now < SWITCH_INTERVAL * 0.99 || now > SWITCH_INTERVAL * 1.01)
        return 0;
    return switch_interval("setswitchinterval", st->old_interval) < 0.0 ? -1
                                                                        : 0;
}

/* atexit.register(self._exit), or unregister. */
static int at_exit(PyObject *op, const char *what)
{
    PyObject *atexit = PyImport_ImportModule("atexit");
    PyObject *method = PyObject_GetAttrString(op, "_exit");
    PyObject *result = NULL;

    if (atexit != NULL && method != NULL)
        result = PyObject_CallMethod(atexit, what, "O", method);
    Py_XDECREF(atexit);
    Py_XDECREF(method);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* -------------------------------------------------------------- threads --- */

/* threading.Thread(target=self.<target>, name=name, daemon=True).start() */
static int start_thread(PyObject *op, const char *target, const char *name)
{
    PyObject *threading = PyImport_ImportModule("threading");
    PyObject *method = PyObject_GetAttrString(op, target);
    PyObject *type = NULL, *args = NULL, *kwargs = NULL;
    PyObject *thread = NULL, *started = NULL;

    if (threading != NULL)
        type = PyObject_GetAttrString(threading, "Thread");
    if (method != NULL)
        kwargs = Py_BuildValue("{sO ss sO}", "target", method, "name", name,
                               "daemon", Py_True);
    args = PyTuple_New(0);
    if (type != NULL && args != NULL && kwargs != NULL)
        thread = PyObject_Call(type, args, kwargs);
    if (thread != NULL)
        started = PyObject_CallMethod(thread, "start", NULL);
    Py_XDECREF(threading);
    Py_XDECREF(method);
    Py_XDECREF(type);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(thread);
    Py_XDECREF(started);
    return started == NULL ? -1 : 0;
}

PyDoc_STRVAR(work_doc, "Lend this thread to the server.");

static PyObject *Server_work(PyObject *op, PyObject *unused)
{
    ServerObject *self = Server_CAST(op);
    struct worker w;

    (void)unused;
    ext_log_here(self->errors);
    w.state = PyEval_SaveThread();
    wsk_server_work(self->srv, &w);
    PyEval_RestoreThread(w.state);
    ext_log_here(NULL);
    pthread_mutex_lock(&self->lock);
    self->alive--;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    Py_RETURN_NONE;
}

/* Without the GIL: wait until `changed`, or for `ms`. */
static void wait_changed_locked(ServerObject *self, int ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&self->changed, &self->lock, &until);
}

/* Without the GIL: wait for something to do. True when a thread is wanted. */
static bool keeper_wait(ServerObject *self)
{
    bool want;

    pthread_mutex_lock(&self->lock);
    while (self->wanted == 0 && !self->stopping && !self->joined)
        pthread_cond_wait(&self->changed, &self->lock);
    if (self->wanted == 0 && !self->joined)
        wait_changed_locked(self, STOPPING_TICK_MS);
    want = self->wanted > 0 && !self->joined;
    if (want) {
        self->wanted--;
        self->alive++;
    }
    pthread_mutex_unlock(&self->lock);
    return want;
}

/* Start what was asked for. The system may have no thread to give: the demand
 * stays, and is met when it has. False after a pause. */
static bool keeper_start(ServerObject *self)
{
    char name[32];

    PyOS_snprintf(name, sizeof name, "wsocket-%lu", ++self->n_threads);
    if (start_thread((PyObject *)self, "_work", name) == 0) {
        self->complained = false;
        return true;
    }
    wsk_server_no_thread(self->srv);
    if (!self->complained)
        ext_log_exception_to(self->st, "no new thread for the server",
                             self->errors);
    self->complained = true;
    PyErr_Clear();
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&self->lock);
    self->alive--;
    self->wanted++;
    if (!self->joined)
        wait_changed_locked(self, STOPPING_TICK_MS);
    pthread_mutex_unlock(&self->lock);
    Py_END_ALLOW_THREADS
    return false;
}

/* Without the GIL: has the server stopped? Then, if no handler is stuck, wait
 * for the threads, which are about to leave. */
static bool keeper_done(ServerObject *self)
{
    bool stopping;
    wsk_status st = WSK_E_TIMEOUT;

    pthread_mutex_lock(&self->lock);
    stopping = self->stopping || self->joined;
    pthread_mutex_unlock(&self->lock);
    if (stopping)
        st = wsk_server_join(self->srv, 0);
    if (st == WSK_OK) {
        pthread_mutex_lock(&self->lock);
        while (self->alive > 0)
            pthread_cond_wait(&self->changed, &self->lock);
        pthread_mutex_unlock(&self->lock);
    }
    return st != WSK_E_TIMEOUT;
}

/* Give the process back what start() has changed. */
static void tidy_up(ServerObject *self)
{
    int rc = interval_end(self->st);

    if (at_exit((PyObject *)self, "unregister") < 0 || rc < 0)
        ext_log_exception_to(self->st, "the server could not tidy up",
                             self->errors);
    if (self->phase != PHASE_FAILED)
        self->phase = PHASE_OVER;
}

PyDoc_STRVAR(keep_doc, "Start threads as they are wanted, until the end.");

static PyObject *Server_keep(PyObject *op, PyObject *unused)
{
    ServerObject *self = Server_CAST(op);
    bool done = false;

    (void)unused;
    while (!done) {
        bool want;

        Py_BEGIN_ALLOW_THREADS
        want = keeper_wait(self);
        Py_END_ALLOW_THREADS
        if (want && keeper_start(self))
            continue;
        Py_BEGIN_ALLOW_THREADS
        done = keeper_done(self);
        Py_END_ALLOW_THREADS
    }
    tidy_up(self);
    pthread_mutex_lock(&self->lock);
    self->released = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    Py_RETURN_NONE;
}

/* -------------------------------------------------------------- methods --- */

/* Daemon threads, as ours are, never get the GIL again. */
static bool interpreter_ends(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsFinalizing();
#else
    return _Py_IsFinalizing();
#endif
}

/* In a forked child the threads are gone, and their locks may be held. */
static bool is_ours(const ServerObject *self)
{
    return (self->phase == PHASE_SERVING || self->phase == PHASE_OVER) &&
           self->pid == getpid();
}

/* OSError(errno, text) turns itself into PermissionError and the like. */
static void raise_os_error(const char *text)
{
    PyObject *args = Py_BuildValue("is", errno, text);

    if (args != NULL)
        PyErr_SetObject(PyExc_OSError, args);
    Py_XDECREF(args);
}

/* The name of the host may have to be asked for, which takes its time. */
static int open_with(ServerObject *self, wsk_status (*open)(wsk_server *))
{
    wsk_status st = WSK_E_STATE;

    if (self->phase == PHASE_OVER || self->phase == PHASE_FAILED) {
        PyErr_SetString(PyExc_RuntimeError,
                        "a server starts once; make another one");
        return -1;
    }
    if (!self->binding) {
        self->binding = true;
        Py_BEGIN_ALLOW_THREADS
        st = open(self->srv);
        Py_END_ALLOW_THREADS
        self->binding = false;
    }
    if (st == WSK_OK)
        return 0;
    if (st == WSK_E_SYS && wsk_server_error(self->srv)[0] != '\0')
        raise_os_error(wsk_server_error(self->srv));
    else
        ext_raise(self->st, st, "cannot listen");
    return -1;
}

static int bind_socket(ServerObject *self)
{
    return open_with(self, wsk_server_listen);
}

PyDoc_STRVAR(listen_doc, "listen()\n\nBind and listen, if not done yet.");

static PyObject *Server_listen(PyObject *op, PyObject *unused)
{
    ServerObject *self = Server_CAST(op);

    (void)unused;
    if (bind_socket(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(can_start_doc,
             "can_start()\n\nTry what listen() does, and leave no trace of "
             "it; the same errors.");

static PyObject *Server_can_start(PyObject *op, PyObject *unused)
{
    ServerObject *self = Server_CAST(op);

    (void)unused;
    if (open_with(self, wsk_server_can_start) < 0)
        return NULL;
    Py_RETURN_NONE;
}

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

/* Nothing was started, or no more: the keeper ends. */
static void give_up(ServerObject *self)
{
    pthread_mutex_lock(&self->lock);
    self->joined = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

/* Who joins meanwhile waits for that. What stops the server meanwhile does so
 * now, for the keeper would have taken it for one that has ended. */
static void set_starting(ServerObject *self, enum phase phase)
{
    self->phase = phase;
    pthread_mutex_lock(&self->lock);
    self->starting = phase == PHASE_STARTING;
    self->stopping |= phase == PHASE_SERVING && self->stop_early;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

/* The keeper. -1 with an exception set. */
static int start_keeper(ServerObject *self)
{
    PyObject *op = (PyObject *)self, *type, *error, *traceback;

    if (interval_begin(self->st) == 0 && at_exit(op, "register") == 0 &&
        start_thread(op, "_keep", "wsocket-keeper") == 0)
        return 0;
    PyErr_Fetch(&type, &error, &traceback);
    set_starting(self, PHASE_FAILED);
    tidy_up(self);
    PyErr_Restore(type, error, traceback);
    return -1;
}

PyDoc_STRVAR(start_doc,
             "start()\n\nListen and begin to serve; returns at once.");

static PyObject *Server_start(PyObject *op, PyObject *unused)
{
    ServerObject *self = Server_CAST(op);
    wsk_status st;

    (void)unused;
    if (bind_socket(self) < 0)
        return NULL;
    if (self->phase != PHASE_NEW)
        return PyErr_Format(PyExc_RuntimeError,
                            "a server starts once; this one is serving");
    self->pid = getpid();
    self->starter = PyThread_get_thread_ident();
    set_starting(self, PHASE_STARTING);
    if (start_keeper(self) < 0)
        return NULL;
    st = wsk_server_start(self->srv);
    if (st != WSK_OK) {
        int saved = errno;

        set_starting(self, PHASE_FAILED);
        give_up(self);
        errno = saved;
        return ext_raise(self->st, st, "the server cannot start");
    }
    if (self->early_stops > 0) {
        wsk_server_stop(self->srv, self->early_stops > 1 ? 0 : self->early_ms);
        self->stop_early = true;
    }
    set_starting(self, PHASE_SERVING);
    Py_XSETREF(self->st->errors, ext_ref(self->errors));
    Py_RETURN_NONE;
}

static const struct ext_signature stop_sig = {"stop", 0, 1,
                                              (const char *const[]){"timeout"}};

PyDoc_STRVAR(stop_doc,
             "stop(timeout=None)\n\n"
             "Ask the server to stop; returns at once. Running handlers have "
             "`timeout`\nseconds (default graceful_timeout); 0, or a second "
             "call, is immediate. Before start() it is remembered: "
             "that ends at once.");

static PyObject *Server_stop(PyObject *op, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *kwnames)
{
    ServerObject *self = Server_CAST(op);
    PyObject *timeout;
    int ms;

    if (ext_args(&stop_sig, args, nargs, kwnames, &timeout) < 0)
        return NULL;
    ms = ext_timeout_ms(timeout);
    if (ms < 0 && PyErr_Occurred())
        return NULL;
    if (self->phase == PHASE_NEW) {
        if (self->early_stops++ == 0 || ms == 0)
            self->early_ms = ms;
        Py_RETURN_NONE;
    }
    if (self->phase == PHASE_STARTING && self->pid == getpid()) {
        wsk_server_stop(self->srv, ms);
        self->stop_early = true;
        Py_RETURN_NONE;
    }
    if (!is_ours(self))
        Py_RETURN_NONE;
    wsk_server_stop(self->srv, ms);
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    Py_RETURN_NONE;
}

/* Without the GIL: let the keeper tidy up, and wait for that. */
static void wait_released(ServerObject *self)
{
    give_up(self);
    pthread_mutex_lock(&self->lock);
    while (!self->released)
        pthread_cond_wait(&self->changed, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

/* Without the GIL: until another thread's start() is over, or for `ms` (below
 * 0: forever). */
static void wait_started(ServerObject *self, int ms)
{
    pthread_mutex_lock(&self->lock);
    while (self->starting && ms != 0) {
        int tick = ms < 0 || ms > STOPPING_TICK_MS ? STOPPING_TICK_MS : ms;

        wait_changed_locked(self, tick);
        ms -= ms > 0 ? tick : 0;
    }
    pthread_mutex_unlock(&self->lock);
}

static const struct ext_signature join_sig = {"join", 0, 1,
                                              (const char *const[]){"timeout"}};

PyDoc_STRVAR(join_doc,
             "join(timeout=None) -> bool\n\n"
             "Wait until the server has stopped: True; False when `timeout` "
             "seconds are\nover first, or a second while the interpreter "
             "ends. TimeoutError when handlers were still "
             "running after the graceful\ntime: they are abandoned.");

static PyObject *Server_join(PyObject *op, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *kwnames)
{
    ServerObject *self = Server_CAST(op);
    PyObject *timeout;
    bool ends = interpreter_ends();
    wsk_status st;
    int ms;

    if (ext_args(&join_sig, args, nargs, kwnames, &timeout) < 0)
        return NULL;
    ms = ext_timeout_ms(timeout);
    if (ms < 0 && PyErr_Occurred())
        return NULL;
    if (self->phase == PHASE_STARTING && self->pid == getpid()) {
        if (self->starter == PyThread_get_thread_ident())
            return PyErr_Format(PyExc_RuntimeError,
                                "join() was called by what start() calls");
        Py_BEGIN_ALLOW_THREADS
        wait_started(self, ms);
        Py_END_ALLOW_THREADS
        if (self->phase == PHASE_STARTING)
            Py_RETURN_FALSE;
    }
    if (!is_ours(self))
        Py_RETURN_TRUE;
    if (ends && (ms < 0 || ms > EXIT_WAIT_MS))
        ms = EXIT_WAIT_MS;
    Py_BEGIN_ALLOW_THREADS
    st = wsk_server_join(self->srv, ms);
    if (st != WSK_E_TIMEOUT && !ends)
        wait_released(self);
    Py_END_ALLOW_THREADS
    if (st == WSK_E_STATE)
        return PyErr_Format(PyExc_TimeoutError,
                            "handlers were still running after the graceful "
                            "time");
    return PyBool_FromLong(st == WSK_OK);
}

/* The interpreter ends: nothing may need it any more. A handler that does not
 * return is left behind, as every daemon thread is. */
static PyObject *Server_exit(PyObject *op, PyObject *unused)
{
    ServerObject *self = Server_CAST(op);

    (void)unused;
    if (!is_ours(self))
        Py_RETURN_NONE;
    wsk_server_stop(self->srv, 0);
    Py_BEGIN_ALLOW_THREADS
    wsk_server_join(self->srv, EXIT_WAIT_MS);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyDoc_STRVAR(reopen_logs_doc,
             "reopen_logs()\n\n"
             "Open the log files anew, after they were moved away.");

static PyObject *Server_reopen_logs(PyObject *op, PyObject *unused)
{
    ServerObject *self = Server_CAST(op);
    wsk_status st;

    (void)unused;
    if (!is_ours(self))
        Py_RETURN_NONE;
    Py_BEGIN_ALLOW_THREADS
    st = wsk_server_reopen_logs(self->srv);
    Py_END_ALLOW_THREADS
    if (st != WSK_OK) {
        raise_os_error(wsk_server_error(self->srv));
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *place_texts(PyObject *op,
                             const char *(*text_of)(const wsk_server *, size_t))
{
    PyObject *texts = PyList_New(0);
    const char *octets;

    for (size_t i = 0;
         texts != NULL && (octets = text_of(Server_CAST(op)->srv, i)) != NULL;
         i++) {
        PyObject *text = PyUnicode_DecodeFSDefault(octets);

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

static PyObject *get_port(PyObject *op, void *unused)
{
    (void)unused;
    return PyLong_FromLong(wsk_server_port(Server_CAST(op)->srv));
}

/* ----------------------------------------------------------------- type --- */

static int Server_traverse(PyObject *op, visitproc visit, void *arg)
{
    ServerObject *self = Server_CAST(op);

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->caller.app);
    Py_VISIT(self->caller.protocols);
    Py_VISIT(self->caller.environ.template);
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
    Py_CLEAR(self->caller.protocols);
    ext_environ_clear(&self->caller.environ);
    if (self->errors != NULL)
        ext_log_detach(self->errors);
    Py_CLEAR(self->errors);
    if (self->phase == PHASE_NEW || self->phase == PHASE_FAILED ||
        is_ours(self)) { /* start() holds a reference */
        Py_BEGIN_ALLOW_THREADS
        wsk_server_free(self->srv);
        Py_END_ALLOW_THREADS
        pthread_cond_destroy(&self->changed);
        pthread_mutex_destroy(&self->lock);
    }
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Server_methods[] = {
    {"check", ext_options_check, METH_VARARGS | METH_STATIC,
     ext_options_check_doc},
    {"listen", Server_listen, METH_NOARGS, listen_doc},
    {"can_start", Server_can_start, METH_NOARGS, can_start_doc},
    {"pending", Server_pending, METH_NOARGS, pending_doc},
    {"start", Server_start, METH_NOARGS, start_doc},
    {"stop", EXT_METHOD(Server_stop), METH_FASTCALL | METH_KEYWORDS, stop_doc},
    {"join", EXT_METHOD(Server_join), METH_FASTCALL | METH_KEYWORDS, join_doc},
    {"reopen_logs", Server_reopen_logs, METH_NOARGS, reopen_logs_doc},
    {"_work", Server_work, METH_NOARGS, work_doc},
    {"_keep", Server_keep, METH_NOARGS, keep_doc},
    {"_exit", Server_exit, METH_NOARGS, "The interpreter ends."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Server_getset[] = {
    {"urls", get_urls, NULL, "Where it listens; empty before listen().", NULL},
    {"addresses", get_addresses, NULL, "What each of urls is bound to.", NULL},
    {"port", get_port, NULL, "The port it listens on; 0 before listen().",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef Server_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ServerObject, weakrefs),
     READONLY, NULL},
    {"app", T_OBJECT, offsetof(ServerObject, caller.app), READONLY,
     "The application."},
    {"_environ", T_OBJECT, offsetof(ServerObject, caller.environ.template),
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
