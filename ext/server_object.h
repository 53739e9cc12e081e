/* ext/server_object: what the files of the Server type share. */
#ifndef WSK_EXT_SERVER_OBJECT_H
#define WSK_EXT_SERVER_OBJECT_H

#include "call.h"
#include "server.h"

#include <pthread.h>
#include <unistd.h>

/* Period at which a stopping server is looked at while no thread joins it. */
#define STOPPING_TICK_MS 50

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
    int early_stops;       /* calls of stop() and drain() before start(), */
    wsk_drain early;       /* and what the first said, or one with 0 ms */
    bool binding;          /* a thread is in wsk_server_listen() */
    bool complained;       /* logged: the system gives no thread */

    /* Under lock. No thread waits for the GIL, or for anything else but the
     * condition, while holding it. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned wanted; /* threads the library has asked for */
    unsigned alive;  /* threads inside wsk_server_work() */
    bool starting;   /* PHASE_STARTING, for threads without the GIL */
    bool stopping;
    bool joined;   /* wsk_server_join() said that it is over */
    bool released; /* the keeper has tidied up */
} ServerObject;

#define Server_CAST(op) ((ServerObject *)(op))

/* ---- server_threads: threads, and what the library asks of them ---- */

/* Make the keeper: a thread that makes those that the library asks for, waits
 * until the server has stopped, and then calls tidy_up(). -1 with an exception
 * set; then nothing of the process is changed. */
int ext_server_start_keeper(ServerObject *self);

/* End the keeper of a server that could not start, or that has stopped. */
void ext_server_end_keeper(ServerObject *self);

/* Enter another phase, and tell the threads that wait for it. */
void ext_server_set_phase(ServerObject *self, enum phase phase);

/* Wait, without the GIL, until `changed` is signalled, or for `ms`. */
void ext_server_wait_locked(ServerObject *self, int ms);

/* Return the hooks through which the library enters the interpreter and asks
 * for threads. */
wsk_hooks ext_server_hooks(ServerObject *self);

PyObject *ext_server_work(PyObject *op, PyObject *unused);
PyObject *ext_server_keep(PyObject *op, PyObject *unused);

/* ---- server_life: from listen() to the end ---- */

/* True if this process has started the server, and it serves or has served. In
 * a forked child the threads are gone, and their locks may be held. */
bool ext_server_is_ours(const ServerObject *self);

PyObject *ext_server_listen(PyObject *op, PyObject *unused);
PyObject *ext_server_can_start(PyObject *op, PyObject *unused);
PyObject *ext_server_start(PyObject *op, PyObject *unused);
PyObject *ext_server_stop(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames);
PyObject *ext_server_drain(PyObject *op, PyObject *const *args,
                           Py_ssize_t nargs, PyObject *kwnames);
PyObject *ext_server_join(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames);
PyObject *ext_server_set_board(PyObject *op, PyObject *const *args,
                               Py_ssize_t nargs, PyObject *kwnames);
PyObject *ext_server_set_worker(PyObject *op, PyObject *number);
PyObject *ext_server_accept(PyObject *op, PyObject *on);
PyObject *ext_server_adopt(PyObject *op, PyObject *fd);
PyObject *ext_server_exit(PyObject *op, PyObject *unused);
PyObject *ext_server_reload_tls(PyObject *op, PyObject *unused);
PyObject *ext_server_reopen_logs(PyObject *op, PyObject *const *args,
                                 Py_ssize_t nargs, PyObject *kwnames);

#endif
