/* ext/answer: Response, one run of a handler of the Framework. */
#ifndef WSK_EXT_ANSWER_H
#define WSK_EXT_ANSWER_H

#include "state.h"

extern const PyType_Spec ext_answer_spec;

/* Run `handler` for a request and give what the server is to send, an iterable
 * of bytes. `debug` is true, false or None, which asks the logger. NULL with an
 * exception set that is the server's. */
PyObject *ext_answer(struct ext_state *st, PyObject *environ,
                     PyObject *start_response, PyObject *handler,
                     PyObject *debug);

#endif
