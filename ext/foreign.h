/* ext/foreign: WebSockets on the sockets of other servers. */
#ifndef WSK_EXT_FOREIGN_H
#define WSK_EXT_FOREIGN_H

#include "state.h"

int ext_foreign_add(PyObject *module, struct ext_state *st);

#endif
