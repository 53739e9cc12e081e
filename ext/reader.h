/* ext/reader: the HTTP engine as a Python object, for servers in Python. */
#ifndef WSK_EXT_READER_H
#define WSK_EXT_READER_H

#include "state.h"

extern const PyType_Spec ext_reader_spec;

#endif
