/* ext/errors: the only map from a status to an exception, and the door to the
 * logger. */
#ifndef WSK_EXT_ERRORS_H
#define WSK_EXT_ERRORS_H

#include "state.h"

int ext_errors_add(PyObject *module, struct ext_state *st);

/* Raise the exception that stands for `status`; `what` begins its text.
 * Returns NULL. */
PyObject *ext_raise(const struct ext_state *st, wsk_status status,
                    const char *what);

/* The same for a call of an application on its WebSocket: a state that does not
 * allow it is a WebSocketError too. */
PyObject *ext_raise_websocket(const struct ext_state *st, wsk_status status,
                              const char *what);

/* Raise OSError of errno with the text; NULL. */
PyObject *ext_raise_os(const char *text);

/* Log the exception that is set, with its traceback, and clear it. An exception
 * must never get lost: one that the logger writes nowhere goes to the error log
 * of the server whose thread this is; see report() in wsocket/log.py. If that
 * fails too, sys.unraisablehook is called. */
void ext_log_exception(const struct ext_state *st, const char *what);

/* The same, with another stream for an exception that the logger writes
 * nowhere: wsgi.errors of the request, or NULL. */
void ext_log_exception_to(const struct ext_state *st, const char *what,
                          PyObject *errors);

/* The same for an exception that only says that the peer has left: for
 * debugging. */
void ext_log_departure(const struct ext_state *st);

/* Log that a view asked a plain request for its WebSocket. */
void ext_log_no_websocket(const struct ext_state *st);

/* Set io.UnsupportedOperation; always NULL. */
PyObject *ext_unsupported(const char *what);

/* Log a warning of one line; no exception may be set. */
void ext_log_warning(const struct ext_state *st, const char *what);

#endif
