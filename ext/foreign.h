/* ext/foreign: WebSockets on the sockets of other servers. */
#ifndef WSK_EXT_FOREIGN_H
#define WSK_EXT_FOREIGN_H

#include "state.h"

extern const PyType_Spec ext_foreign_spec;

#endif
