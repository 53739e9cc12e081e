/* ext/server: the Server type. */
#ifndef WSK_EXT_SERVER_H
#define WSK_EXT_SERVER_H

#include "state.h"

extern const PyType_Spec ext_server_spec;

#endif
