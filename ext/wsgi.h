/* ext/wsgi: rules of PEP 3333 that the server and the Framework share. */
#ifndef WSK_EXT_WSGI_H
#define WSK_EXT_WSGI_H

#include "state.h"

/* Call close() of a result, if it has one. -1 with an exception set. */
int ext_close_result(const struct ext_state *st, PyObject *result);

/* Check that exc_info is what sys.exc_info() gives, for the interpreter trusts
 * what it is told to raise. -1 with an exception set. */
int ext_check_exc_info(PyObject *exc_info);

#endif
