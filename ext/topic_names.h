/* ext/topic_names: names of topics between Python and the library. */
#ifndef EXT_TOPIC_NAMES_H
#define EXT_TOPIC_NAMES_H

#include "state.h"

/* Return a tuple of n names, each of which ends with a NUL, and free them. The
 * library tells the newest first; programs expect the oldest. */
PyObject *ext_topic_tuple(char *names, size_t n);

/* Get the UTF-8 of a topic's name, which lives as long as `topic`. -1 with an
 * exception set. */
int ext_topic_name(PyObject *topic, wsk_str *name);

#endif
