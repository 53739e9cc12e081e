/* ext/functions: functions in an environ: wsgi.early_hints, a 103 ahead of the
 * response (RFC 8297), and wsocket.client_disconnected. */
#ifndef WSK_EXT_FUNCTIONS_H
#define WSK_EXT_FUNCTIONS_H

#include "thread.h"

extern const PyType_Spec ext_function_spec;

/* Make the functions of one request. */
PyObject *ext_hints_new(struct ext_thread *here, struct ext_state *st,
                        wsk_request *req);
PyObject *ext_disconnected_new(struct ext_thread *here, struct ext_state *st,
                               wsk_request *req);

/* End them with their request, when its environ is released. An application
 * that has kept one gets an error from the hints, and true from the other. */
void ext_hints_end_take(struct ext_thread *here, PyObject *hints);
void ext_disconnected_end_take(struct ext_thread *here, PyObject *disconnected);

#endif
