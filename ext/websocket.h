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

/* Put the WebSocket and its version into an environ. -1 with an exception set.
 */
int ext_websocket_announce(PyObject *websocket, PyObject *environ);

/* Set the subprotocols to choose from until the application sets others: a
 * tuple of str, or NULL. */
void ext_websocket_prefer(PyObject *websocket, PyObject *protocols);

/* True if the 101 has been sent. */
bool ext_websocket_accepted(PyObject *websocket);

/* Accept because the application returned without an answer. Does nothing if
 * the client is gone. -1 with an exception set. */
int ext_websocket_finish(PyObject *websocket);

/* True if the exception that is set only means that this WebSocket, once open,
 * is closed: every handler that uses it ends so when the peer leaves. */
bool ext_websocket_has_left(PyObject *websocket);

/* Close with 1011, because the application failed. */
void ext_websocket_fail(PyObject *websocket);

/* Cut the object off from the request, because the handler returns. `events`,
 * which may be NULL, is an application that does not touch environ before it
 * attaches the WebSocket to itself. */
void ext_websocket_end(PyObject *websocket, const PyObject *events);

#endif
