/* ext/thread: what one thread of a server keeps from request to request.
 *
 * A request changes nothing that threads share, so an interpreter without a GIL
 * needs no lock for it. */
#ifndef WSK_EXT_THREAD_H
#define WSK_EXT_THREAD_H

#include "environ.h"
#include "state.h"

/* Names that applications give their headers are mostly constants of the code,
 * the same objects each time: those found good need no second look. */
#define EXT_GOOD_NAMES 64 /* a power of two */

struct ext_thread {
    PyThreadState *state; /* while the GIL is not held */
    PyObject *errors;     /* wsgi.errors of its server; borrowed */
    PyObject *template;   /* of its server's environs; borrowed */
    struct ext_environ environ;
    PyObject *good_names[EXT_GOOD_NAMES]; /* by address; headers.c */
    /* Objects that no application has kept, for the next request; or NULL. */
    PyObject *input, *hints, *disconnected, *response;
};

/* Return the data of this thread; NULL where it is not a server's. */
struct ext_thread *ext_thread_here(void);

/* Set it, or NULL. */
void ext_thread_enter(struct ext_thread *thread);

/* Take a kept object; NULL if there was none. */
static inline PyObject *ext_spare_take(PyObject **spare)
{
    PyObject *op = *spare;

    *spare = NULL;
    return op;
}

/* Keep an object whose request is over, with the reference, if it is `ours`
 * alone and no other is kept. False: it was not kept. */
static inline bool ext_spare_keep(PyObject **spare, PyObject *op, bool ours)
{
    if (!ours || *spare != NULL)
        return false;
    *spare = op;
    return true;
}

#endif
