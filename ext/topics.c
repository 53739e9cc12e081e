#include "topics.h"

#include "args.h"
#include "errors.h"
#include "gaps.h"
#include "gil.h"
#include "message.h"
#include "topic_names.h"
#include "websocket_object.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FEW = 8, /* subscribers to whom a message is sent with the GIL kept */
};

const char ext_publish_doc[] =
    "publish($module, /, topic, message, exclude=None, binary=None,\n"
    "        do_compress=True)\n--\n\n"
    "Send a message to all WebSockets that have subscribed to a topic, in all\n"
    "processes of the bus; from any thread, and from any process that a\n"
    "server has started.\n\n"
    "topic\n"
    "    a str, or several: a WebSocket in more than one gets one copy\n"
    "message, binary, do_compress\n"
    "    as of WebSocket.send()\n"
    "exclude\n"
    "    a WebSocket that gets no copy\n\n"
    "Returns True: it is on its way; False: the broker is down. That nobody\n"
    "has subscribed is no error.\n"
    "TypeError, ValueError: the name, or over topic_message_max.\n"
    "ConnectionError: no server here, and none that has started this "
    "process.\n\n"
    ">>> wsocket.publish('news', 'hello')\n"
    "True";
const char ext_count_doc[] =
    "count($module, topic, /)\n--\n\n"
    "How many have subscribed to a topic, in this process.\n\n"
    ">>> wsocket.count('news')\n"
    "0";
const char ext_disconnect_doc[] =
    "disconnect($module, /, topic, code=1000, reason='')\n--\n\n"
    "Close all WebSockets that have subscribed to a topic, in all processes "
    "of\n"
    "the bus: for rights that end.\n\n"
    "ValueError: the name or the code. ConnectionError: as publish().\n\n"
    ">>> wsocket.disconnect('user:42', 4001, 'signed out')";
const char ext_listen_doc[] =
    "listen($module, /, *topics, timeout=None)\n--\n\n"
    "Subscribe without a WebSocket: an iterator of the messages that are\n"
    "published to the topics from now on, for server-sent events, bridges and\n"
    "tests. With a timeout it gives None after so many seconds of silence.\n"
    "Its close() ends it, as leaving a with statement does.\n\n"
    "OverflowError: it was so slow that messages are gone; it goes on.\n"
    "ConnectionError: the server has a broker, and this process has not.\n\n"
    ">>> for message in wsocket.listen('news'):\n"
    "...     print(message)";
const char ext_topic_stats_doc[] =
    "topic_stats($module)\n--\n\n"
    "Numbers of this process: those of wsk_topic_stats in wsocket.h.\n\n"
    ">>> wsocket._wsocket.topic_stats()['published']\n"
    "0";
const char ext_join_doc[] = "join($module, folder, /)\n--\n\n"
                            "Join the bus in a folder; once in a process.\n\n"
                            ">>> wsocket._wsocket.join('/run/user/1000/shop')";
const char ext_open_broker_doc[] =
    "open_broker($module, url, prefix, /)\n--\n\n"
    "Let publications go by a broker; once in a process.\n\n"
    ">>> wsocket._wsocket.open_broker('redis://127.0.0.1', 'wsocket')";
const char ext_hold_folder_doc[] =
    "hold_folder($module, folder, /)\n--\n\n"
    "Keep a folder of a bus from being removed as one that was left behind;\n"
    "'' makes one. Returns its path and a descriptor, to be kept open.\n\n"
    ">>> wsocket._wsocket.hold_folder('')\n"
    "('/tmp/wsocket-ab12cd', 3)";
const char ext_leave_doc[] =
    "leave($module)\n--\n\n"
    "Leave the bus and the broker, unless a server is there. What was\n"
    "published is sent, and listeners stay until they end.\n\n"
    ">>> wsocket._wsocket.leave()";
const char ext_leave_bus_doc[] = "leave_bus($module)\n--\n\n"
                                 "Leave the bus at the end of the process.\n\n"
                                 ">>> wsocket._wsocket.leave_bus()";
const char ext_set_outbox_doc[] =
    "set_outbox($module, outbox, /)\n--\n\n"
    "Have publish() append to a list, for tests; None ends that.\n\n"
    ">>> wsocket._wsocket.set_outbox(None)";

#define STATS(name) #name, offsetof(wsk_topic_stats, name)

/* ------------------------------------------------------------ the topics ---
 */

