/* ext/log: wsgi.errors, a text stream that ends in the server's log. */
#ifndef WSK_EXT_LOG_H
#define WSK_EXT_LOG_H

#include "state.h"

extern const PyType_Spec ext_log_spec;

/* A new stream. It may outlive the server: see ext_log_detach(). */
PyObject *ext_log_new(struct ext_state *st, wsk_server *srv);

/* The request of this thread is over: log its line that has not ended yet. */
void ext_log_end_line(PyObject *stream);

/* The server goes away: from now on the stream writes to the logger. */
void ext_log_detach(PyObject *stream);

#endif
