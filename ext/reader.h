/* ext/reader: the HTTP engine as a Python object, for servers in Python. */
#ifndef WSK_EXT_READER_H
#define WSK_EXT_READER_H

#include "state.h"

int ext_reader_add(PyObject *module, struct ext_state *st);

#endif