wsk_topics *ext_topics(struct ext_state *st)
{
    if (st->topics == NULL || st->topics_pid != (long)getpid()) {
        /* Those of another process stay as they are: their locks may be held
         * for ever. */
        st->topics = wsk_topics_new();
        st->topics_pid = (long)getpid();
    }
    if (st->topics == NULL)
        PyErr_NoMemory();
    else
        ext_gaps_watch(st->topics);
    return st->topics;
}

void ext_topics_serve(struct ext_state *st, const wsk_server *srv)
{
    wsk_topics *before = st->topics_pid == (long)getpid() ? st->topics : NULL;

    st->topics = wsk_topics_ref(wsk_server_topics(srv));
    st->topics_pid = (long)getpid();
    ext_gaps_watch(st->topics);
    Py_BEGIN_ALLOW_THREADS
    wsk_topics_unref(before);
    Py_END_ALLOW_THREADS
}

/* Return true if this process has a server of its own or has joined a bus. */
static bool is_connected(const struct ext_state *st)
{
    return st->topics != NULL && st->topics_pid == (long)getpid() &&
           (st->serving > 0 || wsk_topics_may_wait(st->topics) ||
            wsk_topics_folder(st->topics)[0] != '\0');
}

/* Copy the folder of the bus that this process inherits: from its environment,
 * or from the server that it was forked of. False: there is none. */
static bool inherited_folder(const struct ext_state *st, char *to, size_t cap)
{
    const char *given = getenv("WSOCKET_BUS");
    int n = 0;

    if (given != NULL && given[0] == '/')
        n = snprintf(to, cap, "%s", given);
    else if (given == NULL && st->topics != NULL)
        n = snprintf(to, cap, "%s", wsk_topics_folder(st->topics));
    return n > 0;
}

/* Join the bus in a folder. -1 with an exception set. */
static int join(struct ext_state *st, const char *folder)
{
    char why[256] = "";
    wsk_topics *topics = ext_topics(st);
    wsk_status status;

    if (topics == NULL)
        return -1;
    wsk_topics_ref(topics);
    Py_BEGIN_ALLOW_THREADS
    status = wsk_topics_join(topics, folder, why, sizeof(why));
    Py_END_ALLOW_THREADS
    if (status != WSK_OK && strcmp(wsk_topics_folder(topics), folder) == 0)
        status = WSK_OK; /* by another thread meanwhile */
    wsk_topics_unref(topics);
    if (status != WSK_OK)
        PyErr_SetString(PyExc_ConnectionError, why);
    return status == WSK_OK ? 0 : -1;
}

/* Return the topics if publishing can reach anyone; NULL with an exception set
 * unless an outbox takes the messages. */
static wsk_topics *reachable(struct ext_state *st, const char *what)
{
    char folder[256];

    if (is_connected(st))
        return st->topics;
    if (st->outbox != NULL)
        return st->topics_pid == (long)getpid() ? st->topics : NULL;
    if (inherited_folder(st, folder, sizeof(folder)))
        return join(st, folder) == 0 ? st->topics : NULL;
    PyErr_Format(PyExc_ConnectionError,
                 "%s: this process has no server, and was not started by one: "
                 "set WSOCKET_BUS, to the same folder as the option bus of the "
                 "server, or use wsocket.Publisher",
                 what);
    return NULL;
}

