/* ext/server: the Server type; threads, and the interpreter lock. */
#ifndef WSK_EXT_SERVER_H
#define WSK_EXT_SERVER_H

#include "state.h"

int ext_server_add(PyObject *module, struct ext_state *st);

/* Options from a dict, which may be NULL, over the defaults. Their texts live
 * as long as the list `kept`. -1 with an exception set. */
int ext_options_fill(wsk_server_config *cfg, PyObject *kept, PyObject *options);

/* Server.check(name, value). */
extern const char ext_options_check_doc[];
PyObject *ext_options_check(PyObject *unused, PyObject *args);

/* The elements of a list option as a tuple of str. */
PyObject *ext_names_in(const char *text);

#endif
