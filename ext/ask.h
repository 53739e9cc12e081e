/* ext/ask: the client's side of an opening handshake, as a Python object. */
#ifndef WSK_EXT_ASK_H
#define WSK_EXT_ASK_H

#include "state.h"

extern const PyType_Spec ext_ask_spec;

/* Judge data[0..len), all that the server has sent so far; see
 * wsk_ws_read_answer(). */
wsk_status ext_ask_read(PyObject *ask, const char *data, size_t len,
                        size_t *used, wsk_ws_answer *answer);

/* Return the head that was sent; it lives as long as the object. */
const char *ext_ask_head(PyObject *ask, size_t *len);

#endif
