/* ext/upgrade: whether an application may see that a request is an upgrade. */
#ifndef WSK_EXT_UPGRADE_H
#define WSK_EXT_UPGRADE_H

#include "state.h"

/*
 * Werkzeug answers 400 to an upgrade on a rule without websocket=True, so the
 * application must not see the fields where the path has such a rule only.
 * 1: hide them; 0: do not; -1 with an exception set.
 */
int ext_upgrade_unwanted(PyObject *app, PyObject *environ);

/* Take HTTP_UPGRADE and the `upgrade` of HTTP_CONNECTION out of the environ. */
int ext_upgrade_hide(const struct ext_state *st, PyObject *environ);

#endif
