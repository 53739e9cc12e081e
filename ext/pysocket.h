/* ext/pysocket: a Python socket as a transport, through its own methods: a TLS
 * socket, or one that switches to another coroutine instead of waiting. */
#ifndef WSK_EXT_PYSOCKET_H
#define WSK_EXT_PYSOCKET_H

#include "state.h"

/*
 * green  its methods wait, as long as its timeout says, and let others run
 *        meanwhile; else it is a TLS socket, which is made non-blocking and
 *        waited for here
 *
 * NULL with an exception set. *io keeps the socket alive.
 */
const wsk_transport *ext_pysocket(PyObject *socket, bool green, void **io);

#endif
