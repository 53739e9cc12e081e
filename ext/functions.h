/* ext/functions: what an environ holds to be called: wsgi.early_hints, a 103
 * ahead of the response (RFC 8297), and wsocket.client_disconnected. */
#ifndef WSK_EXT_FUNCTIONS_H
#define WSK_EXT_FUNCTIONS_H

#include "thread.h"

extern const PyType_Spec ext_function_spec;

/* The functions of one request. */
PyObject *ext_hints_new(struct ext_thread *here, struct ext_state *st,
                        wsk_request *req);
PyObject *ext_disconnected_new(struct ext_thread *here, struct ext_state *st,
                               wsk_request *req);

/* The request is over, and its environ forgotten. An application that has kept
 * one of them gets an error from the hints, and true from the other. */
void ext_hints_end_take(struct ext_thread *here, PyObject *hints);
void ext_disconnected_end_take(struct ext_thread *here, PyObject *disconnected);

#endif
