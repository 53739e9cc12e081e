/* ext/framework: paths to handlers, the part of the Framework that every
 * request goes through. */
#ifndef WSK_EXT_FRAMEWORK_H
#define WSK_EXT_FRAMEWORK_H

#include "state.h"

extern const PyType_Spec ext_framework_spec;

#endif
