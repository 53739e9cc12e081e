/* ext/input: wsgi.input, the body of a request as a file. */
#ifndef WSK_EXT_INPUT_H
#define WSK_EXT_INPUT_H

#include "thread.h"

extern const PyType_Spec ext_input_spec;

/* The body of `req`, read in place where that can be. */
PyObject *ext_input_new(struct ext_thread *here, struct ext_state *st,
                        wsk_request *req);

/* A body without octets, for an environ made after its request. */
PyObject *ext_input_new_empty(struct ext_state *st);

/* Whether the body ended before it was complete, and the application has been
 * told. */
bool ext_input_was_cut(PyObject *input);

/* The request is over; whoever kept the stream gets a ValueError from now on.
 * Takes the reference. */
void ext_input_end_take(struct ext_thread *here, PyObject *input);

#endif
