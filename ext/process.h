/* ext/process: the settings of the whole process that a running server changes.
 */
#ifndef WSK_EXT_PROCESS_H
#define WSK_EXT_PROCESS_H

#include "state.h"

/* Shorten sys.setswitchinterval() for the first server that runs. -1 with an
 * exception set. */
int ext_interval_begin(struct ext_state *st);

/* Restore the interval after the last server. -1 with an exception set. */
int ext_interval_end(struct ext_state *st);

/* Call atexit.register(op._exit), or `what` else of atexit. -1 with an
 * exception set. */
int ext_at_exit(PyObject *op, const char *what);

extern const char ext_unheed_doc[];
PyObject *ext_unheed(PyObject *module, PyObject *numbers);

#endif
