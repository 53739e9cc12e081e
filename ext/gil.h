/* ext/gil: back to the interpreter, one thread after the other. */
#ifndef WSK_EXT_GIL_H
#define WSK_EXT_GIL_H

#include "state.h"

/* Prepare for forks, once, when the module is made. -1 with an exception set.
 */
int ext_gil_init(void);

/* Call PyEval_RestoreThread(); used where many threads come back: from
 * receive() and send(). */
void ext_gil_return(PyThreadState *left);

#endif
