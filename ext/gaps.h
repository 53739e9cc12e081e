/* ext/gaps: what may have been missed, from the thread that knows to one that
 * runs Python. */
#ifndef EXT_GAPS_H
#define EXT_GAPS_H

#include "state.h"

/* Note the gaps of topics from now on. */
void ext_gaps_watch(wsk_topics *topics);

PyObject *ext_next_gap(PyObject *module, PyObject *unused);
extern const char ext_next_gap_doc[];

#endif
