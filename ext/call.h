/* ext/call: one request through a Python application. */
#ifndef WSK_EXT_CALL_H
#define WSK_EXT_CALL_H

#include "environ.h"
#include "state.h"
#include "upgrade.h"
#include "websocket.h"

/* The parts that all requests of a server share. */
struct ext_caller {
    struct ext_site site; /* owned by the Server around it */
    PyObject *app;
    PyObject *errors; /* wsgi.errors; borrowed from the owner */
    char events_only; /* the app is WSocketApp's own code, called directly */
    enum ext_hide hide;
};

/* The wsk_handler; `caller` is its user pointer. Runs with the GIL. */
void ext_call(wsk_request *req, void *caller);

#endif
