/* ext/answer_object: what the files of the Response type share. */
#ifndef WSK_EXT_ANSWER_OBJECT_H
#define WSK_EXT_ANSWER_OBJECT_H

#include "answer.h"

#define LENGTH_UNKNOWN (-1)

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    struct ext_state *st;
    PyObject *environ;
    PyObject *start_response; /* the server's */
    PyObject *handler;
    PyObject *debug;
    PyObject *status;   /* str, as PEP 3333 has it; NULL: not called */
    PyObject *headers;  /* list of our own; NULL: not called */
    PyObject *result;   /* the iterable, to call close(); or NULL */
    PyObject *iterator; /* of the result; NULL: no more items */
    PyObject *write;    /* the server's, once it has the head */
    bool ours;          /* the server is the one in C */
    bool websocket;     /* of a WebSocket request */
    bool begun;         /* an item was asked for */
    bool has_type;      /* a Content-Type is among the headers */
    bool has_length;
} AnswerObject;

#define Answer_CAST(op) ((AnswerObject *)(op))

/* ---- answer_head: what start_response is told ---- */

/* Keep a status and headers, either of which may be NULL, for the head. -1 with
 * an exception set. */
int ext_answer_set_head(AnswerObject *self, PyObject *status, PyObject *headers,
                        PyObject *exc_info);

/* RFC 9110 15: a 204 or 304 has no content, and so no type and no length. */
bool ext_answer_has_no_content(const AnswerObject *self);

/* Give the server the head, once. `type` is used where the handler names none;
 * `length` may be LENGTH_UNKNOWN, and exc_info NULL. -1 with an exception. */
int ext_answer_give_head(AnswerObject *self, PyObject *type, Py_ssize_t length,
                         PyObject *exc_info);

/* ---- answer_fail: a handler that raises ---- */

/* Answer the exception that is set with a page, returned as bytes; NULL: the
 * exception is the server's, and stays set. */
PyObject *ext_answer_fail(AnswerObject *self);

/* Log the exception that is set, to wsgi.errors where the logger writes
 * nowhere, and clear it. */
void ext_answer_log(const AnswerObject *self, const char *what);

#endif
