/* ext/server: the Server type; threads, and the interpreter lock. */
#ifndef WSK_EXT_SERVER_H
#define WSK_EXT_SERVER_H

#include "state.h"

int ext_server_add(PyObject *module, struct ext_state *st);

#endif
