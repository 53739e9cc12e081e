/* ext/options: the options of a server, and keyword arguments as a
 * wsk_server_config. */
#ifndef WSK_EXT_OPTIONS_H
#define WSK_EXT_OPTIONS_H

#include "state.h"

/* Set options from a dict, which may be NULL, over the defaults. Their texts
 * live as long as the list `kept`. -1 with an exception set. */
int ext_options_fill(wsk_server_config *cfg, PyObject *kept, PyObject *options);

/* Return the elements of an option of kind list as a tuple of str. */
PyObject *ext_options_names(const char *text);

/* Server.check(name, value). */
extern const char ext_options_check_doc[];
PyObject *ext_options_check(PyObject *unused, PyObject *args);

/* Functions of the module. */
extern const char ext_options_doc[];
PyObject *ext_options_list(PyObject *module, PyObject *unused);
extern const char ext_options_choices_doc[];
PyObject *ext_options_choices(PyObject *module, PyObject *name);

#endif
