/* ext/upgrade: what an application sees of an upgrade; ws_hide_upgrade. */
#ifndef WSK_EXT_UPGRADE_H
#define WSK_EXT_UPGRADE_H

#include "state.h"

/* The values of the option. */
enum ext_hide { EXT_HIDE_AUTO, EXT_HIDE_ALWAYS, EXT_HIDE_NEVER };

enum ext_hide ext_upgrade_mode(const char *option);

/*
 * Prepare the environ of a WebSocket attempt. ALWAYS: without the fields of the
 * upgrade. Otherwise with a mark that tells wsocket._werkzeug, where Werkzeug
 * matches the path, whether plain rules may match, too: AUTO lets them.
 * 0, or -1 with an exception set.
 */
int ext_upgrade_show(const struct ext_state *st, PyObject *environ,
                     enum ext_hide hide);

#endif
