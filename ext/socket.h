/* ext/socket: the connection of an upgrade, as other servers show it. */
#ifndef WSK_EXT_SOCKET_H
#define WSK_EXT_SOCKET_H

#include "state.h"

extern const PyType_Spec ext_socket_spec;

/* Make a socket that is detached from the server when its first method is
 * looked up. */
PyObject *ext_socket_new(struct ext_state *st, wsk_request *req);

/* True if it is detached. */
bool ext_socket_detached(PyObject *socket);

/* True if it is detached, and its peer is gone or the handler has closed it. */
bool ext_socket_is_dead(PyObject *socket);

/* End the object with its handler: from now on the socket cannot be detached.
 */
void ext_socket_end(PyObject *socket);

#endif
