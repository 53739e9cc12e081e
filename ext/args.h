/* ext/args: arguments of METH_FASTCALL | METH_KEYWORDS functions. */
#ifndef WSK_EXT_ARGS_H
#define WSK_EXT_ARGS_H

#include "state.h"

/* The parameters of a function; the first `needed` of the names must be given.
 */
struct ext_signature {
    const char *function;
    int needed;
    int most;
    const char *const *names;
};

/* Sort the arguments into out[0..most): borrowed, NULL where not given. -1 with
 * TypeError set. */
int ext_args(const struct ext_signature *sig, PyObject *const *args,
             Py_ssize_t nargs, PyObject *kwnames, PyObject **out);

/* Return seconds as milliseconds, rounded up: 0 for a negative number, and -1,
 * which is forever, for None and NULL. -1 with an exception set is an error. */
int ext_timeout_ms(PyObject *seconds);

/* Read the timeout that is a function's only argument, as ext_timeout_ms()
 * does. -1 with an exception set; then *ms is not set. */
int ext_timeout_arg(const struct ext_signature *sig, PyObject *const *args,
                    Py_ssize_t nargs, PyObject *kwnames, int *ms);

/* Return an int as a code of a protocol; -1, which is no code either, for one
 * that does not fit. -1 with an exception set if it is not an int. */
long ext_small_number(PyObject *number);

#endif
