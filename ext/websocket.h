/* ext/websocket: the WebSocket object that applications see. */
#ifndef WSK_EXT_WEBSOCKET_H
#define WSK_EXT_WEBSOCKET_H

#include "environ.h"
#include "state.h"

extern const PyType_Spec ext_websocket_spec;

/* Facts that all WebSockets of an owner share: a part of the owner, fixed
 * before the first of them. */
struct ext_site {
    struct ext_state *st;
    PyObject *owner;     /* the Server or Foreign it is a part of; borrowed */
    PyObject *template;  /* of the environs; NULL for a Foreign */
    PyObject *protocols; /* tuple of str, as ws_subprotocols has it; or NULL */
};

/*
 * The WebSocket of an attempt: undecided until the application uses it.
 *
 * site     kept alive by the WebSocket's reference of its owner
 * app      its websocket_class is made, if it has one
 * req      the attempt; NULL: a client's WebSocket, which is open
 * environ  of the request; held until ext_websocket_end()
 */
PyObject *ext_websocket_new(const struct ext_site *site, PyObject *app,
                            wsk_request *req, PyObject *environ);

/* Put the WebSocket and its version into an environ. -1 with an exception set.
 */
int ext_websocket_announce(PyObject *websocket, PyObject *environ);

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
