/* ext/board: the Board type, memory that worker processes share. */
#ifndef WSK_EXT_BOARD_H
#define WSK_EXT_BOARD_H

#include "state.h"

extern const PyType_Spec ext_board_spec;

/* Return the board of a Board; NULL with TypeError for anything else. */
wsk_board *ext_board_of(const struct ext_state *st, PyObject *op);

/* Read a slot's number; -1 with an exception set: TypeError, OverflowError or
 * IndexError. */
long ext_board_slot(const wsk_board *board, PyObject *number);

PyObject *ext_cpus(PyObject *module, PyObject *unused);
extern const char ext_cpus_doc[];
PyObject *ext_libraries(PyObject *module, PyObject *unused);
extern const char ext_libraries_doc[];

#endif
