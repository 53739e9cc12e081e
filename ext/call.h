/* ext/call: one request through a Python application. */
#ifndef WSK_EXT_CALL_H
#define WSK_EXT_CALL_H

#include "environ.h"
#include "state.h"
#include "upgrade.h"

/* What the requests of one server have in common. */
struct ext_caller {
    struct ext_state *st;
    PyObject *app;
    PyObject *owner;     /* the Server it is a part of; borrowed */
    PyObject *errors;    /* wsgi.errors; borrowed from the owner */
    PyObject *protocols; /* tuple of str, as ws_subprotocols has it; or NULL */
    char events_only;    /* the app is WSocketApp's own code, called directly */
    PyObject *template;  /* what all environs have */
    enum ext_hide hide;
};

/* The wsk_handler; `caller` is its user pointer. Runs with the GIL. */
void ext_call(wsk_request *req, void *caller);

#endif
