/* ext/call: one request through a Python application. */
#ifndef WSK_EXT_CALL_H
#define WSK_EXT_CALL_H

#include "environ.h"
#include "state.h"
#include "upgrade.h"

/* The parts that all requests of a server share. */
struct ext_caller {
    struct ext_state *st;
    PyObject *app;
    PyObject *owner;     /* the Server it is a part of; borrowed */
    PyObject *errors;    /* wsgi.errors; borrowed from the owner */
    PyObject *protocols; /* tuple of str, as ws_subprotocols has it; or NULL */
    char events_only;    /* the app is WSocketApp's own code, called directly */
    PyObject *template;  /* template of the environs */
    enum ext_hide hide;
};

/* The wsk_handler; `caller` is its user pointer. Runs with the GIL. */
void ext_call(wsk_request *req, void *caller);

#endif
