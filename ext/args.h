/* ext/args: arguments of METH_FASTCALL | METH_KEYWORDS functions. */
#ifndef WSK_EXT_ARGS_H
#define WSK_EXT_ARGS_H

#include "state.h"

/* What a function takes; the first `needed` of the names must be given. */
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

/* Seconds as milliseconds, rounded up; None and NULL are -1, for ever; what is
 * negative is 0. -1 with an exception set is an error. */
int ext_timeout_ms(PyObject *seconds);

/* Read the one argument of a function, its timeout, as ext_timeout_ms() does.
 * -1 with an exception set, which a *ms of -1 does not tell. */
int ext_timeout_arg(const struct ext_signature *sig, PyObject *const *args,
                    Py_ssize_t nargs, PyObject *kwnames, int *ms);

/* An int as a code of a protocol; -1 where it is far from every code, for -1 is
 * none either. -1 with an exception set when it is no number. */
long ext_small_number(PyObject *number);

#endif
