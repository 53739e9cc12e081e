/* ext/ws_rare: the parts of a WebSocket object that few need for long. */
#include "websocket_object.h"

struct ext_ws_rare *ext_ws_rare(WebSocketObject *self)
{
    if (self->rare == NULL)
        self->rare = PyMem_Calloc(1, sizeof(*self->rare));
    if (self->rare == NULL)
        PyErr_NoMemory();
    return self->rare;
}

void ext_ws_rare_clear(WebSocketObject *self)
{
    struct ext_ws_rare *rare = self->rare;

    if (rare == NULL)
        return;
    Py_CLEAR(rare->protocols);
    Py_CLEAR(rare->extra);
    Py_CLEAR(rare->on_ping);
    Py_CLEAR(rare->on_pong);
}

void ext_ws_rare_free(WebSocketObject *self)
{
    if (self->rare != NULL && self->rare->stream_lock != NULL)
        PyThread_free_lock(self->rare->stream_lock);
    PyMem_Free(self->rare);
    self->rare = NULL;
}

void ext_ws_rare_end(WebSocketObject *self)
{
    struct ext_ws_rare *rare = self->rare;

    if (rare == NULL)
        return;
    rare->req = NULL;
    Py_CLEAR(rare->extra);
    if (rare->protocols == NULL && rare->on_ping == NULL &&
        rare->on_pong == NULL && rare->stream_lock == NULL)
        ext_ws_rare_free(self);
}
