/* ext/log: wsgi.errors, a text stream that ends in the server's log. */
#ifndef WSK_EXT_LOG_H
#define WSK_EXT_LOG_H

#include "state.h"

extern const PyType_Spec ext_log_spec;

/* Make a stream, which may outlive the server: see ext_log_detach(). */
PyObject *ext_log_new(struct ext_state *st, wsk_server *srv);

/* Log this thread's line that has not ended yet, when its request is over. */
void ext_log_end_line(PyObject *stream);

/* Let the stream write to the logger from now on, because the server goes away.
 */
void ext_log_detach(PyObject *stream);

#endif
