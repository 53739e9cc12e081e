/* ext/event: Event, a list of handlers that is called like a function. */
#ifndef WSK_EXT_EVENT_H
#define WSK_EXT_EVENT_H

#include "state.h"

extern const PyType_Spec ext_event_spec;

#endif
