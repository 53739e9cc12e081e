/* ext/websocket: the WebSocket object that applications see. */
#ifndef WSK_EXT_WEBSOCKET_H
#define WSK_EXT_WEBSOCKET_H

#include "environ.h"
#include "state.h"

extern const PyType_Spec ext_websocket_spec;

/*
 * The WebSocket of an attempt: undecided until the application uses it.
 *
 * app      its websocket_class is made, if it has one
 * environ  of the request; held until ext_websocket_end()
 * template of the environs that are made when the request is over; `owner`
 *          keeps it alive
 */
PyObject *ext_websocket_new(struct ext_state *st, PyObject *app,
                            wsk_request *req, PyObject *environ,
                            PyObject *template, PyObject *owner);

/* Put it into an environ, and its version. -1 with an exception set. */
int ext_websocket_announce(PyObject *websocket, PyObject *environ);

/* Subprotocols to choose from until the application says others: a tuple of
 * str, or NULL. */
void ext_websocket_prefer(PyObject *websocket, PyObject *protocols);

/* Whether 101 has left. */
bool ext_websocket_accepted(PyObject *websocket);

/* The application returned without an answer, which accepts. It does no harm
 * when the client is gone. -1 with an exception set. */
int ext_websocket_finish(PyObject *websocket);

/* Whether the exception that is set only means that this WebSocket, once open,
 * is closed: every handler that uses it ends so when the peer leaves. */
bool ext_websocket_has_left(PyObject *websocket);

/* The application crashed: close with 1011. */
void ext_websocket_fail(PyObject *websocket);

/* The handler returns: the object is cut off from the request. `events`, which
 * may be NULL, is an application that does not touch environ before it attaches
 * the WebSocket to itself. */
void ext_websocket_end(PyObject *websocket, const PyObject *events);

#endif
