/* ext/socket: the connection of an upgrade, as other servers show it. */
#ifndef WSK_EXT_SOCKET_H
#define WSK_EXT_SOCKET_H

#include "state.h"

extern const PyType_Spec ext_socket_spec;

/* A socket that takes the connection over when its first method is looked up.
 */
PyObject *ext_socket_new(struct ext_state *st, wsk_request *req);

/* Whether it has. */
bool ext_socket_taken(PyObject *socket);

/* Whether it has, and its peer is gone, or the handler has closed it. */
bool ext_socket_is_dead(PyObject *socket);

/* The handler returns: it is too late for that. */
void ext_socket_end(PyObject *socket);

#endif