PyObject *ext_join(PyObject *module, PyObject *folder)
{
    struct ext_state *st = PyModule_GetState(module);
    const char *text = PyUnicode_AsUTF8(folder);

    if (text == NULL || join(st, text) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *ext_hold_folder(PyObject *module, PyObject *folder)
{
    const char *text = PyUnicode_AsUTF8(folder);
    char path[256], why[256];
    wsk_status status;
    int fd;

    (void)module;
    if (text == NULL)
        return NULL;
    snprintf(path, sizeof(path), "%s", text);
    Py_BEGIN_ALLOW_THREADS
    status = wsk_bus_hold(path, sizeof(path), &fd, why, sizeof(why));
    Py_END_ALLOW_THREADS
    if (status != WSK_OK) {
        PyErr_SetString(PyExc_OSError, why);
        return NULL;
    }
    return Py_BuildValue("si", path, fd);
}

PyObject *ext_open_broker(PyObject *module, PyObject *args)
{
    struct ext_state *st = PyModule_GetState(module);
    wsk_topics *topics = ext_topics(st);
    wsk_server_config cfg;
    char why[768] = "";
    const char *url, *prefix;
    wsk_status status;

    if (topics == NULL ||
        !PyArg_ParseTuple(args, "ss:open_broker", &url, &prefix))
        return NULL;
    wsk_config_init(&cfg);
    if (wsk_config_set(&cfg, "broker", url, why) != WSK_OK ||
        wsk_config_set(&cfg, "broker_prefix", prefix, why) != WSK_OK) {
        PyErr_SetString(PyExc_ValueError, why);
        return NULL;
    }
    wsk_topics_ref(topics);
    Py_BEGIN_ALLOW_THREADS
    status = wsk_topics_open_broker(topics, &cfg, why, sizeof(why));
    wsk_topics_unref(topics);
    Py_END_ALLOW_THREADS
    if (status != WSK_OK) {
        PyErr_SetString(PyExc_ConnectionError, why);
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *ext_leave(PyObject *module, PyObject *unused)
{
    struct ext_state *st = PyModule_GetState(module);
    wsk_topics *topics = st->topics;

    (void)unused;
    if (topics == NULL || st->topics_pid != (long)getpid() || st->serving > 0)
        Py_RETURN_NONE;
    st->topics = NULL;
    Py_BEGIN_ALLOW_THREADS
    wsk_topics_unref(topics);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyObject *ext_leave_bus(PyObject *module, PyObject *unused)
{
    struct ext_state *st = PyModule_GetState(module);
    wsk_topics *topics = st->topics;

    (void)unused;
    if (topics == NULL || st->topics_pid != (long)getpid())
        Py_RETURN_NONE;
    Py_BEGIN_ALLOW_THREADS
    wsk_topics_leave(topics);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

/* The topics of one call. */
struct names {
    PyObject *held; /* a tuple of str */
    wsk_str *all;
    Py_ssize_t n;
};

static void names_release(struct names *names)
{
    PyMem_Free(names->all);
    Py_CLEAR(names->held);
}

/* Get the names of a str, or of an iterable of str. -1 with an exception. */
static int names_get(struct names *names, PyObject *given)
{
    bool one = PyUnicode_Check(given) || PyObject_CheckBuffer(given);

    names->held = one ? PyTuple_Pack(1, given) : PySequence_Tuple(given);
    if (names->held == NULL)
        return -1;
    names->n = PyTuple_GET_SIZE(names->held);
    names->all = PyMem_New(wsk_str, (size_t)(names->n > 0 ? names->n : 1));
    if (names->all == NULL)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < names->n && !PyErr_Occurred(); i++)
        ext_topic_name(PyTuple_GET_ITEM(names->held, i), &names->all[i]);
    if (!PyErr_Occurred())
        return 0;
    names_release(names);
    return -1;
}

static PyObject *raise_topic(struct ext_state *st, wsk_status status,
                             const char *what)
{
    if (status == WSK_E_ARG)
        return PyErr_Format(PyExc_ValueError,
                            "%s: the message is longer than topic_message_max, "
                            "or no UTF-8 that can be sent as text",
                            what);
    if (status == WSK_E_CLOSED)
        return PyErr_Format(PyExc_ConnectionError,
                            "%s: this process was forked from the one that "
                            "serves; call it there",
                            what);
    if (status == WSK_E_AGAIN)
        return PyErr_Format(PyExc_ConnectionError,
                            "%s: the server has a broker, and this process has "
                            "not: wsocket.Publisher(url) opens it, as --broker "
                            "and WSOCKET_BROKER do in a shell",
                            what);
    return ext_raise(st, status, what);
}

/* ------------------------------------------------------------ publishing ---
 */

static bool reaches_few(wsk_topics *topics, const struct names *names)
{
    size_t n = wsk_topics_may_wait(topics) ? FEW + 1 : 0;

    for (Py_ssize_t i = 0; i < names->n; i++)
        n += wsk_topics_count(topics, names->all[i].p, names->all[i].len);
    return n <= FEW;
}

static wsk_status send(wsk_topics *topics, const struct names *names,
                       const struct ext_bytes *o, bool binary, unsigned flags,
                       const wsk_conn *except)
{
    wsk_opcode opcode = binary ? WSK_BINARY : WSK_TEXT;
    bool stays = reaches_few(topics, names);
    PyThreadState *left = NULL;
    wsk_status st;

    if (!stays) {
        wsk_topics_ref(topics); /* for leave() */
        left = PyEval_SaveThread();
    }
    st = wsk_topics_publish(topics, names->all, (size_t)names->n, opcode, o->p,
                            (size_t)o->len, flags, except);
    if (!stays) {
        wsk_topics_unref(topics);
        ext_gil_return(left);
    }
    return st;
}

/* One call of publish(). */
struct publishing {
    PyObject *message, *exclude; /* exclude: NULL for None */
    PyObject *binary;            /* or NULL */
    int compress;
};

/* Append (topics, message, exclude) to the outbox. */
static int note(struct ext_state *st, const struct names *names,
                const struct publishing *how)
{
    PyObject *row = PyTuple_Pack(3, names->held, how->message,
                                 how->exclude != NULL ? how->exclude : Py_None);
    int failed = row == NULL ? -1 : PyList_Append(st->outbox, row);

    Py_XDECREF(row);
    return failed;
}

/* Publish. False: the broker is down, or an exception is set. */
static bool publish(struct ext_state *st, const struct names *names,
                    const struct publishing *how)
{
    wsk_topics *topics = reachable(st, "publish");
    const WebSocketObject *except = (WebSocketObject *)how->exclude;
    struct ext_bytes o;
    wsk_status status = WSK_OK;
    int binary;

    if (PyErr_Occurred() || (st->outbox != NULL && note(st, names, how) < 0) ||
        topics == NULL || ext_bytes_get(&o, how->message) < 0)
        return true;
    binary = how->binary != NULL ? PyObject_IsTrue(how->binary) : !o.text;
    if (binary >= 0)
        status = send(topics, names, &o, binary,
                      (o.text ? WSK_SEND_VALID : 0u) |
                          (how->compress ? 0u : WSK_SEND_PLAIN),
                      except != NULL ? except->conn : NULL);
    ext_bytes_release(&o);
    /* Neither is an error of the message's. */
    if (status != WSK_OK && status != WSK_E_AGAIN && status != WSK_E_TIMEOUT)
        raise_topic(st, status, "publish");
    return status == WSK_OK;
}

static const struct ext_signature publish_sig = {
    "publish", 2, 5,
    (const char *const[]){"topic", "message", "exclude", "binary",
                          "do_compress"}};

PyObject *ext_publish(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames)
{
    struct ext_state *st = PyModule_GetState(module);
    struct publishing how = {.compress = 1};
    struct names names;
    PyObject *given[5];
    bool reached;

    if (ext_args(&publish_sig, args, nargs, kwnames, given) < 0)
        return NULL;
    how.message = given[1];
    how.exclude = given[2] != Py_None ? given[2] : NULL;
    how.binary = given[3] != Py_None ? given[3] : NULL;
    if (how.exclude != NULL &&
        !PyObject_TypeCheck(how.exclude, st->types.websocket))
        return PyErr_Format(PyExc_TypeError,
                            "publish: exclude is a WebSocket, not %.100s",
                            Py_TYPE(how.exclude)->tp_name);
    if (given[4] != NULL)
        how.compress = PyObject_IsTrue(given[4]);
    if (how.compress < 0 || names_get(&names, given[0]) < 0)
        return NULL;
    reached = publish(st, &names, &how);
    names_release(&names);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(reached);
}

PyObject *ext_count(PyObject *module, PyObject *topic)
{
    struct ext_state *st = PyModule_GetState(module);
    wsk_str name;

    if (ext_topic_name(topic, &name) < 0)
        return NULL;
    return PyLong_FromSize_t(
        st->topics != NULL ? wsk_topics_count(st->topics, name.p, name.len)
                           : 0);
}

static const struct ext_signature disconnect_sig = {
    "disconnect", 1, 3, (const char *const[]){"topic", "code", "reason"}};

PyObject *ext_disconnect(PyObject *module, PyObject *const *args,
                         Py_ssize_t nargs, PyObject *kwnames)
{
    struct ext_state *st = PyModule_GetState(module);
    wsk_str name, reason = {"", 0};
    PyObject *given[3];
    wsk_topics *topics;
    long code = 1000;
    Py_ssize_t len;
    wsk_status status;

    if (ext_args(&disconnect_sig, args, nargs, kwnames, given) < 0 ||
        ext_topic_name(given[0], &name) < 0)
        return NULL;
    if (given[1] != NULL)
        code = ext_small_number(given[1]);
    if (PyErr_Occurred())
        return NULL;
    if (given[2] != NULL) {
        reason.p = PyUnicode_AsUTF8AndSize(given[2], &len);
        if (reason.p == NULL)
            return NULL;
        reason.len = (size_t)len;
    }
    topics = reachable(st, "disconnect");
    if (PyErr_Occurred())
        return NULL;
    if (topics == NULL)
        Py_RETURN_NONE;
    if (code < 0 || code > UINT16_MAX)
        code = 0; /* no code either */
    wsk_topics_ref(topics);
    Py_BEGIN_ALLOW_THREADS
    status = wsk_topics_disconnect(topics, name.p, name.len, (uint16_t)code,
                                   reason.p, reason.len);
    wsk_topics_unref(topics);
    Py_END_ALLOW_THREADS
    if (status == WSK_E_ARG)
        return PyErr_Format(PyExc_ValueError,
                            "disconnect: %ld is no code that may be sent; use "
                            "1000 to 1014, or 3000 to 4999",
                            code);
    if (status != WSK_OK && status != WSK_E_AGAIN && status != WSK_E_TIMEOUT)
        return raise_topic(st, status, "disconnect");
    Py_RETURN_NONE;
}

PyObject *ext_topic_stats(PyObject *module, PyObject *unused)
{
    struct ext_state *st = PyModule_GetState(module);
    wsk_topic_stats stats = {0};
    static const struct {
        const char *name;
        size_t at;
    } ROWS[] = {
        {STATS(topics)},       {STATS(subscriptions)},
        {STATS(bytes)},        {STATS(queued)},
        {STATS(published)},    {STATS(owed)},
        {STATS(passed)},       {STATS(sent)},
        {STATS(dropped)},      {STATS(unread)},
        {STATS(own)},          {STATS(failed)},
        {STATS(others)},       {STATS(gaps)},
        {STATS(bus_peers)},    {STATS(bus_bytes)},
        {STATS(broker_up)},    {STATS(broker_down)},
        {STATS(broker_bytes)}, {STATS(broker_outages)},
    };
    PyObject *dict = PyDict_New();

    (void)unused;
    if (st->topics != NULL)
        wsk_topics_stats(st->topics, &stats);
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]) && dict != NULL;
         i++) {
        uint64_t n;
        PyObject *value;

        memcpy(&n, (const char *)&stats + ROWS[i].at, sizeof(n));
        value = PyLong_FromUnsignedLongLong(n);
        if (value == NULL ||
            PyDict_SetItemString(dict, ROWS[i].name, value) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}

PyObject *ext_set_outbox(PyObject *module, PyObject *outbox)
{
    struct ext_state *st = PyModule_GetState(module);

    if (outbox != Py_None && !PyList_Check(outbox))
        return PyErr_Format(PyExc_TypeError, "an outbox is a list, or None");
    Py_XSETREF(st->outbox, outbox == Py_None ? NULL : ext_ref(outbox));
    if (st->outbox != NULL && ext_topics(st) == NULL)
        return NULL;
    Py_RETURN_NONE;
}

/* -------------------------------------------------------------- listening ---
 */

typedef struct {
    PyObject_HEAD
    struct ext_state *st;
    wsk_listener *listener;
    int timeout_ms; /* -1: none */
} ListenerObject;

#define Listener_CAST(op) ((ListenerObject *)(op))

static int read_timeout(PyObject *const *args, Py_ssize_t nargs,
                        PyObject *kwnames, int *ms)
{
    Py_ssize_t n = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;

    *ms = -1;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);

        if (PyUnicode_CompareWithASCIIString(name, "timeout") != 0) {
            PyErr_Format(PyExc_TypeError,
                         "listen() got an unexpected keyword argument '%U'",
                         name);
            return -1;
        }
        *ms = ext_timeout_ms(args[nargs + i]);
    }
    return PyErr_Occurred() ? -1 : 0;
}

PyObject *ext_listen(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames)
{
    struct ext_state *st = PyModule_GetState(module);
    wsk_topics *topics;
    struct names names;
    PyObject *given, *op;
    wsk_listener *listener;
    char folder[256];
    wsk_status status;
    int ms;

    nargs = PyVectorcall_NARGS((size_t)nargs);
    if (!is_connected(st) && st->outbox == NULL &&
        inherited_folder(st, folder, sizeof(folder)) && join(st, folder) < 0)
        return NULL;
    topics = ext_topics(st);
    if (topics == NULL || read_timeout(args, nargs, kwnames, &ms) < 0)
        return NULL;
    if (nargs == 0)
        return PyErr_Format(PyExc_TypeError, "listen() needs a topic");
    given = PyTuple_New(nargs);
    for (Py_ssize_t i = 0; given != NULL && i < nargs; i++)
        PyTuple_SET_ITEM(given, i, ext_ref(args[i]));
    if (given == NULL || names_get(&names, given) < 0) {
        Py_XDECREF(given);
        return NULL;
    }
    Py_DECREF(given);
    op = st->types.listener->tp_alloc(st->types.listener, 0);
    if (op != NULL) {
        Listener_CAST(op)->st = st;
        Listener_CAST(op)->timeout_ms = ms;
        wsk_topics_ref(topics);
        Py_BEGIN_ALLOW_THREADS
        status =
            wsk_topics_listen(topics, names.all, (size_t)names.n, &listener);
        wsk_topics_unref(topics);
        Py_END_ALLOW_THREADS
        Listener_CAST(op)->listener = listener;
        if (status != WSK_OK) {
            raise_topic(st, status, "listen");
            Py_CLEAR(op);
        }
    }
    names_release(&names);
    return op;
}

/* Wait without the GIL, and let signal handlers run now and then. */
static wsk_status await(ListenerObject *self, wsk_message *msg)
{
    enum { LOOK_MS = 500 };
    int left_ms = self->timeout_ms;
    wsk_status st;

    do {
        int ms = left_ms < 0 || left_ms > LOOK_MS ? LOOK_MS : left_ms;
        PyThreadState *left = PyEval_SaveThread();

        st = wsk_listener_next(self->listener, ms, msg);
        ext_gil_return(left);
        if (left_ms > 0)
            left_ms -= ms;
    } while (st == WSK_E_TIMEOUT && left_ms != 0 && PyErr_CheckSignals() == 0);
    return st;
}

static PyObject *Listener_next(PyObject *op)
{
    ListenerObject *self = Listener_CAST(op);
    PyObject *message;
    wsk_message msg;
    wsk_status st = await(self, &msg);

    if (PyErr_Occurred() && st != WSK_OK)
        return NULL;
    if (st == WSK_E_CLOSED)
        return NULL; /* the end */
    if (st == WSK_E_TIMEOUT)
        Py_RETURN_NONE;
    if (st == WSK_E_AGAIN)
        return PyErr_Format(PyExc_OverflowError,
                            "the listener is so slow that messages are gone");
    if (st != WSK_OK)
        return ext_raise(self->st, st, "listen");
    message = msg.opcode == WSK_TEXT
                  ? PyUnicode_DecodeUTF8((const char *)msg.data,
                                         (Py_ssize_t)msg.len, NULL)
                  : PyBytes_FromStringAndSize((const char *)msg.data,
                                              (Py_ssize_t)msg.len);
    wsk_message_free(&msg);
    return message;
}

static PyObject *Listener_close(PyObject *op, PyObject *unused)
{
    (void)unused;
    wsk_listener_close(Listener_CAST(op)->listener);
    Py_RETURN_NONE;
}

static PyObject *Listener_enter(PyObject *op, PyObject *unused)
{
    (void)unused;
    return ext_ref(op);
}

static PyObject *Listener_exit(PyObject *op, PyObject *const *args,
                               Py_ssize_t nargs)
{
    (void)args;
    (void)nargs;
    wsk_listener_close(Listener_CAST(op)->listener);
    Py_RETURN_NONE;
}

static void Listener_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    wsk_listener_free(Listener_CAST(op)->listener);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef Listener_methods[] = {
    {"close", Listener_close, METH_NOARGS,
     "close($self, /)\n--\n\nEnd it; from any thread."},
    {"__enter__", Listener_enter, METH_NOARGS, NULL},
    {"__exit__", EXT_METHOD(Listener_exit), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Listener_slots[] = {
    {Py_tp_doc, "An iterator of what is published; see listen()."},
    {Py_tp_new, ext_no_new},
    {Py_tp_dealloc, Listener_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, Listener_next},
    {Py_tp_methods, Listener_methods},
    {0, NULL},
};

const PyType_Spec ext_listener_spec = {
    .name = "wsocket._wsocket.Listener",
    .basicsize = sizeof(ListenerObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Listener_slots,
};
