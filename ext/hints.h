/* ext/hints: wsgi.early_hints, a 103 ahead of the response (RFC 8297). */
#ifndef WSK_EXT_HINTS_H
#define WSK_EXT_HINTS_H

#include "state.h"

int ext_hints_add(PyObject *module, struct ext_state *st);

/* The function of one request. */
PyObject *ext_hints_new(struct ext_state *st, wsk_request *req);

/* The request is over, and its environ forgotten; whoever kept the function
 * gets an error from now on. */
void ext_hints_end_take(PyObject *hints);

#endif
