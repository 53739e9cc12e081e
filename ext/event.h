/* ext/event: Event, a list of handlers that is called like a function. */
#ifndef WSK_EXT_EVENT_H
#define WSK_EXT_EVENT_H

#include "state.h"

int ext_event_add(PyObject *module, struct ext_state *st);

#endif
