/* ext/process: the settings of the whole process that a running server changes:
 * the switch interval, a call at exit, and signals. */
#include "process.h"

#include "errors.h"

#include <signal.h>

/* Seconds after which a thread that computes gives the GIL away while a server
 * runs. The default of 5 ms would be the latency of all other requests. */
#define SWITCH_INTERVAL 0.0005

/* Call sys.name(), or sys.name(seconds). -1 with an exception set. */
static double switch_interval(const char *name, double seconds)
{
    PyObject *function = ext_import("sys", name);
    PyObject *result = NULL;
    double value = 0.0;

    if (function != NULL)
        result = seconds > 0.0 ? PyObject_CallFunction(function, "d", seconds)
                               : PyObject_CallNoArgs(function);
    Py_XDECREF(function);
    if (result == NULL)
        return -1.0;
    if (PyFloat_Check(result))
        value = PyFloat_AS_DOUBLE(result);
    Py_DECREF(result);
    return value;
}

/* Shorten the interval, if it is longer. */
int ext_interval_begin(struct ext_state *st)
{
    double now;

    if (st->serving++ > 0)
        return 0;
    st->old_interval = 0.0;
    now = switch_interval("getswitchinterval", 0.0);
    if (now <= SWITCH_INTERVAL)
        return now < 0.0 ? -1 : 0;
    if (switch_interval("setswitchinterval", SWITCH_INTERVAL) < 0.0)
        return -1;
    st->old_interval = now;
    return 0;
}

/* Restore the interval, unless another one has been set since. */
int ext_interval_end(struct ext_state *st)
{
    double now;

    if (--st->serving > 0 || st->old_interval <= 0.0)
        return 0;
    now = switch_interval("getswitchinterval", 0.0);
    if (now < 0.0)
        return -1;
    if (now < SWITCH_INTERVAL * 0.99 || now > SWITCH_INTERVAL * 1.01)
        return 0;
    return switch_interval("setswitchinterval", st->old_interval) < 0.0 ? -1
                                                                        : 0;
}

/* atexit.register(self._exit), or unregister. */
int ext_at_exit(PyObject *op, const char *what)
{
    PyObject *function = ext_import("atexit", what);
    PyObject *method = NULL, *result = NULL;

    if (function != NULL)
        method = PyObject_GetAttrString(op, "_exit");
    if (method != NULL)
        result = PyObject_CallOneArg(function, method);
    Py_XDECREF(function);
    Py_XDECREF(method);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static void do_nothing(int number)
{
    (void)number;
}

const char ext_unheed_doc[] =
    "unheed(numbers, /)\n--\n\nLet signals do nothing in this process. "
    "Programs that it starts handle them\nby default, unlike those of a "
    "process that ignores them.";

PyObject *ext_unheed(PyObject *Py_UNUSED(module), PyObject *numbers)
{
    /* Handlers do not nest: several frames are larger than the alternate stack
     * of faulthandler, where those of signal.signal() run. */
    struct sigaction action = {.sa_handler = do_nothing,
                               .sa_flags = SA_RESTART};
    PyObject *each = PyObject_GetIter(numbers), *item;

    if (each == NULL)
        return NULL;
    sigfillset(&action.sa_mask);
    while ((item = PyIter_Next(each)) != NULL) {
        long number = PyLong_AsLong(item);

        Py_DECREF(item);
        if (number == -1 && PyErr_Occurred())
            break;
        if (sigaction((int)number, &action, NULL) != 0) {
            ext_raise_os("a signal cannot be handled");
            break;
        }
    }
    Py_DECREF(each);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}
