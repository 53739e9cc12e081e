/* ext/gil: back to the interpreter, one thread after the other.
 *
 * A thread that waits for the GIL wakes at every switch interval, looks whether
 * it was handed on, and sleeps again. With the short interval of a server and a
 * few dozen handlers that have all got a message, those looks take the whole
 * core. So only one of them waits for the GIL; the others wait for that one. */
#include "gil.h"

#include <errno.h>
#include <pthread.h>

#ifdef Py_GIL_DISABLED

int ext_gil_init(void)
{
    return 0;
}

void ext_gil_return(PyThreadState *left)
{
    PyEval_RestoreThread(left);
}

#else

static pthread_mutex_t next = PTHREAD_MUTEX_INITIALIZER;

/* The thread that held the mutex in the parent does not exist in a forked
 * child. */
static void in_forked_child(void)
{
    pthread_mutex_init(&next, NULL);
}

int ext_gil_init(void)
{
    static bool done; /* under the GIL, which is the process's */

    if (done)
        return 0;
    errno = pthread_atfork(NULL, NULL, in_forked_child);
    if (errno != 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    done = true;
    return 0;
}

static void let_next(void *unused)
{
    (void)unused;
    pthread_mutex_unlock(&next);
}

void ext_gil_return(PyThreadState *left)
{
    pthread_mutex_lock(&next);
    /* An interpreter that ends may end the thread in this call. */
    pthread_cleanup_push(let_next, NULL);
    PyEval_RestoreThread(left);
    pthread_cleanup_pop(1);
}

#endif
