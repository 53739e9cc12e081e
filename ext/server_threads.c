/* ext/server_threads: the threads of a server, and the interpreter lock.
 *
 * The library asks for threads from anywhere, without the GIL. Handlers want
 * threads with a lasting thread state (threading.local), so a keeper, itself a
 * threading.Thread, waits for such demands and starts a threading.Thread for
 * each. It also lives until the server has stopped, and then tidies up. */
#include "server_object.h"

#include "errors.h"
#include "process.h"
#include "response.h"
#include "thread.h"
#include "topics.h"

#include <time.h>

static void hook_enter(void *thread)
{
    struct ext_thread *here = thread;

    PyEval_RestoreThread(here->state);
}

static void hook_leave(void *thread)
{
    struct ext_thread *here = thread;

    here->state = PyEval_SaveThread();
}

static void hook_spawn(void *user)
{
    ServerObject *self = user;

    pthread_mutex_lock(&self->lock);
    self->wanted++;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

wsk_hooks ext_server_hooks(ServerObject *self)
{
    return (wsk_hooks){hook_enter, hook_leave, hook_spawn, self};
}

/* Call threading.Thread(target=self.<target>, name=name, daemon=True).start().
 */
static int start_thread(PyObject *op, const char *target, const char *name)
{
    PyObject *type = ext_import("threading", "Thread");
    PyObject *method = type == NULL ? NULL : PyObject_GetAttrString(op, target);
    PyObject *args = method == NULL ? NULL : PyTuple_New(0);
    PyObject *kwargs = NULL, *thread = NULL, *started = NULL;

    if (args != NULL)
        kwargs = Py_BuildValue("{sO ss sO}", "target", method, "name", name,
                               "daemon", Py_True);
    if (kwargs != NULL)
        thread = PyObject_Call(type, args, kwargs);
    if (thread != NULL)
        started = PyObject_CallMethod(thread, "start", NULL);
    Py_XDECREF(type);
    Py_XDECREF(method);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(thread);
    Py_XDECREF(started);
    return started == NULL ? -1 : 0;
}

static void forget_caches(struct ext_thread *thread)
{
    ext_environ_clear(&thread->environ);
    for (size_t i = 0; i < EXT_GOOD_NAMES; i++)
        Py_CLEAR(thread->good_names[i]);
    Py_CLEAR(thread->input);
    Py_CLEAR(thread->hints);
    Py_CLEAR(thread->disconnected);
    ext_response_clear_spare(thread);
}

PyObject *ext_server_work(PyObject *op, PyObject *unused)
{
    ServerObject *self = Server_CAST(op);
    struct ext_thread here = {.errors = self->errors,
                              .template = self->caller.site.template};

    (void)unused;
    ext_thread_enter(&here);
    here.state = PyEval_SaveThread();
    wsk_server_work(self->srv, &here);
    PyEval_RestoreThread(here.state);
    ext_thread_enter(NULL);
    forget_caches(&here);
    pthread_mutex_lock(&self->lock);
    self->alive--;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    Py_RETURN_NONE;
}

void ext_server_wait_locked(ServerObject *self, int ms)
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

/* Wait, without the GIL, for something to do. True if a thread is wanted. */
static bool keeper_wait(ServerObject *self)
{
    bool want;

    pthread_mutex_lock(&self->lock);
    while (self->wanted == 0 && !self->stopping && !self->joined)
        pthread_cond_wait(&self->changed, &self->lock);
    if (self->wanted == 0 && !self->joined)
        ext_server_wait_locked(self, STOPPING_TICK_MS);
    want = self->wanted > 0 && !self->joined;
    if (want) {
        self->wanted--;
        self->alive++;
    }
    pthread_mutex_unlock(&self->lock);
    return want;
}

/* Start the thread that was asked for. If the system has none to give, the
 * demand stays, and is met when it has. False after a pause. */
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
        ext_server_wait_locked(self, STOPPING_TICK_MS);
    pthread_mutex_unlock(&self->lock);
    Py_END_ALLOW_THREADS
    return false;
}

/* Return, without the GIL, whether the server has stopped. If so, and no
 * handler is stuck, wait for the threads, which are about to leave. */
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
    int rc = ext_interval_end(self->st);

    if (ext_at_exit((PyObject *)self, "unregister") < 0 || rc < 0)
        ext_log_exception_to(self->st, "the server could not tidy up",
                             self->errors);
    if (self->phase != PHASE_FAILED)
        self->phase = PHASE_OVER;
}

PyObject *ext_server_keep(PyObject *op, PyObject *unused)
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

void ext_server_end_keeper(ServerObject *self)
{
    pthread_mutex_lock(&self->lock);
    self->joined = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

/* Enter a phase. A join() during start() waits for its end. A stop() during it
 * takes effect at its end: the keeper would otherwise take the server for one
 * that has ended. */
void ext_server_set_phase(ServerObject *self, enum phase phase)
{
    self->phase = phase;
    pthread_mutex_lock(&self->lock);
    self->starting = phase == PHASE_STARTING;
    self->stopping |= phase == PHASE_SERVING && self->stop_early;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

int ext_server_start_keeper(ServerObject *self)
{
    PyObject *op = (PyObject *)self, *type, *error, *traceback;

    ext_topics_serve(self->st, self->srv);
    if (ext_interval_begin(self->st) == 0 && ext_at_exit(op, "register") == 0 &&
        start_thread(op, "_keep", "wsocket-keeper") == 0)
        return 0;
    PyErr_Fetch(&type, &error, &traceback);
    ext_server_set_phase(self, PHASE_FAILED);
    tidy_up(self);
    PyErr_Restore(type, error, traceback);
    return -1;
}
