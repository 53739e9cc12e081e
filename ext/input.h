/* ext/input: wsgi.input, the body of a request as a file. */
#ifndef WSK_EXT_INPUT_H
#define WSK_EXT_INPUT_H

#include "thread.h"

extern const PyType_Spec ext_input_spec;

/* Make the body of `req`, read in place where that is possible. */
PyObject *ext_input_new(struct ext_thread *here, struct ext_state *st,
                        wsk_request *req);

/* Make an empty body, for an environ that is made after its request. */
PyObject *ext_input_new_empty(struct ext_state *st);

/* True if the body ended before it was complete, and the application knows. */
bool ext_input_was_cut(PyObject *input);

/* End the stream with its request: an application that has kept it gets a
 * ValueError from now on. Takes the reference. */
void ext_input_end_take(struct ext_thread *here, PyObject *input);

#endif
