/* ext/server_life: a server from listen() to its end. */
#include "server_object.h"

#include "args.h"
#include "errors.h"

#include <errno.h>

/* How long the interpreter's exit waits for handlers; the sockets are closed by
 * then. */
#define EXIT_WAIT_MS 1000

/* True if the interpreter ends: daemon threads, as ours are, never get the GIL
 * again. */
static bool interpreter_ends(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsFinalizing();
#else
    return _Py_IsFinalizing();
#endif
}

bool ext_server_is_ours(const ServerObject *self)
{
    return (self->phase == PHASE_SERVING || self->phase == PHASE_OVER) &&
           self->pid == getpid();
}

/* Listen, or try to. The GIL is dropped because a host's name may have to be
 * looked up. */
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
        ext_raise_os(wsk_server_error(self->srv));
    else
        ext_raise(self->st, st, "cannot listen");
    return -1;
}

static int bind_socket(ServerObject *self)
{
    return open_with(self, wsk_server_listen);
}

PyObject *ext_server_listen(PyObject *op, PyObject *unused)
{
    ServerObject *self = Server_CAST(op);

    (void)unused;
    if (bind_socket(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *ext_server_can_start(PyObject *op, PyObject *unused)
{
    ServerObject *self = Server_CAST(op);

    (void)unused;
    if (open_with(self, wsk_server_can_start) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *ext_server_start(PyObject *op, PyObject *unused)
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
    ext_server_set_phase(self, PHASE_STARTING);
    if (ext_server_start_keeper(self) < 0)
        return NULL;
    st = wsk_server_start(self->srv);
    if (st != WSK_OK) {
        int saved = errno;

        ext_server_set_phase(self, PHASE_FAILED);
        ext_server_end_keeper(self);
        errno = saved;
        if (st == WSK_E_SYS && wsk_server_error(self->srv)[0] != '\0')
            return ext_raise_os(wsk_server_error(self->srv));
        return ext_raise(self->st, st, "the server cannot start");
    }
    if (self->early_stops > 0) {
        if (self->early_stops > 1)
            self->early.ms = 0;
        wsk_server_drain(self->srv, &self->early);
        self->stop_early = true;
    }
    ext_server_set_phase(self, PHASE_SERVING);
    Py_XSETREF(self->st->errors, ext_ref(self->errors));
    Py_RETURN_NONE;
}

/* Let the server leave, or remember that it is to. `stop`: as
 * wsk_server_stop(). */
static void leave(ServerObject *self, const wsk_drain *how, bool stop)
{
    if (self->phase == PHASE_NEW) {
        if (self->early_stops++ == 0 || how->ms == 0)
            self->early = *how;
        return;
    }
    if (!ext_server_is_ours(self) &&
        (self->phase != PHASE_STARTING || self->pid != getpid()))
        return;
    if (stop)
        wsk_server_stop(self->srv, how->ms == WSK_AUTO_MS ? -1 : (int)how->ms);
    else
        wsk_server_drain(self->srv, how);
    if (self->phase == PHASE_STARTING) {
        self->stop_early = true;
        return;
    }
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

static const struct ext_signature stop_sig = {"stop", 0, 1,
                                              (const char *const[]){"timeout"}};

PyObject *ext_server_stop(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames)
{
    wsk_drain how = {.idle_ms = WSK_AUTO_MS, .spread_ms = WSK_AUTO_MS};
    int ms;

    if (ext_timeout_arg(&stop_sig, args, nargs, kwnames, &ms) < 0)
        return NULL;
    how.ms = ms < 0 ? WSK_AUTO_MS : (uint32_t)ms;
    leave(Server_CAST(op), &how, true);
    Py_RETURN_NONE;
}

/* Read a number of milliseconds; None and NULL: what the options say. */
static int ms_arg(PyObject *given, const char *name, uint32_t *ms)
{
    long number;

    if (given == NULL || given == Py_None)
        return 0;
    number = ext_small_number(given);
    if (number == -1 && PyErr_Occurred())
        return -1;
    if (number < 0 || number >= WSK_AUTO_MS) {
        PyErr_Format(PyExc_ValueError, "%s must be from 0 to %u, not %R", name,
                     (unsigned)WSK_AUTO_MS - 1, given);
        return -1;
    }
    *ms = (uint32_t)number;
    return 0;
}

/* Ask the option of the same meaning. */
static bool is_close_code(uint32_t code)
{
    wsk_server_config cfg;
    char text[16];

    wsk_config_init(&cfg);
    PyOS_snprintf(text, sizeof text, "%u", (unsigned)code);
    return wsk_config_set(&cfg, "ws_stop_code", text, NULL) == WSK_OK;
}

enum drain_arg { MS, IDLE, SPREAD, DELAY, PART, PARTS, CODE, SUCCESSOR, ALONE };

static const char *const DRAIN_ARGS[] = {"ms",       "idle_ms",   "spread_ms",
                                         "delay_ms", "part",      "parts",
                                         "code",     "successor", "alone"};

static const struct ext_signature drain_sig = {
    "drain", 0, sizeof DRAIN_ARGS / sizeof *DRAIN_ARGS, DRAIN_ARGS};

/* Read the arguments of drain(). -1 with an exception set. */
static int read_drain(PyObject *const *given, wsk_drain *how)
{
    uint32_t code = 0;
    uint32_t *const number[] = {&how->ms,       &how->idle_ms, &how->spread_ms,
                                &how->delay_ms, &how->part,    &how->parts,
                                &code};
    int successor = 0, alone = 0;

    for (size_t i = 0; i < Py_ARRAY_LENGTH(number); i++)
        if (ms_arg(given[i], DRAIN_ARGS[i], number[i]) < 0)
            return -1;
    if (given[DELAY] == Py_None)
        how->delay_ms = WSK_AUTO_MS;
    if (how->part >= how->parts) {
        PyErr_Format(PyExc_ValueError, "part must be below parts");
        return -1;
    }
    if (code != 0 && !is_close_code(code)) {
        PyErr_Format(PyExc_ValueError, "no Close may have the code %u",
                     (unsigned)code);
        return -1;
    }
    how->code = (uint16_t)code;
    if (given[SUCCESSOR] != NULL)
        successor = PyObject_IsTrue(given[SUCCESSOR]);
    if (given[ALONE] != NULL && successor >= 0)
        alone = PyObject_IsTrue(given[ALONE]);
    how->successor = successor > 0;
    how->alone = alone > 0;
    return successor < 0 || alone < 0 ? -1 : 0;
}

PyObject *ext_server_drain(PyObject *op, PyObject *const *args,
                           Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *given[sizeof DRAIN_ARGS / sizeof *DRAIN_ARGS];
    wsk_drain how = {.ms = WSK_AUTO_MS,
                     .idle_ms = WSK_AUTO_MS,
                     .spread_ms = WSK_AUTO_MS,
                     .parts = 1};

    if (nargs > 1)
        return PyErr_Format(PyExc_TypeError,
                            "drain() takes one positional argument");
    if (ext_args(&drain_sig, args, nargs, kwnames, given) < 0 ||
        read_drain(given, &how) < 0)
        return NULL;
    leave(Server_CAST(op), &how, false);
    Py_RETURN_NONE;
}

/* Wait, without the GIL, until the keeper has tidied up. */
static void wait_released(ServerObject *self)
{
    ext_server_end_keeper(self);
    pthread_mutex_lock(&self->lock);
    while (!self->released)
        pthread_cond_wait(&self->changed, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

/* Wait, without the GIL, until another thread's start() is over, or for `ms`
 * (forever if below 0). */
static void wait_started(ServerObject *self, int ms)
{
    pthread_mutex_lock(&self->lock);
    while (self->starting && ms != 0) {
        int tick = ms < 0 || ms > STOPPING_TICK_MS ? STOPPING_TICK_MS : ms;

        ext_server_wait_locked(self, tick);
        ms -= ms > 0 ? tick : 0;
    }
    pthread_mutex_unlock(&self->lock);
}

static const struct ext_signature join_sig = {"join", 0, 1,
                                              (const char *const[]){"timeout"}};

PyObject *ext_server_join(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames)
{
    ServerObject *self = Server_CAST(op);
    bool ends = interpreter_ends();
    wsk_status st;
    int ms;

    if (ext_timeout_arg(&join_sig, args, nargs, kwnames, &ms) < 0)
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
    if (!ext_server_is_ours(self))
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

/* Stop at the interpreter's end: nothing may need it any more. A handler that
 * does not return is left behind, as every daemon thread is. */
PyObject *ext_server_exit(PyObject *op, PyObject *unused)
{
    ServerObject *self = Server_CAST(op);

    (void)unused;
    if (!ext_server_is_ours(self))
        Py_RETURN_NONE;
    wsk_server_stop(self->srv, 0);
    Py_BEGIN_ALLOW_THREADS
    wsk_server_join(self->srv, EXIT_WAIT_MS);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

/* Read a descriptor; -1 for None. -1 with an exception set is an error. */
static int descriptor_of(PyObject *file)
{
    return file == NULL || file == Py_None ? -1
                                           : PyObject_AsFileDescriptor(file);
}

PyObject *ext_server_reopen_logs(PyObject *op, PyObject *const *args,
                                 Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const NAMES[] = {"access", "error"};
    static const struct ext_signature SIG = {"reopen_logs", 0, 2, NAMES};
    ServerObject *self = Server_CAST(op);
    PyObject *files[2];
    int access, error;
    wsk_status st;

    if (ext_args(&SIG, args, nargs, kwnames, files) < 0)
        return NULL;
    access = descriptor_of(files[0]);
    error = PyErr_Occurred() ? -1 : descriptor_of(files[1]);
    if (PyErr_Occurred())
        return NULL;
    if (!ext_server_is_ours(self))
        Py_RETURN_NONE;
    Py_BEGIN_ALLOW_THREADS
    st = access < 0 && error < 0
             ? wsk_server_reopen_logs(self->srv)
             : wsk_server_move_logs(self->srv, access, error);
    Py_END_ALLOW_THREADS
    if (st != WSK_OK) {
        ext_raise_os(wsk_server_error(self->srv));
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *ext_server_reload_tls(PyObject *op, PyObject *unused)
{
    ServerObject *self = Server_CAST(op);
    char error[WSK_TLS_ERROR];
    wsk_status st;

    (void)unused;
    Py_BEGIN_ALLOW_THREADS
    st = wsk_server_reload_tls(self->srv, error);
    Py_END_ALLOW_THREADS
    if (st == WSK_OK)
        Py_RETURN_NONE;
    if (st == WSK_E_STATE)
        return PyErr_Format(PyExc_RuntimeError,
                            "there are no certificates to reload: the server "
                            "does not listen, or has no certfile");
    errno = EINVAL;
    return ext_raise_os(error);
}
